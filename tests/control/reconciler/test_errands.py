from __future__ import annotations

import logging
import threading

import pytest

from sagestead.control.reconciler.errands import TRIES, Errand, Errands
from sagestead.domain.resources import Key, Kind

KEY = Key(Kind.ENDPOINT, "123456789012", "eu-west-1", "e")
LIMIT = 30.0


class Works:
    """Errands whose ends are counted."""

    def __init__(self) -> None:
        self.ended = threading.Semaphore(0)
        self.errands = Errands(lambda _key: self.ended.release())
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()
        self.refusals: list[str] = []

    def hold(self) -> None:
        """Work until the test says go."""
        self.begun.release()
        assert self.go.wait(LIMIT)

    def errand(self, run_id: str, work: object = None, shared: str | None = None) -> Errand:
        assert work is None or callable(work)
        return Errand("Staging", KEY, [run_id], work or self.hold, self.refusals.append, shared)

    def wait_for(self, count: int) -> None:
        for _ in range(count):
            assert self.ended.acquire(timeout=LIMIT)


def test_one_errand_at_a_time_for_a_run() -> None:
    works = Works()
    works.errands.send(works.errand("a"))
    works.errands.send(works.errand("a"))
    works.errands.send(works.errand("b"))
    assert works.begun.acquire(timeout=LIMIT)
    assert works.begun.acquire(timeout=LIMIT)
    assert works.errands.busy(["a", "b", "c"]) == {"a", "b"}
    works.go.set()
    works.wait_for(2)
    works.errands.close()
    assert works.errands.busy(["a", "b"]) == frozenset()
    assert not works.begun.acquire(blocking=False)


def test_a_shared_folder_is_cleared_when_its_last_user_has_left() -> None:
    works, cleared = Works(), []
    for run_id in ("a", "b"):
        works.errands.send(works.errand(run_id, shared="artifacts"))
        assert works.begun.acquire(timeout=LIMIT)
    works.errands.after("artifacts", lambda: cleared.append("artifacts"))
    assert cleared == ["artifacts"]
    works.go.set()
    works.wait_for(2)
    assert cleared == ["artifacts", "artifacts"]
    works.errands.after("artifacts", lambda: cleared.append("again"))
    works.errands.close()
    assert cleared == ["artifacts", "artifacts", "again"]


def test_a_folder_is_free_only_when_it_has_been_cleared(caplog: pytest.LogCaptureFixture) -> None:
    works, seen = Works(), []
    works.errands.send(works.errand("run"))
    assert works.begun.acquire(timeout=LIMIT)

    def clear() -> None:
        seen.append(works.errands.busy(["run"]))
        if len(seen) > 1:
            raise OSError("cannot be removed")

    with caplog.at_level(logging.CRITICAL):
        works.errands.after("run", clear)
        works.go.set()
        works.wait_for(1)
    assert seen == [{"run"}, {"run"}]
    assert works.errands.busy(["run"]) == frozenset()
    works.errands.close()


def test_an_errand_that_keeps_failing_is_given_up_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sagestead.control.reconciler.errands.delay", lambda _tries: 0.0)
    works, tried = Works(), []

    def work() -> None:
        tried.append(1)
        raise OSError(28, "No space left on device")

    with caplog.at_level(logging.CRITICAL):
        works.errands.send(works.errand("a", work))
        works.wait_for(1)
        works.errands.close()
    assert len(tried) == TRIES
    (refusal,) = works.refusals
    assert refusal.startswith("InternalServerError: Staging failed 5 times, the last time with OSError: ")
    assert refusal.endswith("No space left on device. See the server's log.")

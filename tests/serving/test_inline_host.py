"""What only an inline host does: at once or on threads, opened when needed, no more than the threads hold."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from pathlib import Path

import pytest

from sagestead.forest.threads import NICENESS
from sagestead.serving.host import Busy, Unread
from sagestead.serving.inline_host import AT_ONCE_SECONDS, InlineHost, Threads
from sagestead.worker.contract import Answer, InlineModel, Invocation, ModelRefused, Open

from .conftest import run, until

CHEAP = Invocation(b"cheap")
LONG = Invocation(b"long")
FOLDER = Path("prepared")


class Gated:
    """Answers what is cheap; what is not waits for the gate. Tells where it was answered."""

    def __init__(self) -> None:
        self.gate = threading.Event()

    def at_once(self, invocation: Invocation) -> Answer | None:
        """Answer nothing so quickly."""
        del invocation
        return None

    def cost(self, invocation: Invocation) -> float:
        return AT_ONCE_SECONDS * (1.0 if invocation.body == b"cheap" else 1.01)

    def invoke(self, invocation: Invocation) -> Answer:
        if invocation.body == b"raise":
            raise ValueError("inside the model")
        if invocation.body == b"large":
            return Answer(200, "text/plain", bytes(7_000_000))
        if invocation.body != b"cheap":
            self.gate.wait(20)
        is_ours = threading.current_thread() is threading.main_thread()
        niceness = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        return Answer(200, "text/plain", b"on the loop" if is_ours else f"niceness {niceness}".encode())


def opening(model: Gated) -> Open:
    return lambda prepared: model  # noqa: ARG005 - the contract names it


def opened(model: Gated, threads: Threads) -> InlineHost:
    host = InlineHost(FOLDER, opening(model), threads)
    host.open()
    return host


def threads_named_inline() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("inline")]


def test_what_is_cheap_is_answered_at_once_and_makes_no_thread() -> None:
    async def scenario() -> None:
        before = threads_named_inline()
        host = opened(Gated(), Threads())
        assert host.begin(CHEAP) == Answer(200, "text/plain", b"on the loop")
        assert host.outstanding == 0
        assert threads_named_inline() == before

    run(scenario())


@pytest.mark.skipif(sys.platform != "linux", reason="threads of other systems have no niceness of their own")
def test_what_is_not_cheap_is_answered_by_a_thread_that_gives_way() -> None:
    async def scenario() -> None:
        model, threads = Gated(), Threads()
        host = opened(model, threads)
        asked = host.begin(LONG)
        assert isinstance(asked, asyncio.Future)
        assert host.outstanding == 1
        assert host.begin(CHEAP) == Answer(200, "text/plain", b"on the loop")
        model.gate.set()
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert (await asked).body == f"niceness {min(19, own + NICENESS)}".encode()
        assert host.outstanding == 0
        threads.close()

    run(scenario())


def test_no_more_waits_than_may() -> None:
    async def scenario() -> None:
        model, threads = Gated(), Threads(1, waiting=2)
        host, other = opened(model, threads), opened(model, threads)
        asked = [host.begin(LONG), other.begin(LONG)]
        with pytest.raises(Busy):
            host.begin(LONG)
        assert host.begin(CHEAP) == Answer(200, "text/plain", b"on the loop")
        model.gate.set()
        assert [(await future).status for future in asked if isinstance(future, asyncio.Future)] == [200, 200]
        again = host.begin(LONG)
        assert isinstance(again, asyncio.Future)
        assert (await again).status == 200
        threads.close()

    run(scenario())


def test_what_nobody_waits_for_is_not_begun() -> None:
    async def scenario() -> None:
        model, threads = Gated(), Threads(1)
        host = opened(model, threads)
        first, second = host.begin(LONG), host.begin(Invocation(b"raise"))
        assert isinstance(first, asyncio.Future)
        assert isinstance(second, asyncio.Future)
        second.cancel()
        await until(lambda: host.outstanding == 1)
        first.cancel()
        await asyncio.sleep(0)
        assert host.outstanding == 1
        model.gate.set()
        await until(lambda: host.outstanding == 0)
        threads.close()

    run(scenario())


def test_an_answer_may_take_so_long() -> None:
    async def scenario() -> None:
        model, threads = Gated(), Threads(timeout=0.05)
        host = opened(model, threads)
        asked = host.begin(LONG)
        assert isinstance(asked, asyncio.Future)
        with pytest.raises(TimeoutError):
            await asked
        assert host.outstanding == 1
        model.gate.set()
        await until(lambda: host.outstanding == 0)
        threads.close()

    run(scenario())


def test_a_model_that_is_not_open_is_opened_by_a_thread_once() -> None:
    async def scenario() -> None:
        opens: list[Path] = []
        model, threads = Gated(), Threads(4)

        def open_slowly(prepared: Path) -> InlineModel:
            assert threading.current_thread() is not threading.main_thread()
            opens.append(prepared)
            model.gate.wait(20)
            return model

        host = InlineHost(FOLDER, open_slowly, threads)
        asked = [host.begin(CHEAP) for _ in range(8)]
        assert host.outstanding == 8
        model.gate.set()
        for future in asked:
            assert isinstance(future, asyncio.Future)
            assert (await future).status == 200
        assert opens == [FOLDER]
        assert host.begin(CHEAP) == Answer(200, "text/plain", b"on the loop")
        threads.close()

    run(scenario())


def test_a_model_that_cannot_be_opened_is_unread_and_not_tried_at_every_request() -> None:
    async def scenario() -> None:
        tries: list[Path] = []

        def refuse(prepared: Path) -> InlineModel:
            tries.append(prepared)
            raise ModelRefused("It is not whole.")

        threads = Threads()
        host = InlineHost(FOLDER, refuse, threads)
        asked = host.begin(CHEAP)
        assert isinstance(asked, asyncio.Future)
        with pytest.raises(Unread):
            await asked
        for _ in range(10):
            with pytest.raises(Unread):
                host.begin(CHEAP)
        assert tries == [FOLDER]
        threads.close()

    run(scenario())


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"raise", b"the model raised an exception; the server's log holds it"),
        (b"large", b"the model's answer has 7000000 bytes; at most 6291456 are allowed"),
    ],
)
def test_a_model_that_does_wrong_answers_500(body: bytes, sentence: bytes) -> None:
    async def scenario() -> None:
        threads = Threads()
        asked = opened(Gated(), threads).begin(Invocation(body))
        assert isinstance(asked, asyncio.Future)
        assert await asked == Answer(500, "text/plain", sentence)
        threads.close()

    run(scenario())

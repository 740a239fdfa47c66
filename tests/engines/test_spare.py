"""The zygote that only prepares models has a process that waits for the next one."""

from __future__ import annotations

import hashlib
import os
import signal
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sagestead.domain.runs import RunPhase, RunSpec
from sagestead.engines.process.engine import ProcessEngine

OWNER = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/spare"
DEADLINE = 20.0
MOST = 5
"""Who waits has fewer files open."""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProcessEngine]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "control" / "reconciler"))
    engine = ProcessEngine(tmp_path / "runs", time.time)
    engine.start()
    yield engine
    engine.close()


def until(found: Callable[[], int | None]) -> int:
    deadline, pause = time.monotonic() + DEADLINE, threading.Event()
    while (value := found()) is None:
        assert time.monotonic() < deadline
        pause.wait(0.01)
    return value


def spare_of(engine: ProcessEngine) -> int | None:
    """Return the child of the zygote that prepares, if it has one."""
    zygote = engine._preparing.process_id
    children = map(int, Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split())
    return next(filter(waits, children), None)


def waits(process_id: int) -> bool:
    """Say whether it is the one that waits: a fork with few files open."""
    place = Path(f"/proc/{process_id}")
    try:
        return b"preparing" in (place / "cmdline").read_bytes() and len(list((place / "fd").iterdir())) < MOST
    except FileNotFoundError:
        return False


def prepare(engine: ProcessEngine, name: str) -> int:
    """Prepare a model; return the process that did."""
    folder = engine.folder(name)
    (folder / "greeting").write_bytes(name.encode())
    with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
        archive.add(folder / "greeting", "greeting")
    digest = hashlib.sha256((folder / "model.tar.gz").read_bytes()).hexdigest()
    engine.ensure(name, RunSpec(OWNER, "prepare", "jobs:prepare", "image:1", {"TONE": "kind"}, digest=digest))
    process_id = int((folder / "lock").read_text())
    deadline = time.monotonic() + DEADLINE
    while next(run for run in engine.runs(OWNER) if run.run_id == name).phase is not RunPhase.EXITED:
        assert time.monotonic() < deadline
        engine.changed(0.1)
    assert (folder / "prepared" / "greeting").read_bytes() == name.encode()
    return process_id


def test_who_waits_gets_the_next_run_and_another_waits_for_the_one_after(engine: ProcessEngine) -> None:
    first = until(lambda: spare_of(engine))
    assert prepare(engine, "endpoint/1") == first
    second = until(lambda: found if (found := spare_of(engine)) != first else None)
    assert prepare(engine, "endpoint/2") == second


def test_a_run_comes_to_its_end_when_nobody_waits_any_more(engine: ProcessEngine) -> None:
    spare = until(lambda: spare_of(engine))
    os.kill(spare, signal.SIGKILL)
    until(lambda: None if is_alive(spare) else spare)
    assert prepare(engine, "endpoint/3") != spare


def test_who_waits_goes_when_the_zygote_does(engine: ProcessEngine) -> None:
    spare = until(lambda: spare_of(engine))
    zygote = engine._preparing.process_id
    assert zygote is not None
    os.kill(zygote, signal.SIGKILL)
    until(lambda: None if Path(f"/proc/{spare}/fd").exists() and is_alive(spare) else spare)


def is_alive(process_id: int) -> bool:
    """Say whether a process runs; one that nobody has buried does not."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False

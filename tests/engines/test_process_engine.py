from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from sagestead.domain.runs import RunPhase, RunSpec, RunState
from sagestead.engines.process import lock, places
from sagestead.engines.process.engine import ProcessEngine
from sagestead.engines.process.pulse import is_hung
from sagestead.wire.frames import AnswerFrame, Decoder, HelloFrame, PingFrame, RequestFrame, encode
from sagestead.worker.progress import page_of

PROGRAMS = str(Path(__file__).parents[1] / "worker")
OWNER = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/hotels"
DEADLINE = 20.0


def spec(role: str = "serve", digest: str | None = None, **environment: str) -> RunSpec:
    entry = "programs:train" if role == "train" else "programs:load"
    return RunSpec(OWNER, role, entry, "image:1", environment, threads=1, digest=digest)  # type: ignore[arg-type] # a Literal


@pytest.fixture(scope="module", autouse=True)
def _surroundings() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", PROGRAMS)
        patch.setenv("AWS_SECRET_ACCESS_KEY", "of the service")
        yield


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory, _surroundings: None) -> Iterator[ProcessEngine]:
    with started(tmp_path_factory.mktemp("data")) as one:
        yield one


@pytest.fixture
def engine(warm: ProcessEngine) -> Iterator[ProcessEngine]:
    while warm.changed(0):
        pass
    yield warm
    kill_all(warm)


class started:  # noqa: N801 - reads as a word
    """An engine from `start` to `close`."""

    def __init__(self, data: Path, silence: float = 20.0) -> None:
        self.engine = ProcessEngine(data / "runs", time.time, silence)

    def __enter__(self) -> ProcessEngine:
        self.engine.start()
        return self.engine

    def __exit__(self, *_: object) -> None:
        self.engine.close()


def kill_all(engine: ProcessEngine) -> None:
    for state in engine.runs(OWNER):
        engine.forget(state.run_id)


def state_of(engine: ProcessEngine, run_id: str) -> RunState:
    return next(state for state in engine.runs(OWNER) if state.run_id == run_id)


def until(engine: ProcessEngine, run_id: str, *phases: RunPhase) -> RunState:
    deadline = time.monotonic() + DEADLINE
    while (state := state_of(engine, run_id)).phase not in phases:
        assert time.monotonic() < deadline, (state, engine.log(run_id, 0, 9999))
        engine.changed(1)
    return state


def eventually(engine: ProcessEngine, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        engine.changed(0.02)


def ask(address: str | None, body: bytes) -> bytes:
    assert address is not None
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(DEADLINE)
        client.connect(address)
        client.sendall(encode(RequestFrame(1, body, "text/csv")))
        decoder = Decoder()
        while True:
            for frame in decoder.feed(client.recv(65536)):
                if isinstance(frame, AnswerFrame):
                    return frame.body


def process_of(engine: ProcessEngine, run_id: str) -> int:
    return int((engine.folder(run_id) / "lock").read_text())


def test_an_instance_serves_the_model_of_its_artifact(engine: ProcessEngine) -> None:
    folder = engine.folder("endpoint/0")
    (folder / "greeting").write_bytes(b"good day, ")
    with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
        archive.add(folder / "greeting", "greeting")
    engine.ensure(
        "endpoint/0", spec(digest=hashlib.sha256((folder / "model.tar.gz").read_bytes()).hexdigest())
    )
    state = until(engine, "endpoint/0", RunPhase.READY)
    assert ask(state.address, b"you") == b"good day, you"
    assert engine.log("endpoint/0", 0, 100) == b"loading for image:1\n"
    assert engine.log("endpoint/0", 8, 3) == b"for"
    assert (state.attempt, state.exit_code, state.failure) == (1, None, None)
    assert state.started_at == pytest.approx(time.time(), abs=DEADLINE)


def test_another_artifact_than_was_pinned_is_refused(engine: ProcessEngine) -> None:
    (engine.folder("endpoint/0") / "model.tar.gz").write_bytes(b"something else")
    engine.ensure("endpoint/0", spec(digest="0" * 64))
    state = until(engine, "endpoint/0", RunPhase.EXITED)
    assert state.exit_code == 1
    assert state.failure is not None
    assert state.failure.count("\n") == 0


@pytest.mark.parametrize(
    ("environment", "code", "failure"),
    [
        ({"REFUSE": "The model is a poem."}, 1, "The model is a poem."),
        ({"BREAK": "no file"}, 1, "The model could not be loaded or run: RuntimeError: no file"),
        ({"DIE": "now"}, -signal.SIGKILL, None),
    ],
)
def test_an_instance_that_cannot_start_says_why(
    engine: ProcessEngine, environment: dict[str, str], code: int, failure: str | None
) -> None:
    engine.ensure("endpoint/0", spec(**environment))
    state = until(engine, "endpoint/0", RunPhase.EXITED)
    assert (state.exit_code, state.failure) == (code, failure)
    assert state.ended_at is not None
    assert state.ended_at >= state.started_at


def test_an_environment_that_no_process_can_have_is_a_failure_with_a_reason(engine: ProcessEngine) -> None:
    engine.ensure("endpoint/0", spec(GREETING="\0"))
    state = until(engine, "endpoint/0", RunPhase.EXITED)
    assert (state.exit_code, state.failure) == (1, "The process could not be set up: embedded null byte")


def test_a_worker_has_the_containers_environment_and_not_the_services(engine: ProcessEngine) -> None:
    engine.ensure("endpoint/0", spec(GREETING="hello"))
    state = until(engine, "endpoint/0", RunPhase.READY)
    names = ask(state.address, b"environment").decode()
    assert names == str(["GREETING", "HOME", "LANG", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PATH"])
    first = Path(f"/proc/{process_of(engine, 'endpoint/0')}/environ").read_bytes()
    assert b"of the service" not in first


def test_a_worker_keeps_nothing_open_that_is_not_its_own(engine: ProcessEngine) -> None:
    for ordinal in range(3):
        engine.ensure(f"endpoint/{ordinal}", spec())
        until(engine, f"endpoint/{ordinal}", RunPhase.READY)
    folder = Path(f"/proc/{process_of(engine, 'endpoint/2')}/fd")
    opened = {str(entry.readlink()) for entry in folder.iterdir()}
    files = {name for name in opened if name.startswith("/")}
    run = engine.folder("endpoint/2")
    page = page_of(str(state_of(engine, "endpoint/2").address))
    assert files == {"/dev/null", str(run / "log"), str(run / "lock"), str(page)}


def test_the_zygote_has_one_thread(engine: ProcessEngine) -> None:
    engine.ensure("endpoint/0", spec())
    assert len(list(Path(f"/proc/{engine.zygote_id}/task").iterdir())) == 1


def test_ensuring_twice_starts_one_process(engine: ProcessEngine) -> None:
    threads = [threading.Thread(target=engine.ensure, args=("endpoint/0", spec())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = until(engine, "endpoint/0", RunPhase.READY)
    engine.ensure("endpoint/0", spec())
    assert state_of(engine, "endpoint/0") == state
    assert state.attempt == 1


def test_a_killed_instance_has_ended_and_starts_again_at_its_address(engine: ProcessEngine) -> None:
    engine.ensure("endpoint/0", spec())
    first = until(engine, "endpoint/0", RunPhase.READY)
    os.kill(int(ask(first.address, b"pid")), signal.SIGKILL)
    ended = until(engine, "endpoint/0", RunPhase.EXITED, RunPhase.LOST)
    assert (ended.phase, ended.exit_code) == (RunPhase.EXITED, -9)
    engine.ensure("endpoint/0", spec())
    second = until(engine, "endpoint/0", RunPhase.READY)
    assert (second.attempt, second.address) == (2, first.address)
    assert ask(second.address, b"again") == b"again"


@pytest.mark.parametrize(
    ("script", "code", "failure"),
    [
        ("succeed", 0, None),
        ("fail", 3, "no label column"),
        ("raise", 1, "AlgorithmError: KeyError: 'objective'"),
        ("exit", 7, None),
    ],
)
def test_a_training_job_ends_with_its_code(
    engine: ProcessEngine, script: str, code: int, failure: str | None
) -> None:
    engine.ensure("job/0", spec("train", SCRIPT=script))
    state = until(engine, "job/0", RunPhase.EXITED)
    assert (state.exit_code, state.failure) == (code, failure)
    assert (engine.folder("job/0") / "opt-ml/model/weights").read_text() == "1"
    assert b"training image:1 with 1 threads" in engine.log("job/0", 0, 1000)


def wait_for_file(engine: ProcessEngine, run_id: str, name: str) -> None:
    path = engine.folder(run_id) / name
    eventually(engine, path.exists)


def test_stopping_a_job_lets_it_end_by_itself(engine: ProcessEngine) -> None:
    engine.ensure("job/0", spec("train", SCRIPT="endless"))
    wait_for_file(engine, "job/0", "opt-ml/started")
    engine.stop("job/0", 60)
    assert until(engine, "job/0", RunPhase.EXITED).exit_code == 143


def test_a_stubborn_job_is_killed_after_its_grace(engine: ProcessEngine) -> None:
    engine.ensure("job/0", spec("train", SCRIPT="stubborn"))
    wait_for_file(engine, "job/0", "opt-ml/started")
    begun = time.monotonic()
    engine.stop("job/0", 0.4)
    engine.stop("job/0", 60)
    assert until(engine, "job/0", RunPhase.EXITED).exit_code == -9
    assert time.monotonic() - begun >= 0.4


def test_a_loading_instance_can_be_stopped(engine: ProcessEngine) -> None:
    engine.ensure("endpoint/0", spec(LOAD_SECONDS="0.3"))
    eventually(engine, lambda: bool(engine.log("endpoint/0", 0, 100)))
    engine.stop("endpoint/0", 30)
    assert until(engine, "endpoint/0", RunPhase.EXITED).exit_code == 0


def test_waiting_for_a_change_wakes_at_once_and_not_without_one(engine: ProcessEngine) -> None:
    assert not engine.changed(0.01)
    engine.ensure("endpoint/0", spec(LOAD_SECONDS="0.2"))
    begun = time.monotonic()
    assert engine.changed(DEADLINE) == {"endpoint/0"}
    assert time.monotonic() - begun < 5
    assert state_of(engine, "endpoint/0").phase is RunPhase.READY
    assert not engine.changed(0.01)


def test_forgetting_kills_and_removes(engine: ProcessEngine) -> None:
    engine.ensure("endpoint/0", spec())
    state = until(engine, "endpoint/0", RunPhase.READY)
    process = process_of(engine, "endpoint/0")
    folder = engine.folder("endpoint/0")
    engine.forget("endpoint/0")
    engine.forget("endpoint/0")
    assert not folder.exists()
    assert not Path(str(state.address)).exists()
    assert not Path(f"/proc/{process}").exists()
    assert engine.runs(OWNER) == []
    assert engine.log("endpoint/0", 0, 10) == b""


def test_a_dead_zygote_is_replaced_and_its_workers_go_on(engine: ProcessEngine) -> None:
    engine.ensure("endpoint/0", spec())
    state = until(engine, "endpoint/0", RunPhase.READY)
    zygote = engine.zygote_id
    assert zygote is not None
    os.kill(zygote, signal.SIGKILL)
    engine.ensure("endpoint/1", spec())
    until(engine, "endpoint/1", RunPhase.READY)
    assert engine.zygote_id != zygote
    assert ask(state.address, b"still here") == b"still here"
    os.kill(process_of(engine, "endpoint/0"), signal.SIGKILL)
    assert until(engine, "endpoint/0", RunPhase.LOST, RunPhase.EXITED).phase is RunPhase.LOST


def test_another_engine_takes_over_living_runs(tmp_path: Path) -> None:
    with started(tmp_path) as first:
        first.ensure("endpoint/0", spec())
        first.ensure("endpoint/1", spec(LOAD_SECONDS="1"))
        first.ensure("job/0", spec("train", SCRIPT="stubborn"))
        served = until(first, "endpoint/0", RunPhase.READY)
        wait_for_file(first, "job/0", "opt-ml/started")
        first.stop("job/0", 1)
    with started(tmp_path) as second:
        second.ensure("endpoint/0", spec())
        assert state_of(second, "endpoint/0") == served
        assert until(second, "endpoint/1", RunPhase.READY).attempt == 1
        assert until(second, "job/0", RunPhase.LOST, RunPhase.EXITED).phase is RunPhase.LOST
        second.stop("endpoint/1", 10)
        ended = until(second, "endpoint/1", RunPhase.EXITED, RunPhase.LOST)
        assert (ended.phase, ended.exit_code) == (RunPhase.EXITED, 0)
        kill_all(second)


def test_what_nobody_saw_end_was_lost_with_the_service(tmp_path: Path) -> None:
    with started(tmp_path) as first:
        first.ensure("job/0", spec("train", SCRIPT="stubborn"))
        wait_for_file(first, "job/0", "opt-ml/started")
        worker, zygote = process_of(first, "job/0"), first.zygote_id
        assert zygote is not None
        for process_id in (zygote, worker):
            os.kill(process_id, signal.SIGKILL)
        lost = until(first, "job/0", RunPhase.LOST)
        assert (lost.interruptions, lost.tries) == (0, 1)
    with started(tmp_path) as second:
        lost = state_of(second, "job/0")
        assert (lost.phase, lost.interruptions, lost.tries) == (RunPhase.LOST, 1, 0)
        second.ensure("job/0", spec("train"))
        until(second, "job/0", RunPhase.EXITED)
    with started(tmp_path) as third:
        ended = state_of(third, "job/0")
        assert (ended.phase, ended.attempt, ended.interruptions) == (RunPhase.EXITED, 2, 1)


CONTROL = """
import os, sys, threading, time
from pathlib import Path
from sagestead.domain.runs import RunSpec
from sagestead.engines.process.engine import ProcessEngine
from sagestead.engines.process.pulse import is_hung
engine = ProcessEngine(Path(sys.argv[1]), time.time)
engine.start()
engine.ensure("endpoint/0", RunSpec(sys.argv[2], "serve", "programs:load", "image:1"))
while not (engine.folder("endpoint/0") / "ready.json").exists():
    engine.changed(1)
print(engine.zygote_id, flush=True)
threading.Event().wait()
"""


@pytest.mark.parametrize("supervisor_dies", [False, True], ids=["control dies", "supervisor dies"])
def test_workers_outlive_control_but_not_the_supervisor(tmp_path: Path, *, supervisor_dies: bool) -> None:
    held_end, lifeline = os.pipe()
    with ExitStack() as stack:
        stack.callback(os.close, held_end)
        command = [sys.executable, "-c", CONTROL, str(tmp_path / "runs"), OWNER]
        environment = {**os.environ, "SAGESTEAD_LIFELINE": str(held_end)}
        control = stack.enter_context(
            subprocess.Popen(command, env=environment, pass_fds=[held_end], stdout=subprocess.PIPE)
        )
        assert control.stdout is not None
        zygote = int(control.stdout.readline())
        worker = int((ProcessEngine(tmp_path / "runs", time.time).folder("endpoint/0") / "lock").read_text())
        if supervisor_dies:
            os.close(lifeline)
        else:
            stack.callback(os.close, lifeline)
        control.kill()
        with started(tmp_path) as engine:
            eventually(engine, lambda: gone(zygote))
            if supervisor_dies:
                lost = until(engine, "endpoint/0", RunPhase.LOST)
                assert (lost.exit_code, lost.attempt, lost.interruptions, lost.tries) == (None, 1, 1, 0)
                assert gone(worker)
                engine.ensure("endpoint/0", spec())
                again = state_of(engine, "endpoint/0")
                assert (again.attempt, again.interruptions, again.tries) == (2, 1, 1)
            else:
                assert ask(state_of(engine, "endpoint/0").address, b"alive") == b"alive"
            kill_all(engine)


def test_an_instance_that_answers_no_more_is_ended_and_a_job_is_left_alone(tmp_path: Path) -> None:
    with started(tmp_path, silence=3.0) as engine:
        for run_id in ("endpoint/hung", "endpoint/well"):
            engine.ensure(run_id, spec())
            until(engine, run_id, RunPhase.READY)
        engine.ensure("job", spec("train", SCRIPT="endless"))
        eventually(engine, (engine.folder("job") / "opt-ml" / "started").exists)
        for run_id in ("endpoint/hung", "job"):
            process_id = lock.process_id(Path(engine.folder(run_id), "lock"))
            assert process_id is not None
            os.kill(process_id, signal.SIGSTOP)
        assert until(engine, "endpoint/hung", RunPhase.EXITED).exit_code == -signal.SIGKILL
        assert b"did not answer a ping in time and is replaced.\n" in engine.log("endpoint/hung", 0, 9999)
        assert state_of(engine, "endpoint/well").phase is RunPhase.READY
        assert engine.log("endpoint/well", 0, 9999) == b"loading for image:1\n", "pings leave no trace"
        assert state_of(engine, "job").phase is RunPhase.STARTING
        kill_all(engine)


def test_an_instance_is_hung_when_it_rests_and_is_silent_or_works_longer_than_anybody_waits() -> None:
    def hung(now: float, working_since: float | None) -> bool:
        return is_hung(now, asked=100.0, working_since=working_since, silence=20.0)

    assert [hung(now, None) for now in (119.9, 120.0)] == [False, True]
    assert [hung(now, 95.0) for now in (120.0, 155.0, 174.9, 175.0)] == [False, False, False, True]
    assert not hung(185.0, working_since=150.0), "the work before ended meanwhile"
    assert not hung(119.9, working_since=1.0), "it may answer the ping still"


def gone(process: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return True


def test_a_long_data_path_still_has_short_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path.parent))
    found = places.Places.prepare(tmp_path / ("long" * 30) / "runs")
    assert len(str(found.address("x" * 300))) < 100
    assert found.sockets.stat().st_mode & 0o777 == 0o700
    found.sockets.chmod(0o755)
    with pytest.raises(places.UnsafeFolder, match="only its owner"):
        places.Places.prepare(tmp_path / ("long" * 30) / "runs")


def test_a_thousand_runs_are_seen_quickly(tmp_path: Path) -> None:
    engine = ProcessEngine(tmp_path / "runs", time.time)
    for ordinal in range(1000):
        folder = engine.folder(f"other/{ordinal}")
        owner = OWNER if ordinal < 3 else f"{OWNER}-{ordinal % 100}"
        value = {"run_id": f"other/{ordinal}", "attempt": 1, "started_at": 1.0}
        (folder / "spec.json").write_text(
            json.dumps({**value, "spec": RunSpec(owner, "serve", "a:b", "i").to_json()})
        )
        engine._places.owners.add(owner, f"other/{ordinal}")
    begun = time.process_time()
    states = engine.runs(OWNER)
    assert time.process_time() - begun < 0.1
    assert [state.run_id for state in states] == ["other/0", "other/1", "other/2"]
    assert {state.phase for state in states} == {RunPhase.LOST}


def test_an_instance_answers_pings(engine: ProcessEngine) -> None:
    engine.ensure("endpoint/0", spec())
    state = until(engine, "endpoint/0", RunPhase.READY)
    with closing(socket.socket(socket.AF_UNIX)) as client:
        client.connect(str(state.address))
        client.sendall(encode(PingFrame(77)))
        decoder = Decoder()
        frames = decoder.feed(client.recv(100))
        while len(frames) < 2:
            frames += decoder.feed(client.recv(100))
        hello = frames[0]
        assert isinstance(hello, HelloFrame)
        assert frames == [HelloFrame(1, hello.id), PingFrame(77)]

"""The zygote: a process that has the libraries loaded and forks a worker for every run.

Rules: it starts no thread and calls into no OpenMP before it forks, because neither survives a fork; it
holds nothing of the service's; it ends when the engine hangs up or the supervisor is gone, and its workers
go on without it.

The engine sends one JSON line for each run, with the run's held lock attached to it as a descriptor; the
answer is one JSON line with the process id. Ends are written to exit.json and announced as notices.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import selectors
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from sagestead.domain.runs import RunSpec
from sagestead.engines.process import lock
from sagestead.engines.process.observe import read_record
from sagestead.engines.process.spare import MESSAGE_LIMIT, Spare
from sagestead.forest import compiling
from sagestead.worker import surroundings
from sagestead.worker.isolation import leave_network
from sagestead.worker.main import Work, tell, work
from sagestead.worker.run_folder import RunFolder, read_json, write_json

PREPARING = "preparing"
WORKING = "working"
PRELOADED = {
    PREPARING: ("sagestead.algorithms.xgboost.hosting",),
    WORKING: (
        "sagestead.algorithms.xgboost",  # first: it says how OpenMP waits, before anything loads OpenMP
        "numpy",
        "scipy.sparse",
        "xgboost",
        "sagestead.algorithms.xgboost.hosting",
        "sagestead.algorithms.xgboost.serving",
        "sagestead.algorithms.xgboost.training",
    ),
}
"""By kind of zygote. A fork costs what is loaded: one that only prepares models forks five times as fast."""

KERNELS_SECONDS = 1.0
"""How often a zygote without kernels looks whether they are compiled, when nothing else is to do."""

REHEARSED = {
    PREPARING: "sagestead.algorithms.xgboost.rehearsal:rehearse_preparing",
    WORKING: "sagestead.algorithms.xgboost.rehearsal:rehearse",
}
"""By kind of zygote: what goes through the life of an instance, so that instances have that behind them."""


@dataclass(frozen=True, slots=True)
class Child:
    """A worker that this zygote watches, and the lock it keeps until the worker's end is written down."""

    run: RunFolder
    notices: Path
    lock: int


class Zygote:
    """Forks workers on demand and records how they end."""

    def __init__(self, engine: socket.socket, lifeline: int | None, kind: str = WORKING) -> None:
        self._engine = engine
        self._kind = kind
        self._is_bare = kind == WORKING and compiling.kernels() is None and compiling.available()
        self._lifeline = lifeline
        self._openmp: ctypes.CDLL | None = surroundings.find_openmp()
        self._children: dict[int, Child] = {}
        self._spare: Spare | None = None
        self._files = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._wake, self._waker = socket.socketpair()
        for end in (self._wake, self._waker):
            end.settimeout(0)

    def run(self) -> None:
        """Serve the engine until it hangs up."""
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._files[1], self._files[1]))
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        try:
            self._serve()
        finally:
            signal.set_wakeup_fd(-1)  # nobody reads any more of the children that end now

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            for source in (self._engine, self._wake, self._lifeline):
                if source is not None:
                    selector.register(source, selectors.EVENT_READ)
            while True:
                if self._kind == PREPARING and self._spare is None and not self._children:
                    self._spare = Spare(self._become_worker, self._lifeline)
                pause = KERNELS_SECONDS if self._is_bare else None
                sources = [key.fileobj for key, _ in selector.select(pause)]
                if not sources and compiling.is_cached():
                    self._is_bare = False
                    warm_up(self._kind)
                if self._lifeline in sources:
                    return
                if self._wake in sources:
                    self._wake.recv(4096)
                    self._reap()
                if self._engine in sources and not self._take_order():
                    return

    def _take_order(self) -> bool:
        try:
            message, descriptors, _, _ = socket.recv_fds(self._engine, MESSAGE_LIMIT, 1)
        except ConnectionResetError:  # an engine that was killed before it read an answer
            return False
        if not message:
            return False
        os.set_inheritable(descriptors[0], False)  # noqa: FBT003 - takes no keywords
        process_id = self._begin(message, descriptors[0])
        self._engine.sendall(json.dumps({"process_id": process_id}).encode() + b"\n")
        return True

    def _begin(self, order: bytes, held: int) -> int:
        """Have a process for a run; returns its id."""
        spare, self._spare = self._spare, None
        if spare is not None and spare.give(order, held):
            process_id = spare.process_id
        elif (process_id := os.fork()) == 0:
            self._become_worker(order, held)
        lock.write_process_id(held, process_id)
        run, _, notices = _read(order)
        self._children[process_id] = Child(run, notices, held)
        return process_id

    def _become_worker(self, order: bytes, held: int) -> NoReturn:
        run, address, notices = _read(order)
        code = 1
        installing = surroundings.installers(os.environ)
        try:
            spec = self._settle(run, held)
            code = work(Work(run, spec, address, notices, installing))
        except BaseException as error:  # noqa: BLE001 - nothing may return into the zygote's loop
            traceback.print_exc()
            run.fail(f"The process could not be set up: {error}")
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _settle(self, run: RunFolder, held: int) -> RunSpec:
        """Turn the freshly forked process into the run's own; returns what to run."""
        signal.set_wakeup_fd(-1)
        lifeline = [] if self._lifeline is None else [self._lifeline]
        surroundings.leave_parent(run.path, run.log, [held, *lifeline])
        resource.setrlimit(resource.RLIMIT_NOFILE, self._files)
        record = read_record(run)
        if record is None:
            raise FileNotFoundError(run.spec)
        if record.spec.isolated and record.spec.runtime is None:
            leave_network()  # while there is one thread
        for descriptor in lifeline:
            surroundings.hold_lifeline(descriptor, run.interrupted.touch)
        surroundings.take_environment(record.spec.environment, run.path, record.spec.threads)
        surroundings.limit_threads(self._openmp, record.spec.threads)
        return record.spec

    def _reap(self) -> None:
        """Write down every end before the lock is let go, and let it go before the id can be reused."""
        while self._children or self._spare:
            end = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if end is None:
                return
            if end.si_pid not in self._children:
                self._bury_spare(end.si_pid)
                continue
            code = end.si_status if end.si_code == os.CLD_EXITED else -end.si_status
            child = self._children.pop(end.si_pid)
            if not child.run.interrupted.exists():
                with contextlib.suppress(OSError):  # the folder may have been removed
                    _write_end(child.run, code)
            os.close(child.lock)
            os.waitpid(end.si_pid, 0)
            tell(child.notices, child.run)

    def _bury_spare(self, process_id: int) -> None:
        os.waitpid(process_id, 0)
        if self._spare is not None and self._spare.process_id == process_id:
            self._spare.drop()
            self._spare = None


def _read(order: bytes) -> tuple[RunFolder, Path, Path]:
    """Return the run's folder, its address and whom to tell that it changed."""
    value = json.loads(order)
    return RunFolder(Path(value["folder"])), Path(value["address"]), Path(value["notices"])


def _write_end(run: RunFolder, code: int) -> None:
    written = read_json(run.exit)
    if written is None or written["code"] != code:
        write_json(run.exit, {"code": code, "at": time.time()})


def preload(kind: str) -> None:
    """Import what workers need; what cannot be imported fails in the run that needs it, with its reason."""
    for name in PRELOADED[kind]:
        try:
            importlib.import_module(name)
        except Exception:  # noqa: BLE001 - a broken library must not keep the others from running
            traceback.print_exc()


def warm_up(kind: str) -> None:
    """Have what every worker needs ready before it is forked, as far as it is there.

    On a new machine the kernels are still being compiled when the service starts; who is forked before they
    are there scores without them.
    """
    if kind == WORKING and compiling.available() and compiling.is_cached():
        compiling.load()
    rehearse(kind)
    gc.collect()
    surroundings.give_back_memory()
    gc.freeze()


def rehearse(kind: str) -> None:
    """Do what instances will do; where that fails, for want of room on a disk, each does it first itself."""
    if kind == PREPARING or compiling.kernels() is not None:
        module, _, function = REHEARSED[kind].partition(":")
        try:
            getattr(importlib.import_module(module), function)()
        except Exception:  # noqa: BLE001 - as in `preload`
            traceback.print_exc()


def main() -> None:
    """Run as a process. Arguments: the descriptor of the engine's socket, the kind of zygote."""
    engine = socket.socket(fileno=int(sys.argv[1]))
    lifeline = os.environ.get(surroundings.LIFELINE)
    preload(sys.argv[2])
    warm_up(sys.argv[2])
    Zygote(engine, int(lifeline) if lifeline else None, sys.argv[2]).run()


if __name__ == "__main__":
    main()

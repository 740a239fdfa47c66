"""Runs as processes of this machine (ports.Engine).

Rules: the files of a run and its lock are the truth, this object only remembers what to look at again; so
an engine that starts after another died finds every run as it is. One mutex: a run is looked at, started
and signalled by one thread at a time.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

from sagestead.domain.runs import RunSpec, RunState
from sagestead.engines.process import lock
from sagestead.engines.process.living import Living
from sagestead.engines.process.nursery import Nursery, ZygoteLost
from sagestead.engines.process.observe import Record, observe, read_record
from sagestead.engines.process.places import Places
from sagestead.engines.process.pulse import SILENCE_SECONDS, Pulse
from sagestead.engines.process.sharing import Keeper, content_of, give
from sagestead.engines.process.watch import Watch
from sagestead.ports import Clock
from sagestead.worker.progress import page_of
from sagestead.worker.run_folder import RunFolder, read_json, read_part, write_json

_FORGET_SECONDS = 10.0
_LEFT_OVER = ("ready", "failure", "exit", "interrupted", "stop", "transform_result", "equipped")


class EngineFailed(RuntimeError):  # noqa: N818 - says who failed
    """The machine did not let us start or end a process."""


class ProcessEngine:
    """Starts, watches and ends the processes of runs.

    Args:
        root: folder of the runs; sockets live beside it or, when its path is long, in a private folder
            under the system's temporary folder.
        clock: seconds since the epoch.
        silence: how many seconds an instance may leave a ping unanswered before it is ended.
    """

    def __init__(self, root: Path, clock: Clock, silence: float = SILENCE_SECONDS) -> None:
        self._clock = clock
        self._places = Places.prepare(root)
        self._mutex = threading.Lock()
        self._preparing = Nursery("preparing")
        self._nursery = Nursery("working")
        self._watch = Watch(self._places.notices, self._look)
        self._pulse = Pulse(silence, self._instances, self._end_hung)
        self._deadlines: dict[Path, float] = {}
        self._living = Living()
        self._keeper = Keeper()

    def start(self) -> None:
        """Start the zygotes and take over the runs that live already."""
        with self._mutex:
            self._preparing.start()
            self._nursery.start()
            self._adopt()
        for index in (self._places.owners, self._places.contents):
            self._keeper.tidy(partial(index.tidy, self._mutex))
        self._watch.start()
        self._pulse.start()

    def close(self) -> None:
        """End the zygotes; runs go on, and another engine may take them over."""
        self._pulse.close()
        self._watch.close()
        with self._mutex:
            self._preparing.close()
            self._nursery.close()
        self._keeper.close()

    @property
    def zygote_id(self) -> int | None:
        """Process id of the zygote of whatever serves or works."""
        return self._nursery.process_id

    def folder(self, run_id: str) -> Path:
        """Return the run's folder, made if need be."""
        path = self.path(run_id)
        path.mkdir(exist_ok=True, mode=0o700)
        return path

    def path(self, run_id: str) -> Path:
        """Return where the run's folder is, or would be: for whoever only looks."""
        return self._places.run(run_id).path

    def ensure(self, run_id: str, spec: RunSpec) -> None:
        """Start the run unless its process lives, or what it is to prepare is there already.

        Raises:
            EngineFailed: two zygotes in a row ended before they could start it.
        """
        run = RunFolder(self.folder(run_id))
        nursery = self._preparing if spec.role == "prepare" else self._nursery
        with self._mutex:
            for _ in range(2):
                held = lock.take(run.lock)
                if held is None:
                    self._living.adopt(run, run_id)
                    return
                try:
                    self._begin(run, run_id, spec)
                    if self._is_given(run, run_id, spec):
                        self._keeper.keep(run, os.dup(held))
                        self._watch.tell([run_id])
                        return
                    nursery.fork(run, self._places.address(run_id), self._places.notices, held)
                    self._living.add(run, run_id)
                except ZygoteLost:
                    self._replace(nursery)
                else:
                    return
                finally:
                    os.close(held)
        raise EngineFailed(f"the run {run_id} could not be started: the zygote ended twice")

    def stop(self, run_id: str, grace: float) -> None:
        """Send SIGTERM now and SIGKILL `grace` seconds later; of two deadlines the earlier one holds."""
        run = self._places.run(run_id)
        with self._mutex:
            if not lock.held(run.lock):
                return
            asked = read_json(run.stop)
            deadline = self._clock() + grace
            if asked is None or asked["deadline"] > deadline:
                write_json(run.stop, {"deadline": deadline})
                self._deadlines[run.path] = deadline
            if (process_id := lock.process_id(run.lock)) is not None:
                with suppress(ProcessLookupError):
                    os.kill(process_id, signal.SIGTERM)

    def runs(self, owner: str) -> list[RunState]:
        """Return the runs of a resource, ended ones too, by run id."""
        states = []
        for run in self._places.owners.runs(owner):
            with self._mutex:
                state = observe(run, lives=lock.held(run.lock))
            if state is not None and state.spec.owner == owner:
                states.append(state)
        return sorted(states, key=lambda state: state.run_id)

    def log(self, run_id: str, offset: int, limit: int) -> bytes:
        """Return up to `limit` bytes of the run's output from `offset`."""
        return read_part(self._places.run(run_id).log, offset, limit)

    def forget(self, run_id: str) -> None:
        """Remove a run and its folder; a living one is killed first.

        Raises:
            EngineFailed: it could not be killed.
        """
        run = self._places.run(run_id)
        if not self._end(run):
            raise EngineFailed(f"the run {run_id} does not end")
        with self._mutex:
            record = read_record(run)
            self._deadlines.pop(run.path, None)
            self._living.drop(run)
            shutil.rmtree(run.path, ignore_errors=True)
            address = self._places.address(run_id)
            address.unlink(missing_ok=True)
            page_of(address).unlink(missing_ok=True)
            if record is not None:
                self._places.owners.remove(record.spec.owner, run_id)
                if (content := content_of(run_id, record.spec)) is not None:
                    self._places.contents.remove(content, run_id)

    def changed(self, wait: float) -> frozenset[str]:
        """Wait up to `wait` seconds for any run to become ready or end; return the ids of those that did."""
        return self._watch.wait(wait)

    def _begin(self, run: RunFolder, run_id: str, spec: RunSpec) -> None:
        """Clear what the last attempt left and write down the next one."""
        last = observe(run, lives=False)
        attempt, interruptions = (last.attempt + 1, last.interruptions) if last else (1, 0)
        for name in _LEFT_OVER:
            getattr(run, name).unlink(missing_ok=True)
        if not run.prepared.is_dir():
            run.kept.unlink(missing_ok=True)
        if not run.kept.exists():
            shutil.rmtree(run.prepared, ignore_errors=True)
        self._deadlines.pop(run.path, None)
        self._places.owners.add(spec.owner, run_id)
        Record(run_id, spec, attempt, interruptions, self._clock()).write(run)

    def _is_given(self, run: RunFolder, run_id: str, spec: RunSpec) -> bool:
        """Give a run what another has prepared; note what it prepares in any case, for those to come."""
        content = content_of(run_id, spec)
        if content is None or run.kept.exists():
            return False
        is_given = give(content, self._places.contents.runs(content), run)
        self._places.contents.add(content, run_id)
        return is_given

    def _end(self, run: RunFolder) -> bool:
        """Kill a run and wait until it is gone."""
        pause = threading.Event()
        for _ in range(int(_FORGET_SECONDS / 0.01)):
            with self._mutex:
                if not lock.held(run.lock):
                    return True
                _kill(run)
            pause.wait(0.01)
        return False

    def _look(self, names: frozenset[str]) -> list[str]:
        """Replace a lost zygote and kill what is overdue; return the ids of runs that changed."""
        with self._mutex:
            for nursery in (self._preparing, self._nursery):
                if nursery.needs_another():
                    self._replace(nursery)
            now = self._clock()
            for path in [path for path, deadline in self._deadlines.items() if deadline <= now]:
                if lock.held(RunFolder(path).lock):
                    _kill(RunFolder(path))
                else:
                    del self._deadlines[path]
            return self._living.changed(names)

    def _instances(self) -> list[tuple[Path, Path]]:
        """Return (run folder, address) of what serves and was not asked to end."""
        with self._mutex:
            return [
                (run.path, address)
                for run, address in self._living.serving()
                if run.path not in self._deadlines
            ]

    def _end_hung(self, path: Path) -> None:
        """Kill an instance that answers nothing, and say so in its log."""
        run = RunFolder(path)
        with self._mutex:
            if lock.held(run.lock):
                with run.log.open("ab") as log:
                    log.write(b"The instance did not answer a ping in time and is replaced.\n")
                _kill(run)

    def _replace(self, nursery: Nursery) -> None:
        nursery.close()
        nursery.start()
        self._living.orphan()

    def _adopt(self) -> None:
        """Remember the living runs of an engine before, and when to kill them.

        A run whose end nobody saw was lost with the service: it is noted as interrupted.
        """
        for run in self._places.every():
            if not lock.held(run.lock):
                if run.spec.exists() and not run.exit.exists():
                    run.interrupted.touch()
                continue
            record = read_record(run)
            if record is None:
                continue
            self._living.adopt(run, record.run_id)
            if (asked := read_json(run.stop)) is not None:
                self._deadlines[run.path] = asked["deadline"]


def _kill(run: RunFolder) -> None:
    """Kill a living run's process and whatever it started."""
    process_id = lock.process_id(run.lock)
    if process_id is None:
        return
    with suppress(ProcessLookupError, PermissionError):  # it may not lead a group yet
        os.killpg(process_id, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(process_id, signal.SIGKILL)

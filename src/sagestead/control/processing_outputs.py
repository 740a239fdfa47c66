"""Brings the outputs of processing jobs into the object store: Continuous ones also while they run.

Rules: collecting twice stores the same again. What cannot be stored is said in one sentence for
FailureReason, and does not keep the rest from being stored. No link is followed, not even one that a program
puts in a file's place at that moment.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sagestead.control.artifacts import BYTES, MARKER, files_of, store
from sagestead.control.markers import read_marker, write_marker
from sagestead.domain.processing import Output, outputs_of
from sagestead.domain.resources import Json, Resource
from sagestead.planning.inputs import BadInput, split_uri
from sagestead.planning.steps import Collected, CollectProcessing, SyncOutputs
from sagestead.ports import Clock, Engine, Objects
from sagestead.worker.run_folder import RunFolder

STORED = "stored.json"
"""In the folder of each run: size and time of every file that was stored, by output and name."""

_PLAIN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


class ProcessingOutputs:
    """Stores from run folders. Safe to use from several threads, one a job."""

    def __init__(self, engine: Engine, objects: Objects, clock: Clock) -> None:
        self._engine = engine
        self._objects = objects
        self._clock = clock

    def collect(self, job: Resource, step: CollectProcessing) -> None:
        """Store the outputs of a job that has ended; of a failed one, those that are stored continuously."""
        outputs = [one for one in outputs_of(job.spec) if one.is_continuous or not step.only_continuous]
        errors = self._store_all(job, step.run_ids, outputs)
        error = f"ClientError: {errors[0]}" if errors else None
        write_marker(
            self._engine.folder(step.run_ids[0]) / MARKER, Collected(self._clock(), error=error).to_json()
        )

    def sync(self, job: Resource, step: SyncOutputs) -> None:
        """Store what is new or changed in Continuous outputs; what cannot be stored is tried again later."""
        self._store_all(job, step.run_ids, [one for one in outputs_of(job.spec) if one.is_continuous])

    def _store_all(self, job: Resource, run_ids: Iterable[str], outputs: Iterable[Output]) -> list[str]:
        """Store outputs of every host; return what went wrong."""
        errors: list[str] = []
        for run_id in run_ids:
            run = RunFolder(self._engine.folder(run_id))
            stored: Json = read_marker(run.path / STORED, dict) or {}
            for output in outputs:
                try:
                    self._store(job, run, output, stored.setdefault(output.name, {}))
                except BadInput as refusal:
                    errors.append(str(refusal))
            write_marker(run.path / STORED, stored)
        return errors

    def _store(self, job: Resource, run: RunFolder, output: Output, stored: Json) -> None:
        bucket, prefix = split_uri(output.uri)
        place = f"{prefix.rstrip('/')}/" if prefix.rstrip("/") else ""
        draft = run.path / "output-draft"
        for name, _ in files_of(run.layout.root / output.place):
            stamp = _copy(run.layout.root, f"{output.place}/{name}", stored.get(name), draft)
            if stamp is not None:
                store(self._objects, job.key.account, bucket, place + name, draft, BYTES)
                stored[name] = stamp
        draft.unlink(missing_ok=True)


def _copy(root: Path, name: str, known: list[int] | None, draft: Path) -> list[int] | None:
    """Copy a file to `draft` unless its stamp is `known`; return its stamp, None when nothing was copied.

    Every part of the name is opened for itself: none may be a link, whatever a program does meanwhile.
    """
    try:
        with _opened(root, name.split("/")) as file:
            found = os.fstat(file.fileno())
            stamp = [found.st_size, found.st_mtime_ns]
            if not stat.S_ISREG(found.st_mode) or stamp == known:
                return None
            with draft.open("wb") as copy:
                shutil.copyfileobj(file, copy, 1 << 20)
            return stamp
    except OSError:
        return None  # it was removed, or replaced by what is not stored: the next look says so


@contextmanager
def _opened(root: Path, parts: Sequence[str]) -> Iterator[BinaryIO]:
    """Open a file below `root` for reading, following no link; raises `OSError` where there is one."""
    descriptor = os.open(root, _PLAIN | os.O_DIRECTORY)
    try:
        for part in parts:
            inner = os.open(part, _PLAIN, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)

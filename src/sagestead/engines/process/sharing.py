"""A model that one run has prepared is given to every other that is to prepare the same.

Rule: the same is what the same program, of the same layout, makes of the same archive for the same image and
environment. Only what is whole and on the disk is given, as second names of its files, so there is nothing to
tidy up: a file is there for as long as a run has it. What a run was given counts while its lock is held, and
for good once that is on the disk as well, just as if a process had prepared it.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from sagestead.domain.runs import RunSpec
from sagestead.engines.process.observe import read_record
from sagestead.worker.run_folder import RunFolder, write_json

_LOG = logging.getLogger(__name__)


def content_of(run_id: str, spec: RunSpec) -> str | None:
    """Return the name of what a run prepares; None when it prepares nothing, or nothing known.

    The last part of the run's id says in which layout (planning/fleet.py).
    """
    if spec.role != "prepare" or spec.digest is None:
        return None
    layout = run_id.rpartition("/")[2]
    return json.dumps([spec.entry, layout, spec.digest, spec.image, sorted(spec.environment.items())])


def give(content: str, others: Iterable[RunFolder], run: RunFolder) -> bool:
    """Give a run what one of the others has prepared; False when none has, or files have one name here."""
    for other in others:
        record = read_record(other) if other.path != run.path and other.kept.exists() else None
        if record is not None and content_of(record.run_id, record.spec) == content:
            return _link(other.prepared, run)
    return False


class Keeper:
    """Does on a thread what nobody waits for: has what runs were given flushed to the disk, and tidies up."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="keeper")

    def tidy(self, work: Callable[[], None]) -> None:
        """Have something tidied up."""
        self._pool.submit(work)

    def keep(self, run: RunFolder, lock: int) -> None:
        """Have it on the disk, then let go of the run's lock; `lock` is the keeper's own from now on."""
        try:
            self._pool.submit(_keep, run, lock)
        except BaseException:
            os.close(lock)
            raise

    def close(self) -> None:
        """Wait for what is under way."""
        self._pool.shutdown()


def _keep(run: RunFolder, lock: int) -> None:
    try:
        run.keep()
    except OSError as error:
        _LOG.exception("what %s was given is not kept", run.path.name)
        with suppress(OSError):
            run.fail(f"The model could not be kept: {error}")
            write_json(run.exit, {"code": 1, "at": time.time()})
    finally:
        os.close(lock)


def _link(prepared: Path, run: RunFolder) -> bool:
    shutil.rmtree(run.draft, ignore_errors=True)
    try:
        run.draft.mkdir()
        for file in prepared.iterdir():
            os.link(file, run.draft / file.name)
        run.draft.rename(run.prepared)
    except OSError:  # no second names here, or too many: it is prepared anew
        shutil.rmtree(run.draft, ignore_errors=True)
        return False
    return True

"""The folder of one run, as files with names (domain/runs.py says what each holds).

Rule: a file that another process may read while it is written is replaced whole, so that a reader sees
the old content or the new, never half.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagestead.worker.layout import Layout

FAILURE_LIMIT = 1024


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths of a run's files below `path`."""

    path: Path

    @property
    def layout(self) -> Layout:
        """What a container sees as /opt/ml."""
        return Layout(self.path / "opt-ml")

    @property
    def spec(self) -> Path:
        """The run's identity, attempt and RunSpec."""
        return self.path / "spec.json"

    @property
    def archive(self) -> Path:
        """The model artifact."""
        return self.path / "model.tar.gz"

    @property
    def source(self) -> Path:
        """The user's program, when it lies in an archive of its own."""
        return self.path / "source.tar.gz"

    @property
    def equipped(self) -> Path:
        """There once the run has its runtime."""
        return self.path / "equipped"

    @property
    def runtimes(self) -> Path:
        """Where the runtimes of the data folder are: beside the folder of the runs."""
        return self.path.parent.parent / "runtimes"

    @property
    def packages(self) -> Path:
        """The environment that programs of the user's may install into, when they have one for themselves."""
        return self.path / "packages"

    @property
    def transform_task(self) -> Path:
        """A TransformTask."""
        return self.path / "transform.json"

    @property
    def transform_result(self) -> Path:
        """A TransformResult."""
        return self.path / "transform-result.json"

    @property
    def data_log(self) -> Path:
        """The platform's own log lines of a transform."""
        return self.path / "data-log"

    @property
    def log(self) -> Path:
        """Standard output and error of every attempt."""
        return self.path / "log"

    @property
    def lock(self) -> Path:
        """Locked while the process lives; holds its process id."""
        return self.path / "lock"

    @property
    def prepared(self) -> Path:
        """What front doors map; whole when it is there."""
        return self.path / "prepared"

    @property
    def kept(self) -> Path:
        """There once `prepared` is on the disk; without it a power cut may have torn it."""
        return self.path / "prepared.kept"

    @property
    def draft(self) -> Path:
        """Where `prepared` is written."""
        return self.path / "prepared.draft"

    @property
    def ready(self) -> Path:
        """Where the instance listens, once it does."""
        return self.path / "ready.json"

    @property
    def failure(self) -> Path:
        """Why it failed, in one paragraph."""
        return self.path / "failure"

    @property
    def exit(self) -> Path:
        """How and when it ended."""
        return self.path / "exit.json"

    @property
    def interrupted(self) -> Path:
        """There when the process ended because the service did, or unseen while there was none."""
        return self.path / "interrupted"

    @property
    def stop(self) -> Path:
        """When a run that was asked to end will be killed."""
        return self.path / "stop.json"

    @property
    def threads(self) -> Path:
        """How many threads it may use now; the spec says how many when it started."""
        return self.path / "threads"

    @property
    def meeting(self) -> Path:
        """Where the hosts of a training job find each other."""
        return self.path / "meeting"

    @property
    def kept_data(self) -> Path:
        """Where trials of tuning jobs keep what they have read, for each other; others have no such place."""
        return self.path / "kept-data"

    @property
    def pipes(self) -> Path:
        """What is fed into the FIFOs of Pipe channels."""
        return self.path / "pipes"

    def keep(self) -> None:
        """Have `prepared` on the disk, and say so."""
        for path in (*self.prepared.iterdir(), self.prepared, self.path):
            _flush(path)
        self.kept.touch()

    def fail(self, paragraph: str) -> None:
        """Say why the run failed: the first 1,024 characters are kept."""
        write_text(self.failure, paragraph.strip()[:FAILURE_LIMIT])


def _flush(path: Path) -> None:
    """Have a file's or folder's content on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Replace a file's content whole; what UTF-8 cannot write becomes `?`."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8", errors="replace")
    draft.replace(path)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replace a file's content whole by a JSON object."""
    write_text(path, json.dumps(value))


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in a file; None when there is no file or no whole object in it."""
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def read_part(path: Path, offset: int, limit: int) -> bytes:
    """Return up to `limit` bytes of a growing file from `offset`; cheap when there are none, or no file."""
    try:
        if path.stat().st_size <= offset:
            return b""
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(limit)
    except FileNotFoundError:
        return b""

"""Liveness by lock: a run lives exactly while someone holds its lock file.

The engine takes the lock, hands it to the zygote, and the zygote to the process it forks. The zygote lets go
only after it has written how the process ended. So whoever finds the lock free may read the end of the run,
and a process id in a held lock is the run's, never a stranger's.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path


def take(path: Path) -> int | None:
    """Return a descriptor that holds the lock, or None when the run lives."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    os.ftruncate(descriptor, 0)
    return descriptor


def held(path: Path) -> bool:
    """True while the run lives. Asking makes a concurrent `take` fail: do both under one mutex."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def write_process_id(descriptor: int, process_id: int) -> None:
    """Note whose lock it is."""
    os.pwrite(descriptor, b"%d" % process_id, 0)


def process_id(path: Path) -> int | None:
    """Return the id noted in a lock; None when nobody noted one yet."""
    with suppress(FileNotFoundError, ValueError):
        return int(path.read_bytes())
    return None

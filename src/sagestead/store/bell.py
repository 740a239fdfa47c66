"""A bell that whoever wrote rings, so that nobody has to look all the time whether somebody has.

Rule: a ring is only a reason to look; lost ones do no harm but delay. Each listener has a FIFO of its name in
one folder; ringing never waits, and FIFOs that nobody listens at are passed over.
"""

from __future__ import annotations

import os
import select
from contextlib import suppress
from pathlib import Path

_READ_SIZE = 4096


class Bell:
    """The bell of one folder, made if need be."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder

    def ring(self) -> None:
        """Wake everyone who listens (some ten microseconds each)."""
        for name in os.listdir(self._folder):  # noqa: PTH208 - with every write: paths cost more than the ring
            with suppress(OSError):  # nobody listens there, or it has been rung often enough
                end = os.open(f"{self._folder}/{name}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                try:
                    os.write(end, b"\0")
                finally:
                    os.close(end)

    def listen(self, name: str) -> Ear:
        """Listen under a name of one's own, in the place of whoever listened under it before."""
        place = self._folder / name
        place.unlink(missing_ok=True)
        os.mkfifo(place, 0o600)
        return Ear(os.open(place, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))


class Ear:
    """Hears one bell. For one thread at a time."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def wait(self, seconds: float) -> bool:
        """Wait for a ring since the last call, at most so long; True when there was one."""
        if not self._poll.poll(max(0.0, seconds) * 1000):
            return False
        with suppress(BlockingIOError):
            os.read(self._descriptor, _READ_SIZE)
        return True

    def wake(self) -> None:
        """Have `wait` return; may be called from any thread or signal handler."""
        with suppress(BlockingIOError):
            os.write(self._descriptor, b"\0")

    def close(self) -> None:
        """Hear no more."""
        os.close(self._descriptor)

"""How far an instance may grow: a model that leaks is replaced before the machine suffers.

Rule: the model itself is no leak, however large. Counted is what the process has gained since it was ready,
and it may gain a quarter of the machine's memory.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path

SHARE = 4
LOOK_SECONDS = 1.0
_MIB = 1 << 20


class Growth:
    """Watches the memory of this process.

    Args:
        allowed: bytes that it may gain; by default a quarter of the machine's memory.
    """

    def __init__(self, allowed: int | None = None) -> None:
        self._allowed = _machine() // SHARE if allowed is None else allowed
        self._first = resident()
        self._look_at = 0.0

    def excess(self) -> str | None:
        """Return a sentence when the process has gained too much; looks once a second only."""
        now = time.monotonic()
        if now < self._look_at:
            return None
        self._look_at = now + LOOK_SECONDS
        gained = resident() - self._first
        if gained <= self._allowed:
            return None
        return (
            f"The instance has gained {gained // _MIB} MiB of memory since it was ready; "
            f"{self._allowed // _MIB} MiB are allowed. It answers what has arrived and is replaced."
        )


def resident() -> int:
    """Return how many bytes of memory this process has; where /proc is missing, the most it ever had."""
    try:
        pages = Path("/proc/self/statm").read_bytes().split()[1]
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return int(pages) * resource.getpagesize()


def _machine() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

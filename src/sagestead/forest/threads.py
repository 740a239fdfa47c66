"""The threads that score in this process: as many as cores, made when there is work, behind everything else.

Rule: what they do gives way to the event loops and to other processes of the machine; a process that forks
has none.
"""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache

CORES = os.cpu_count() or 1
NICENESS = 5


def give_way() -> None:
    """Let other threads of the machine go before this one, where a thread can have a niceness of its own."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


@lru_cache(maxsize=1)
def helpers() -> ThreadPoolExecutor:
    """Return the threads that take a part of what another thread scores."""
    return ThreadPoolExecutor(CORES, "scoring", initializer=give_way)

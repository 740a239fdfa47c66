"""A child of the zygote that is there before it is needed, so that a run begins without a fork.

Rule: it does nothing until it is given a run, holds nothing of the zygote's but the lifeline, and ends when
the zygote hangs up or the supervisor is gone. Its heap is as large as a small model needs, and touched
already: a fresh process would fault it in page by page.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from sagestead.worker.surroundings import close_all_but

HEAP = 4 << 20
BLOCK = 1000
"""About as much as a list of a tree: what is free between what the zygote holds is taken, too."""

MESSAGE_LIMIT = 16 * 1024

# mallopt(3): keep what is freed, and take large blocks from what is kept.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT = 32 << 20

Become = Callable[[bytes, int], NoReturn]
"""Turns this process into that of a run: (order, held lock)."""


class Spare:
    """A waiting child, as the zygote sees it."""

    def __init__(self, become: Become, lifeline: int | None) -> None:
        self._socket, theirs = socket.socketpair()
        self.process_id = os.fork()
        if self.process_id == 0:
            _live(theirs, lifeline, become)
        theirs.close()

    def give(self, order: bytes, lock: int) -> bool:
        """Give it a run, the last thing that is ever said to it; False when it is gone."""
        with self._socket:
            try:
                socket.send_fds(self._socket, [order], [lock])
            except OSError:
                return False
        return True

    def drop(self) -> None:
        """Let go of it."""
        self._socket.close()


def _live(zygote: socket.socket, lifeline: int | None, become: Become) -> NoReturn:
    try:
        signal.set_wakeup_fd(-1)
        heard = [zygote.fileno(), *([] if lifeline is None else [lifeline])]
        close_all_but({0, 1, 2, *heard})
        _touch_heap()
        ready, _, _ = select.select(heard, [], [])
        if heard[0] in ready:
            message, descriptors, _, _ = socket.recv_fds(zygote, MESSAGE_LIMIT, 1)
            if message:
                os.set_inheritable(descriptors[0], False)  # noqa: FBT003 - takes no keywords
                become(message, descriptors[0])
    finally:
        os._exit(0)


def _touch_heap() -> None:
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT)
        library.mallopt(_M_MMAP_THRESHOLD, _KEPT)
        blocks = [bytearray(BLOCK) for _ in range(HEAP // BLOCK)]
        del blocks

"""The engine's watch: a thread that wakes on notices and looks around at least four times a second.

Rule: a notice names a run and is only a reason to look at it. Lost or superfluous notices do no harm.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

LOOK_SECONDS = 0.25
_NAME_LIMIT = 64
_AT_ONCE = 256

_LOG = logging.getLogger(__name__)


class Watch:
    """Gathers the ids of runs that changed and lets others wait for them."""

    def __init__(self, notices: Path, look: Callable[[frozenset[str]], Iterable[str]]) -> None:
        """`look` is given the names in notices, now and then none; it returns ids of runs that changed."""
        self._notices = notices
        self._look = look
        self._changed = threading.Condition()
        self._news: set[str] = set()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="engine-watch", daemon=True)

    def start(self) -> None:
        """Listen for notices, in the place of an engine that listened before."""
        self._notices.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(LOOK_SECONDS)
        self._socket.bind(str(self._notices))
        self._thread.start()

    def close(self) -> None:
        """End the thread and whoever waits."""
        self._closing = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
        with self._changed:
            self._changed.notify_all()

    def wait(self, seconds: float) -> frozenset[str]:
        """Wait for a change; return the ids of the runs that changed since the last call."""
        with self._changed:
            self._changed.wait_for(lambda: self._news or self._closing, seconds)
            news = frozenset(self._news)
            self._news.clear()
            return news

    def tell(self, run_ids: Iterable[str]) -> None:
        """Add runs that changed."""
        with self._changed:
            self._news.update(run_ids)
            if self._news:
                self._changed.notify_all()

    def _run(self) -> None:
        while not self._closing:
            names = self._hear()
            try:
                self.tell(self._look(names))
            except Exception:  # noqa: BLE001 - the watch goes on, whatever the machine's trouble
                _LOG.exception("runs could not be looked at; trying again")

    def _hear(self) -> frozenset[str]:
        """Wait for a notice and return the names in all that have come."""
        names = set()
        with suppress(OSError):
            names.add(self._socket.recv(_NAME_LIMIT))
            while len(names) < _AT_ONCE:
                names.add(os.read(self._socket.fileno(), _NAME_LIMIT))  # never waits, unlike recv
        return frozenset(name.decode("ascii", "replace") for name in names)

"""The engine's watch: a thread that wakes on notices and looks around at least four times a second.

Rule: a notice is only a reason to look. Lost or superfluous notices do no harm.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

LOOK_SECONDS = 0.25

_LOG = logging.getLogger(__name__)


class Watch:
    """Counts changes and lets others wait for the next one."""

    def __init__(self, notices: Path, look: Callable[[], bool]) -> None:
        """`look` is called after each notice and each interval; it says whether it found a change."""
        self._notices = notices
        self._look = look
        self._changed = threading.Condition()
        self._changes = 0
        self._told = 0
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
        self._announce()

    def wait(self, seconds: float) -> bool:
        """Wait for a change since the last call that returned True; True if there was one."""
        with self._changed:
            self._changed.wait_for(lambda: self._changes > self._told or self._closing, seconds)
            fresh = self._changes > self._told
            self._told = self._changes
            return fresh and not self._closing

    def _announce(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def _run(self) -> None:
        while not self._closing:
            noticed = self._hear()
            try:
                found = self._look()
            except Exception:  # noqa: BLE001 - the watch goes on, whatever the machine's trouble
                _LOG.exception("runs could not be looked at; trying again")
                found = False
            if found or noticed:
                self._announce()

    def _hear(self) -> bool:
        try:
            return bool(self._socket.recv(64))
        except OSError:
            return False

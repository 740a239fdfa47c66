"""The engine's pulse: finds instances that live and answer nothing any more.

Rule: an instance that leaves a ping unanswered for `silence` seconds is reported, so that it is ended and
started again; but while its model works on something, only once that takes longer than any client waits.
Only what serves is asked; a job may work as long as it likes.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sagestead.wire.frames import PingFrame, encode
from sagestead.worker.progress import working_since

SILENCE_SECONDS = 20.0
INVOCATION_SECONDS = 60.0
"""How long an invocation may take: nobody waits for an answer any longer."""
PINGS = 4
"""How many pings are due in the time that an instance may be silent."""

_ANSWER_SIZE = 1024
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Asked:
    """An instance's run folder, and since when (monotonic) it owes us an answer."""

    run: Path
    address: Path
    since: float


def is_hung(now: float, asked: float, working_since: float | None, silence: float) -> bool:
    """Decide whether an instance will answer nothing any more; all times monotonic seconds.

    Args:
        now: the time.
        asked: when it was sent the ping that it owes us an answer to.
        working_since: when its model began what it works on, None while it rests.
        silence: seconds that an instance at rest may take, and one at work beyond `INVOCATION_SECONDS`.
    """
    if now - asked < silence:
        return False
    return working_since is None or now - working_since >= INVOCATION_SECONDS + silence


class Pulse:
    """Asks instances on a thread.

    Args:
        silence: seconds that an answer may take.
        instances: returns (run folder, address) of what serves now.
        hung: is told the run folder of an instance that does not answer.
    """

    def __init__(
        self,
        silence: float,
        instances: Callable[[], Iterable[tuple[Path, Path]]],
        hung: Callable[[Path], None],
    ) -> None:
        self._silence = silence
        self._instances = instances
        self._hung = hung
        self._selector: selectors.DefaultSelector
        self._waker: socket.socket
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="engine-pulse", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._selector = selectors.DefaultSelector()
        wake, self._waker = socket.socketpair()
        self._selector.register(wake, selectors.EVENT_READ)
        self._thread.start()

    def close(self) -> None:
        """Ask no more."""
        self._closing = True
        self._waker.send(b"\0")
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            self._let_go(key)
        self._selector.close()
        self._waker.close()

    def _run(self) -> None:
        ask_at = time.monotonic() + self._silence / PINGS
        while not self._closing:
            for key, _ in self._selector.select(max(0.0, ask_at - time.monotonic())):
                if key.data is not None:
                    self._take(key)
            if time.monotonic() >= ask_at:
                ask_at = time.monotonic() + self._silence / PINGS
                try:
                    self._report()
                    self._ask()
                except Exception:  # noqa: BLE001 - the pulse goes on, whatever the machine's trouble
                    _LOG.exception("instances could not be asked; trying again")

    def _pending(self) -> list[selectors.SelectorKey]:
        return [key for key in self._selector.get_map().values() if key.data is not None]

    def _report(self) -> None:
        """Report those that will answer nothing any more."""
        now = time.monotonic()
        for key in self._pending():
            asked = key.data
            if is_hung(now, asked.since, working_since(asked.address), self._silence):
                self._let_go(key)
                self._hung(asked.run)

    def _ask(self) -> None:
        asked = {key.data.run for key in self._pending()}
        for run, address in self._instances():
            if run not in asked and (connection := _ping(address)) is not None:
                self._selector.register(
                    connection, selectors.EVENT_READ, _Asked(run, address, time.monotonic())
                )

    def _take(self, key: selectors.SelectorKey) -> None:
        """Take the answer, or the end; one that is left unread would reach the instance as a breach."""
        if isinstance(key.fileobj, socket.socket):
            with suppress(OSError):
                key.fileobj.recv(_ANSWER_SIZE)
        self._let_go(key)

    def _let_go(self, key: selectors.SelectorKey) -> None:
        self._selector.unregister(key.fileobj)
        if isinstance(key.fileobj, socket.socket):
            key.fileobj.close()


def _ping(address: Path) -> socket.socket | None:
    """Send a ping without waiting; None when nobody listens there."""
    connection = socket.socket(socket.AF_UNIX)
    connection.setblocking(False)  # noqa: FBT003 - takes no keywords
    with suppress(OSError):
        connection.connect(str(address))
        connection.sendall(encode(PingFrame(1)))
        return connection
    connection.close()
    return None

"""Where the hosts of a training job find each other (`algo-1` and the others, processes of one machine).

Rule: the first host holds a lock on the file while it is there, so a file that nobody holds is one of an
earlier start and says nothing. Who can read the file may join, nobody else.
"""

from __future__ import annotations

import fcntl
import hmac
import json
import os
import secrets
import socket
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"
POLL_SECONDS = 0.01
_LONGEST = 1 << 20
_JOIN_SECONDS = 10.0
_BACKLOG = 128

Facts = Mapping[str, Any]


class FirstHost:
    """The first host's side: hears every other host once, then tells all of them the same.

    Args:
        place: the file.
        hosts: names of the others.
    """

    def __init__(self, place: Path, hosts: Sequence[str]) -> None:
        self._missing = set(hosts)
        self._token = secrets.token_hex(16)
        self._connections: list[socket.socket] = []
        self._listener = socket.create_server((LOOPBACK, 0), backlog=_BACKLOG)
        self._held = _hold(place, {"port": self._listener.getsockname()[1], "token": self._token})

    def hear(self) -> dict[str, Facts]:
        """Wait for all others; return what each of them says."""
        said: dict[str, Facts] = {}
        while self._missing:
            connection, _ = self._listener.accept()
            message = self._greeted(connection)
            if message is None:
                connection.close()
                continue
            said[message["host"]] = message["facts"]
            self._missing.discard(message["host"])
            self._connections.append(connection)
        return said

    def tell(self, answer: Facts) -> None:
        """Tell all others, and end the meeting; whoever has gone meanwhile is not waited for."""
        for connection in self._connections:
            with connection:
                _send(connection, answer)
        self._listener.close()
        os.close(self._held)

    def _greeted(self, connection: socket.socket) -> Facts | None:
        """Return what a host says that was waited for; None when it is somebody else."""
        try:
            connection.settimeout(_JOIN_SECONDS)
            message = _receive(connection)
            is_known = hmac.compare_digest(str(message["token"]).encode(), self._token.encode())
            return message if is_known and message["host"] in self._missing and "facts" in message else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def join(place: Path, host: str, facts: Facts) -> Facts:
    """Say something to the first host, whenever it is there; return what it tells everyone."""
    pause = threading.Event()
    while True:
        found = _found(place)
        if found is not None:
            try:
                with socket.create_connection((LOOPBACK, found["port"])) as connection:
                    _send(connection, {"host": host, "token": found["token"], "facts": dict(facts)})
                    return _receive(connection)
            except (OSError, ValueError):
                pass  # it has gone; whether another comes is decided elsewhere
        pause.wait(POLL_SECONDS)


def _hold(place: Path, content: Mapping[str, Any]) -> int:
    """Write the file whole and locked; return the descriptor that holds it."""
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.write(descriptor, json.dumps(content).encode())
    draft.replace(place)
    return descriptor


def _found(place: Path) -> dict[str, Any] | None:
    """Return the content of the file if somebody holds it."""
    try:
        with place.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                content: dict[str, Any] = json.load(file)
                return content
    except (FileNotFoundError, ValueError):
        pass
    return None


def _send(connection: socket.socket, message: Facts) -> None:
    try:
        connection.sendall(json.dumps(dict(message)).encode() + b"\n")
    except OSError:
        return


def _receive(connection: socket.socket) -> dict[str, Any]:
    with connection.makefile("rb") as lines:
        message: dict[str, Any] = json.loads(lines.readline(_LONGEST))
    return message

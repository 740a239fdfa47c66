"""The listening sockets, and the life of the connections: accepted, watched, drained."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import Protocol

from sagestead.frontdoor.connection import Connection
from sagestead.frontdoor.gate import Repeat
from sagestead.frontdoor.head import Beginnings
from sagestead.frontdoor.limits import Limits
from sagestead.frontdoor.memory import Remembered
from sagestead.wire.http import App

FAREWELL = 0.5
"""Seconds that a client may take to answer TLS's closing alert; idle clients often never read it."""

ADMISSION = 1.0
"""Seconds in which all who were waiting when the door began to close are let in."""

LULL = 0.25
"""Seconds without a request after which a connection is closed while draining: a busy client's next request
may already be on its way, and is answered."""


class Repeats(Protocol):
    """See `Gate.repeat`."""

    def __call__(
        self, data: bytes, request_id: str, before: Remembered | None, *, secure: bool
    ) -> Repeat | int:
        """Return what a request is like and its answer, or how many bytes it lacks; 0: it has to be read."""
        ...


class FrontDoor:
    """Serves one app on one address. Make it inside a running event loop.

    Args:
        app: answers every request.
        repeat: answers requests that are like earlier ones, before they are read.
        limits: bounds on what clients may hold.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        app: App,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        repeat: Repeats | None = None,
    ) -> None:
        self.app = app
        self.repeat = repeat
        self.limits = limits or Limits()
        self.clock = clock
        self.loop = asyncio.get_running_loop()
        self.beginnings = Beginnings()
        self.draining = False
        self.connections: set[Connection] = set()
        self._ids = RequestIds()
        self._server: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None

    async def start(
        self, host: str, port: int, *, reuse_port: bool = False, tls: ssl.SSLContext | None = None
    ) -> int:
        """Listen; returns the port (the system's choice when `port` is 0)."""
        self._server = await self.loop.create_server(
            lambda: Connection(self),
            host,
            port,
            reuse_port=reuse_port or None,
            backlog=2048,
            ssl=tls,
            ssl_shutdown_timeout=FAREWELL if tls else None,
        )
        self._tick()
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def drain(self, seconds: float) -> None:
        """Stop listening, let answers under way end (at most `seconds`), then close everything."""
        self.draining = True
        if self._server is not None:
            await self._stop_listening(self._server)
        deadline = self.clock() + seconds
        while self.connections and self.clock() < deadline:
            for connection in list(self.connections):
                connection.close_if_idle(self.clock() - LULL)
            await asyncio.sleep(0.01)
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self.connections):
            if connection.transport is not None:
                connection.transport.abort()

    async def _stop_listening(self, server: asyncio.Server) -> None:
        """Close the sockets when nobody waits there: closing them would reset who does.

        A waiting line of length 0 makes newcomers ask again a second later, and find the socket closed.
        """
        waiting = select.poll()
        for listening in server.sockets:
            waiting.register(listening.fileno(), select.POLLIN)
            with socket.fromfd(listening.fileno(), listening.family, listening.type) as same:
                same.listen(0)
        deadline = self.clock() + ADMISSION
        while waiting.poll(0) and self.clock() < deadline:  # noqa: ASYNC110 - nobody tells when the line is empty
            await asyncio.sleep(0.001)
        server.close()

    def new_id(self) -> str:
        """Return a fresh request id: a version 4 UUID."""
        return self._ids.take()

    def admit(self, connection: Connection) -> bool:
        """Take in a connection, unless the door is full or closing."""
        if len(self.connections) >= self.limits.connections:
            return False
        self.connections.add(connection)
        return True

    def leave(self, connection: Connection) -> None:
        """Forget a connection."""
        self.connections.discard(connection)

    def _tick(self) -> None:
        now = self.clock()
        for connection in list(self.connections):
            connection.tick(now)
        self._sweep = self.loop.call_later(1.0, self._tick)


class RequestIds:
    """Version 4 UUIDs: their first half is random and drawn now and then, their last digits count."""

    __slots__ = ("_beginning", "_end", "_next")

    def __init__(self) -> None:
        self._beginning = ""
        self._next = self._end = 0

    def take(self) -> str:
        """Return the next id."""
        if self._next == self._end:
            h = os.urandom(16).hex()
            self._beginning = f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:28]}"
            self._next, self._end = 0, 0x10000
        number = self._next
        self._next = number + 1
        return f"{self._beginning}{number:04x}"

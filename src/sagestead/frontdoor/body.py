"""The body of a request as it arrives, and that of an answer as it leaves.

Rule: never more than `Limits.buffered` bytes (and one read of the socket) wait in memory; a reader that stops
stops the socket.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from sagestead.domain.errors import Refusal
from sagestead.wire.http import Stream


class InboundBody:
    """Implements `wire.http.Body`. Fed by the connection, read once by the handler.

    Args:
        flow: called whenever the number of waiting bytes changes.
        begin: called before the first read; sends `100 Continue` when the client waits for it.
    """

    __slots__ = ("_begin", "_error", "_flow", "_parts", "_waiter", "complete", "started", "waiting")

    def __init__(self, flow: Callable[[], None], begin: Callable[[], None]) -> None:
        self._parts: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error: Refusal | None = None
        self._flow = flow
        self._begin = begin
        self.waiting = 0
        self.started = False
        self.complete = False

    @classmethod
    def empty(cls) -> InboundBody:
        """Return a body of no bytes that is here."""
        body = cls(nothing, nothing)
        body.finish()
        return body

    def feed(self, data: bytes) -> None:
        """Take bytes from the parser."""
        self._parts.append(data)
        self.waiting += len(data)
        self._wake()

    def finish(self) -> None:
        """Say that the body is whole."""
        self.complete = True
        self._wake()

    def fail(self, refusal: Refusal) -> None:
        """Say that the rest will never come; a reader gets the refusal."""
        if not self.complete:
            self._error = refusal
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def whole(self) -> bytes | None:
        """Return the whole body, unread as before, when all of it is here; else None."""
        if not self.complete or self.started:
            return None
        parts = self._parts
        if len(parts) > 1:
            whole = b"".join(parts)
            parts.clear()
            parts.append(whole)
        return parts[0] if parts else b""

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes as they arrive.

        Raises:
            Refusal: `IncompleteBody` when the client went away or broke the framing.
        """
        if not self.started:
            self.started = True
            self._begin()
        while True:
            while self._parts:
                part = self._parts.popleft()
                self.waiting -= len(part)
                self._flow()
                yield part
            if self._error is not None:
                raise self._error
            if self.complete:
                return
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    async def read(self, limit: int) -> bytes:
        """Return the whole body; raise a 413 refusal beyond `limit` bytes."""
        whole = bytearray()
        async for part in self.chunks():
            whole += part
            if len(whole) > limit:
                raise Refusal(
                    f"The body is longer than {limit} bytes; send less in one request.",
                    code="RequestEntityTooLarge",
                    status=413,
                )
        return bytes(whole)


def nothing() -> None:
    """Do nothing."""


async def framed(stream: Stream) -> AsyncIterator[bytes]:
    """Yield an answer's body as it is sent: in chunks, when its length is not known.

    Raises:
        RuntimeError: it has not the length that was declared.
    """
    chunked, sent = stream.length is None, 0
    async for part in stream.chunks:
        if part:
            sent += len(part)
            yield b"%x\r\n%b\r\n" % (len(part), part) if chunked else part
    if chunked:
        yield b"0\r\n\r\n"
    elif sent != stream.length:
        raise RuntimeError(f"the answer has {sent} bytes instead of {stream.length}")

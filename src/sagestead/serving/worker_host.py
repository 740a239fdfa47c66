"""A host that is a process behind a Unix socket: frames out, frames back, any number under way.

An instance begins the requests of a connection one after another and answers each before it begins the
next. So when a connection breaks, only the oldest unanswered request can have been begun; the others may
be asked again elsewhere.
"""

from __future__ import annotations

import asyncio
import itertools
import select
from typing import cast

from sagestead.serving.host import NoAnswer, Unread
from sagestead.wire.frames import (
    AnswerFrame,
    BrokenFrame,
    Decoder,
    GoodbyeFrame,
    RequestFrame,
    encode,
)
from sagestead.worker.contract import Answer, Invocation

TIMEOUT = 60.0
_ID_SPACE = 2**32
_ENDED = getattr(select, "POLLRDHUP", 0) | select.POLLHUP


class WorkerHost:
    """One instance at the path of its Unix socket. `timeout`: seconds that an answer may take."""

    def __init__(self, address: str, timeout: float = TIMEOUT) -> None:
        self._address = address
        self._timeout = timeout
        self._link: _Link | None = None
        self._connecting = asyncio.Lock()
        self._retired = False

    @property
    def outstanding(self) -> int:
        """How many requests it has not answered."""
        return len(self._link.pending) if self._link is not None else 0

    def begin(self, invocation: Invocation) -> asyncio.Future[Answer]:
        """Pass a request on; the future gets its answer, or one of these.

        Raises:
            Unread: the instance is not there, or went before it began the request.
            NoAnswer: the instance went and may have begun the request.
            TimeoutError: no answer in time; the request stays outstanding until the instance answers it.
        """
        return asyncio.ensure_future(self._invoke(invocation))

    async def _invoke(self, invocation: Invocation) -> Answer:
        async with asyncio.timeout(self._timeout):
            link = await self._connected()
            return await link.send(invocation)

    def retire(self) -> None:
        """Hang up once the outstanding requests have ended."""
        self._retired = True
        if self._link is not None:
            self._link.hang_up_when_idle()

    async def _connected(self) -> _Link:
        if self._link is not None and self._link.usable:
            return self._link
        async with self._connecting:
            if self._link is None or not self._link.usable:
                try:
                    loop = asyncio.get_running_loop()
                    _, self._link = await loop.create_unix_connection(_Link, self._address)
                except OSError as error:
                    raise Unread from error
            if self._retired:
                self._link.hang_up_when_idle()
            return self._link


class _Link(asyncio.Protocol):
    """One connection to an instance. `pending` is in the order of sending."""

    def __init__(self) -> None:
        self.pending: dict[int, asyncio.Future[Answer]] = {}
        self.usable = False
        self._decoder = Decoder()
        self._ids = itertools.count()
        self._leaving = False
        self._transport: asyncio.Transport
        self._end = select.poll()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass
        self._end.register(transport.get_extra_info("socket").fileno(), _ENDED)
        self.usable = True

    def send(self, invocation: Invocation) -> asyncio.Future[Answer]:
        """Write a request; the future gets its answer, `Unread` or `NoAnswer`.

        Raises:
            Unread: the instance has gone already, which the loop will only hear next.
        """
        if not self.pending and self._end.poll(0):
            self.usable = False
            raise Unread
        identity = next(self._ids) % _ID_SPACE
        frame = RequestFrame(
            identity,
            invocation.body,
            invocation.content_type,
            invocation.accept,
            invocation.custom_attributes,
            invocation.target_model,
            invocation.inference_id,
        )
        data = encode(frame)
        future = asyncio.get_running_loop().create_future()
        self.pending[identity] = future
        self._transport.write(data)
        return future

    def hang_up_when_idle(self) -> None:
        """Close the connection once nothing is pending."""
        self._leaving = True
        if not self.pending and self.usable:
            self.usable = False
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._decoder.feed(data):
                self._take(frame)
        except BrokenFrame:
            self.usable = False
            self._transport.abort()

    def eof_received(self) -> None:
        self.usable = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        # A reset, or a pipe broken while writing, means that something was not read. With a single request
        # under way, that was this one.
        begun = 0 if isinstance(exc, ConnectionError) and len(self.pending) == 1 else 1
        self._give_up(begun)

    def _take(self, frame: object) -> None:
        if isinstance(frame, AnswerFrame) and frame.id in self.pending:
            future = self.pending.pop(frame.id)
            if not future.done():
                answer = Answer(frame.status, frame.content_type, frame.body, frame.custom_attributes)
                future.set_result(answer)
            if self._leaving:
                self.hang_up_when_idle()
        elif isinstance(frame, GoodbyeFrame):
            self.usable = False
            self._give_up(begun=0)
            self._transport.close()
        else:
            raise BrokenFrame("an instance sends answers to what it was asked, and a goodbye")

    def _give_up(self, begun: int) -> None:
        """End what is pending; the first `begun` requests may have been begun."""
        pending, self.pending = list(self.pending.values()), {}
        for position, future in enumerate(pending):
            if not future.done():
                future.set_exception(NoAnswer() if position < begun else Unread())

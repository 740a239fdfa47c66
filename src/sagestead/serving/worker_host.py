"""A host that is a process behind a Unix socket: frames out, frames back, any number under way.

An instance begins the requests of a connection in order, and says at the start how many of them it may
begin before it answers the oldest. So when the connection breaks, only so many of the oldest unanswered
requests can have been begun; the others may be asked again elsewhere. What was sent last was not begun
either, when the connection broke because the instance had not read everything.

Rule: a request costs no task and no timer of its own. Requests that time out are found by one sweep, and
those that nobody waits for any more are cancelled at the instance, which drops what it has not begun.
"""

from __future__ import annotations

import asyncio
import select
from typing import Any, cast

from sagestead.serving.host import Busy, NoAnswer, Unread
from sagestead.wire.frames import (
    MOST_TOGETHER,
    AnswerFrame,
    BrokenFrame,
    CancelFrame,
    Decoder,
    Frame,
    GoodbyeFrame,
    HelloFrame,
    RequestFrame,
    encode,
)
from sagestead.worker.contract import Answer, Invocation

TIMEOUT = 60.0
MOST_OUTSTANDING = 1024
MOST_UNSENT = 16 << 20
"""Bytes that may wait for the instance to read them, before more requests are refused."""

_ID_SPACE = 2**32
_ENDED = getattr(select, "POLLRDHUP", 0) | select.POLLHUP


class WorkerHost:
    """One instance at the path of its Unix socket.

    Args:
        address: that path.
        timeout: seconds that an answer may take.
        most: how many requests it may have at a time; those beyond are `Busy`.
    """

    def __init__(self, address: str, timeout: float = TIMEOUT, most: int = MOST_OUTSTANDING) -> None:
        self._address = address
        self._timeout = timeout
        self._most = most
        self._link: _Link | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._early: list[tuple[Invocation, _Asked]] = []
        self._retired = False

    @property
    def outstanding(self) -> int:
        """How many requests it has not answered."""
        return len(self._early) + (len(self._link.pending) if self._link is not None else 0)

    def begin(self, invocation: Invocation) -> asyncio.Future[Answer]:
        """Pass a request on; the future gets its answer, or one of these.

        Raises:
            Unread: the instance is not there, or went before it began the request.
            Busy: it has as many requests as it may have.
            NoAnswer: the instance went and may have begun the request.
            TimeoutError: no answer in time; the request counts until the instance has answered or dropped it.
        """
        link = self._link
        if self.outstanding >= self._most:
            raise Busy
        loop = asyncio.get_running_loop()
        asked = _Asked(loop=loop)
        asked.until = loop.time() + self._timeout
        if link is not None and link.usable:
            link.send(invocation, asked)
        else:
            self._early.append((invocation, asked))
            if self._connecting is None:
                self._connecting = loop.create_task(self._connect())
        return asked

    def retire(self) -> None:
        """Hang up once the outstanding requests have ended."""
        self._retired = True
        if self._link is not None:
            self._link.hang_up_when_idle()

    async def _connect(self) -> None:
        """Connect, and send what was asked meanwhile."""
        loop = asyncio.get_running_loop()
        failure: type[Exception] | None = None
        try:
            async with asyncio.timeout(self._timeout):
                _, self._link = await loop.create_unix_connection(_Link, self._address)
        except TimeoutError:
            failure = TimeoutError
        except OSError:
            failure = Unread
        self._connecting = None
        early, self._early = self._early, []
        for invocation, asked in early:
            if asked.done():
                continue
            if failure is not None:
                asked.set_exception(failure())
                continue
            try:
                cast("_Link", self._link).send(invocation, asked)
            except (Unread, BrokenFrame) as error:
                asked.set_exception(error)
        if self._retired and self._link is not None:
            self._link.hang_up_when_idle()


class _Asked(asyncio.Future[Answer]):
    """The answer to one request. `until`: when it is too late, in the loop's time."""

    until: float
    identity: int
    link: _Link | None = None

    def cancel(self, msg: Any | None = None) -> bool:  # noqa: ANN401 - as in asyncio
        """Say that nobody waits any more."""
        cancelled = super().cancel(msg)
        if cancelled and self.link is not None:
            self.link.cancel(self.identity)
        return cancelled


class _Link(asyncio.Protocol):
    """One connection to an instance. `pending` is in the order of sending."""

    def __init__(self) -> None:
        self.pending: dict[int, _Asked] = {}
        self.usable = False
        self._decoder = Decoder()
        self._next = 0
        self._last: int | None = None
        self._together: int | None = None
        self._leaving = False
        self._full = False
        self._sweep: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._end = select.poll()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass
        self._transport.set_write_buffer_limits(MOST_UNSENT)
        self._end.register(transport.get_extra_info("socket").fileno(), _ENDED)
        self.usable = True

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False

    def send(self, invocation: Invocation, asked: _Asked) -> None:
        """Write a request, whose future gets its answer, `Unread`, `NoAnswer` or `TimeoutError`.

        Raises:
            Unread: the instance has gone already, which the loop will only hear next.
            Busy: too much waits to be sent.
            BrokenFrame: no frame can hold the request.
        """
        if self._full:
            raise Busy
        if not self.pending and self._end.poll(0):
            self.usable = False
            raise Unread
        identity = self._next
        data = encode(
            RequestFrame(
                identity,
                invocation.body,
                invocation.content_type,
                invocation.accept,
                invocation.custom_attributes,
                invocation.target_model,
                invocation.inference_id,
                max(0, int((asked.until - self._loop.time()) * 1000)),
            )
        )
        self._next = (identity + 1) % _ID_SPACE
        self._last = asked.identity = identity
        asked.link = self
        self.pending[identity] = asked
        if self._sweep is None:
            self._sweep = self._loop.call_at(asked.until, self._time_out)
        self._transport.write(data)

    def cancel(self, identity: int) -> None:
        """Tell the instance that nobody waits for a request any more."""
        if self.usable and identity in self.pending:
            self._last = None
            self._transport.write(encode(CancelFrame(identity)))

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
        self._give_up(self._begun(exc))
        if self._sweep is not None:
            self._sweep.cancel()

    def _take(self, frame: Frame) -> None:
        if isinstance(frame, AnswerFrame) and (asked := self.pending.pop(frame.id, None)) is not None:
            if not asked.done():
                asked.set_result(
                    Answer(frame.status, frame.content_type, frame.body, frame.custom_attributes)
                )
        elif isinstance(frame, CancelFrame) and (asked := self.pending.pop(frame.id, None)) is not None:
            if not asked.done():
                asked.set_exception(TimeoutError())
        elif isinstance(frame, HelloFrame) and self._together is None:
            self._together = frame.together
        elif isinstance(frame, GoodbyeFrame):
            self.usable = False
            self._give_up(begun=0)
            self._transport.close()
        else:
            raise BrokenFrame("an instance greets once, answers or drops what it was asked, and says goodbye")
        if self._leaving:
            self.hang_up_when_idle()

    def _begun(self, exc: Exception | None) -> int:
        """Return how many of the pending requests, the oldest first, the instance may have begun.

        After a reset, or a pipe broken while writing, what was sent last was not read. When the stream just
        ends, all that the instance sent has been seen, so without its first frame it never read anything.
        """
        if exc is None and self._together is None:
            return 0
        unread = isinstance(exc, ConnectionError) and self._last in self.pending
        together = MOST_TOGETHER if self._together is None else self._together
        return min(together, len(self.pending) - unread)

    def _give_up(self, begun: int) -> None:
        """End what is pending; the first `begun` requests may have been begun."""
        pending, self.pending = list(self.pending.values()), {}
        for position, asked in enumerate(pending):
            if not asked.done():
                asked.set_exception(NoAnswer() if position < begun else Unread())

    def _time_out(self) -> None:
        """End the wait for whatever is late, and look again when the next request may be."""
        self._sweep = None
        now = self._loop.time()
        for identity, asked in self.pending.items():
            if asked.until > now:
                self._sweep = self._loop.call_at(asked.until, self._time_out)
                return
            if not asked.done():
                asked.set_exception(TimeoutError())
                self.cancel(identity)

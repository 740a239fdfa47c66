"""A host that is a process behind a Unix socket: frames out, frames back, any number under way.

An instance begins the requests of a connection in order and writes down which it has begun, in a page that is
still there when it is gone: when the connection breaks, all others may be asked again elsewhere. Should the
page not be found, it is known still how many of the oldest unanswered requests can have been begun: the
instance says at the start how many it may begin before it answers the oldest, and what was sent last was not
begun when the connection broke because the instance had not read everything.

Rule: a request costs no task, no timer and no write of its own. What is asked in one turn of the loop is
written together at its end, requests that time out are found by one sweep, and those that nobody waits for
any more are cancelled at the instance, which drops what it has not begun.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Collection
from typing import Any, cast

from sagestead.serving.host import Busy, NoAnswer, Unread
from sagestead.wire.frames import (
    ANSWER,
    MOST_TOGETHER,
    REQUEST,
    BrokenFrame,
    CancelFrame,
    Decoder,
    Frame,
    GoodbyeFrame,
    HelloFrame,
    answer_texts,
    encode,
    frame_of,
    framed,
    joined,
)
from sagestead.worker.contract import Answer, Invocation
from sagestead.worker.progress import Begun

TIMEOUT = 60.0
MOST_OUTSTANDING = 1024
MOST_UNSENT = 16 << 20
"""Bytes that may wait for the instance to read them, before more requests are refused."""
WRITE_SIZE = 1 << 16
"""So many bytes are written at once, whatever else the turn brings."""

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
        self._wait = int(timeout * 1000)
        self._most = most
        self._link: _Link | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._early: list[tuple[Invocation, _Asked]] = []
        self._retired = False

    @property
    def outstanding(self) -> int:
        """How many requests it has not answered."""
        link = self._link
        return len(self._early) if link is None else len(self._early) + len(link.pending)

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
        if link is not None and link.usable:
            asked = _Asked(loop=link.loop)
            asked.until = link.loop.time() + self._timeout
            link.send(invocation, asked, self._wait)
            return asked
        loop = asyncio.get_running_loop()
        asked = _Asked(loop=loop)
        asked.until, asked.link = loop.time() + self._timeout, None
        self._early.append((invocation, asked))
        if self._connecting is None:
            self._connecting = loop.create_task(self._connect())
        return asked

    def retire(self) -> None:
        """Hang up once the outstanding requests have ended."""
        self._retired = True
        if self._link is not None:
            self._link.hang_up_when_idle()

    def _make_link(self) -> _Link:
        return _Link(self._address)

    async def _connect(self) -> None:
        """Connect, and send what was asked meanwhile."""
        loop = asyncio.get_running_loop()
        failure: type[Exception] | None = None
        try:
            async with asyncio.timeout(self._timeout):
                _, self._link = await loop.create_unix_connection(self._make_link, self._address)
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
                wait = max(0, int((asked.until - loop.time()) * 1000))
                cast("_Link", self._link).send(invocation, asked, wait)
            except (Unread, BrokenFrame) as error:
                asked.set_exception(error)
        if self._retired and self._link is not None:
            self._link.hang_up_when_idle()


class _Asked(asyncio.Future[Answer]):
    """The answer to one request; what it has is set once it is known.

    Attributes:
        until: when it is too late, in the loop's time.
        link: on which it was sent; None before.
        identity: its id there.
    """

    __slots__ = ("identity", "link", "until")

    until: float
    link: _Link | None
    identity: int

    def cancel(self, msg: Any | None = None) -> bool:  # noqa: ANN401 - as in asyncio
        """Say that nobody waits any more."""
        cancelled = super().cancel(msg)
        if cancelled and self.link is not None:
            self.link.cancel(self.identity)
        return cancelled


class _Link(asyncio.Protocol):
    """One connection to the instance at an address. `pending` is in the order of sending."""

    def __init__(self, address: str) -> None:
        self.pending: dict[int, _Asked] = {}
        self.usable = False
        self.loop = asyncio.get_running_loop()
        self._decoder = Decoder()
        self._next = 0
        self._unwritten: list[bytes] = []
        self._gathered = 0
        self._last: int | None = None
        self._address = address
        self._together: int | None = None
        self._written_down: Begun | None = None
        self._ended = False
        self._leaving = False
        self._full = False
        self._sweep: asyncio.TimerHandle | None = None
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

    def send(self, invocation: Invocation, asked: _Asked, wait: int) -> None:
        """Send a request that may `wait` so many milliseconds, with whatever else this turn brings.

        Its future gets its answer, `Unread`, `NoAnswer` or `TimeoutError`.

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
        texts = joined(
            invocation.content_type,
            invocation.accept,
            invocation.custom_attributes,
            invocation.target_model,
            invocation.inference_id,
        )
        data = framed(REQUEST, identity, wait, texts, invocation.body)
        self._next = (identity + 1) % _ID_SPACE
        self._last = asked.identity = identity
        asked.link = self
        self.pending[identity] = asked
        if self._sweep is None:
            self._sweep = self.loop.call_at(asked.until, self._time_out)
        self._write(data)

    def _write(self, data: bytes) -> None:
        """Write by the end of the turn."""
        unwritten = self._unwritten
        if not unwritten:
            self.loop.call_soon(self._flush)
        unwritten.append(data)
        self._gathered += len(data)
        if self._gathered >= WRITE_SIZE:
            self._flush()

    def _flush(self) -> None:
        unwritten = self._unwritten
        if unwritten and not self._transport.is_closing():
            self._transport.write(unwritten[0] if len(unwritten) == 1 else b"".join(unwritten))
        unwritten.clear()
        self._gathered = 0

    def cancel(self, identity: int) -> None:
        """Tell the instance that nobody waits for a request any more."""
        if self.usable and identity in self.pending:
            self._last = None
            self._write(encode(CancelFrame(identity)))

    def hang_up_when_idle(self) -> None:
        """Close the connection once nothing is pending."""
        self._leaving = True
        if not self.pending and self.usable:
            self.usable = False
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        pending = self.pending
        try:
            for part in self._decoder.parts(data):
                kind, identity, status, texts, body = part
                if kind != ANSWER:
                    self._take(frame_of(part))
                elif (asked := pending.pop(identity, None)) is None:
                    raise BrokenFrame("an answer to nothing")  # noqa: TRY301 - as a frame that is none
                elif not asked.done():
                    content_type, custom_attributes = answer_texts(texts)
                    asked.set_result(Answer(status, content_type, body, custom_attributes))
        except BrokenFrame:
            self.usable = False
            self._transport.abort()
        if self._leaving:
            self.hang_up_when_idle()

    def eof_received(self) -> None:
        self.usable = False
        self._ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self._give_up(self._begun(exc))
        if self._sweep is not None:
            self._sweep.cancel()

    def _take(self, frame: Frame) -> None:
        if isinstance(frame, CancelFrame) and (asked := self.pending.pop(frame.id, None)) is not None:
            if not asked.done():
                asked.set_exception(TimeoutError())
        elif isinstance(frame, HelloFrame) and self._together is None:
            self._together = frame.together
            self._written_down = Begun.find(self._address, frame.id)
        elif isinstance(frame, GoodbyeFrame):
            self.usable = False
            self._give_up(begun=())
            self._transport.close()
        else:
            raise BrokenFrame("an instance greets once, answers or drops what it was asked, and says goodbye")

    def _begun(self, exc: Exception | None) -> Collection[int]:
        """Return which of the pending requests the instance may have begun.

        What is written down is all, once the instance has left: after we have hung up, it may still begin
        what it finds. After a reset, or a pipe broken while writing, what was sent last was not read. When
        the stream just ends, all that the instance sent has been seen, so without its first frame it never
        read anything.
        """
        if self._written_down is not None and (self._ended or isinstance(exc, ConnectionError)):
            return [identity for identity in self.pending if self._written_down.has(identity)]
        if exc is None and self._together is None:
            return ()
        unread = isinstance(exc, ConnectionError) and self._last in self.pending
        together = MOST_TOGETHER if self._together is None else self._together
        return list(self.pending)[: min(together, len(self.pending) - unread)]

    def _give_up(self, begun: Collection[int]) -> None:
        """End what is pending; the requests `begun` may have been begun."""
        pending, self.pending = self.pending, {}
        for identity, asked in pending.items():
            if not asked.done():
                asked.set_exception(NoAnswer() if identity in begun else Unread())

    def _time_out(self) -> None:
        """End the wait for whatever is late, and look again when the next request may be."""
        self._sweep = None
        now = self.loop.time()
        for identity, asked in self.pending.items():
            if asked.until > now:
                self._sweep = self.loop.call_at(asked.until, self._time_out)
                return
            if not asked.done():
                asked.set_exception(TimeoutError())
                self.cancel(identity)

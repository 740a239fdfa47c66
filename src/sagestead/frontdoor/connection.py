"""One connection: requests to answers, answers to bytes.

Rule: requests of a connection are answered one after another, in order; nothing that a client does makes the
loop wait or memory grow without bound. An answer is written at once when the app has it at once; a future's
by a callback; only what needs more waiting, for a body or a stream, takes a task.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from sagestead.domain.errors import Refusal
from sagestead.frontdoor.body import InboundBody, framed
from sagestead.frontdoor.head import (
    answer_head,
    has_body,
    malformed,
)
from sagestead.frontdoor.reading import Exchange, Reading
from sagestead.wire.http import Request, Response, Stream
from sagestead.wire.pending import Pending

if TYPE_CHECKING:
    from sagestead.frontdoor.memory import Remembered
    from sagestead.frontdoor.server import FrontDoor

log = logging.getLogger(__name__)

INCOMPLETE = "The connection ended before the whole body arrived."


class Connection(Reading):
    """An accepted socket: its requests are read by `Reading` and answered here."""

    def __init__(self, door: FrontDoor) -> None:
        super().__init__(door)
        self.answering: asyncio.Future[Any] | None = None  # what the answer under way waits for
        self.resting: asyncio.Handle | None = None  # the queue is gone on with when others had their turn
        self.writable: asyncio.Future[None] | None = None
        self.hung_up = False  # the client has finished sending
        self.parting: asyncio.TimerHandle | None = None
        self.like: Remembered | None = None  # what the last request that was not read was like
        self._begun = b""  # the beginning of a request that waits for its rest

    # -- the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register with the door, or be turned away when it is full."""
        self.transport = cast("asyncio.Transport", transport)
        self.secure = transport.get_extra_info("sslcontext") is not None
        if not self.door.admit(self):
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End what depends on the client: unread bodies and the answer under way."""
        del exc
        self.transport = None
        self.door.leave(self)
        if self.arriving is not None:
            self.arriving.fail(Refusal(INCOMPLETE, code="IncompleteBody"))
        self.queue.clear()
        self.resume_writing()
        if self.parting is not None:
            self.parting.cancel()
        if self.resting is not None:
            self.resting.cancel()
        if self.answering is not None:
            self.answering.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer a request that came alone and is like an earlier one; feed the parser with anything else."""
        if self.broken:
            return
        begun, self._begun = self._begun, b""
        if begun:
            data = begun + data
            self.in_head = False
        if len(data) <= self.limits.repeated and self._is_idle():
            if self._repeat(data, is_begun=bool(begun)):
                return
            self._alone = data
        self._feed(data)
        if self.queue:
            self._next()

    def _is_idle(self) -> bool:
        """Whether no request is being read, waits, or is being answered."""
        if self.in_head or self.queue or self.arriving is not None:
            return False
        return self.answering is None and self.writable is None and self.resting is None

    def _repeat(self, data: bytes, *, is_begun: bool) -> bool:
        """Answer a request that is like an earlier one without reading it; False if it has to be read.

        A head whose body has yet to come, as many clients send it, is kept until then: once.
        """
        door = self.door
        if door.repeat is None or door.draining:
            return False
        request_id = door.new_id()
        found = door.repeat(data, request_id, self.like, secure=self.secure)
        if isinstance(found, int):
            if is_begun or not found or len(data) + found > self.limits.repeated:
                return False
            self._begun, self.in_head = data, True
            self.head_since = self.progress_at = door.clock()
            return True
        self.like, answer = found
        template = self.like.template
        if isinstance(answer, Response) and isinstance(answer.body, bytes):
            self._reply(template.method, answer, answer.body, keep=True)
        else:
            body = InboundBody.empty()
            self._take((template.request(body, 0, request_id), body, True), answer)
        return True

    def eof_received(self) -> bool:
        """Keep the socket open for the answer under way when the client has only finished sending."""
        if self._begun:
            begun, self._begun = self._begun, b""
            self._feed(begun)
            self._next()
        if self.arriving is not None:
            self.arriving.fail(Refusal(INCOMPLETE, code="IncompleteBody"))
        self.broken = self.ended = self.hung_up = True
        return self.answering is not None or bool(self.queue)

    def pause_writing(self) -> None:
        """The client does not read: answers wait."""
        self.writable = self.door.loop.create_future()

    def resume_writing(self) -> None:
        """The client reads again."""
        if self.writable is not None and not self.writable.done():
            self.writable.set_result(None)
        self.writable = None
        self.progress_at = self.door.clock()
        self._next()

    # -- answers

    def _next(self) -> None:
        """Answer what is in the queue and need not wait; a few requests, then others have their turn."""
        turn = self.limits.turn
        while self.queue and self._may_answer():
            if turn == 0:
                self.resting = self.door.loop.call_soon(self._go_on)
                return
            turn -= 1
            exchange = self.queue.popleft()
            try:
                self._take(exchange, self._ask(exchange[0]))
            except Exception as error:  # noqa: BLE001 - of any defect the client sees a connection that ends
                self._cut_off(exchange[0], error)
        if not self.reading:
            self._flow()

    def _may_answer(self) -> bool:
        if self.answering is not None or self.writable is not None or self.resting is not None:
            return False
        return self.transport is not None and not self.transport.is_closing()

    def _go_on(self) -> None:
        self.resting = None
        self._next()

    def _ask(self, request: Request) -> Response | Awaitable[Response]:
        try:
            return self.door.app(request) if request.raw_path else malformed(self.refusal)
        except Refusal as refusal:
            return malformed(refusal)

    def _take(self, exchange: Exchange, answer: Response | Awaitable[Response]) -> None:
        """Write an answer that is here; else wait for it with as little as it takes."""
        request, body, keep = exchange
        if isinstance(answer, Response) and body.complete and isinstance(answer.body, bytes):
            self._reply(request.method, answer, answer.body, keep=keep)
        elif isinstance(answer, Pending):
            self.answering = answer.source
            answer.source.add_done_callback(partial(self._settle, exchange, answer))
        else:
            self.answering = self.door.loop.create_task(self._serve(exchange, answer))

    def _settle(self, exchange: Exchange, pending: Pending, source: asyncio.Future[Any]) -> None:
        """Go on with the answer that a future brings."""
        self.answering = None
        try:
            answer = pending.finish(source)
            if self.transport is not None:
                self._take(exchange, answer)
            elif not isinstance(answer, Response):
                answer.close()
        except Refusal as refusal:
            self._take(exchange, malformed(refusal))
        except (asyncio.CancelledError, Exception) as error:  # noqa: BLE001 - as in `_next`
            self._cut_off(exchange[0], error)
        self._next()

    def _reply(self, method: str, response: Response, content: bytes, *, keep: bool) -> None:
        """Write an answer whose body is here, to a request that is here whole."""
        if self.transport is None:
            return
        keep = self._keeps(keep=keep)
        head = self._head(method, response, keep=keep)
        self.transport.write(head + content if has_body(response, method) else head)
        self.progress_at = self.door.clock()
        if not keep:
            self._part()

    def _keeps(self, *, keep: bool) -> bool:
        return keep and not self.door.draining and not (self.ended and not self.queue)

    def _head(self, method: str, response: Response, *, keep: bool) -> bytes:
        return answer_head(response, self.door.beginnings, method=method, keep=keep)

    def _cut_off(self, request: Request, error: BaseException) -> None:
        """End the connection in the middle of an answer, so that the client does not take it for whole."""
        if self.transport is not None:
            log.error("request %s: the answer was cut off", request.request_id, exc_info=error)
            self.transport.abort()

    async def _serve(self, exchange: Exchange, answer: Response | Awaitable[Response]) -> None:
        """Answer a request that takes more than one step."""
        request, body, keep = exchange
        try:
            response = await self._awaited(answer)
            keep = self._keeps(keep=keep) and self._can_keep(request, body)
            await self._write(request, response, keep=keep)
            if not (keep and await self._read_away(body)):
                self._part()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - as in `_next`
            self._cut_off(request, error)
        finally:
            self.answering = None
            self.progress_at = self.door.clock()
            self._flow()
            self._next()

    async def _awaited(self, answer: Response | Awaitable[Response]) -> Response:
        try:
            return answer if isinstance(answer, Response) else await answer
        except Refusal as refusal:
            return malformed(refusal)

    def _can_keep(self, request: Request, body: InboundBody) -> bool:
        """A connection is kept when its next request can be found: the rest of the body is here or small."""
        if body.complete:
            return True
        if self.broken or (not body.started and "expect" in request.headers):
            return False
        return request.content_length is not None and request.content_length <= self.limits.leftover

    async def _read_away(self, body: InboundBody) -> bool:
        """Drop what is left of the body; False when it does not come."""
        try:
            async for _ in body.chunks():
                pass
        except Refusal:
            return False
        return True

    def _part(self) -> None:
        """Close the connection after its last answer.

        Closing while the client still sends would reset the connection, and the client would never read why
        it was refused: what still comes is dropped for a moment, until the client closes too.
        """
        if self.transport is None:
            return
        unread = (self.arriving is not None or self.broken) and not self.hung_up
        self.broken = True
        self.in_head = False
        self.arriving = None
        self.queue.clear()
        if not unread:
            self.transport.close()
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._flow()
        self.parting = self.door.loop.call_later(self.limits.parting_time, self.transport.close)

    async def _write(self, request: Request, response: Response, *, keep: bool) -> None:
        if self.transport is None:
            return
        head = self._head(request.method, response, keep=keep)
        if not has_body(response, request.method):
            self.transport.write(head)
        elif isinstance(response.body, Stream):
            self.transport.write(head)
            await self._write_stream(response.body)
        else:
            self.transport.write(head + response.body)
            await self._drained()

    async def _write_stream(self, stream: Stream) -> None:
        async for piece in framed(stream):
            if self.transport is None:
                return
            self.transport.write(piece)
            await self._drained()

    async def _drained(self) -> None:
        if self.writable is not None:
            await self.writable
        self.progress_at = self.door.clock()

    # -- time

    def tick(self, now: float) -> None:
        """Close the connection when the client is too slow or has been idle for long."""
        if self.transport is None:
            return
        if self.in_head:
            late = now - self.head_since > self.limits.head_time
        elif self.writable is not None or self.transport.is_closing():
            late = now - self.progress_at > self.limits.stall_time
        elif self.arriving is not None:
            late = self.reading and now - self.progress_at > self.limits.stall_time
        else:
            late = self.answering is None and now - self.progress_at > self.limits.idle_time
        if late:
            self.transport.abort()

    def close_if_idle(self, since: float) -> None:
        """Close the connection when no request is being read or answered, and none was since then."""
        if self._is_idle() and self.progress_at < since and self.transport is not None:
            self.transport.close()

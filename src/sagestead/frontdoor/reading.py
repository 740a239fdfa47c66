"""Bytes to requests: what one connection's parser tells.

Rule: nothing that a client sends makes memory grow without bound: heads, fields, bodies and waiting requests
are counted, and reading from the socket stops before there are too many. Identity never carries over: every
request is handed over whole, once all that came with it is taken in.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import httptools

from sagestead.domain.errors import Refusal
from sagestead.frontdoor.body import InboundBody, nothing
from sagestead.frontdoor.head import (
    body_length,
    check_fields,
    check_host,
    check_target,
    refuse,
    too_long,
    too_many,
)
from sagestead.wire.http import Headers, Request

if TYPE_CHECKING:
    from sagestead.frontdoor.server import FrontDoor

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

Exchange = tuple[Request, InboundBody, bool]
"""A request to be answered, its body, and whether its client wants the connection kept."""


class Reading(asyncio.Protocol):
    """Fills `queue` with requests. Callbacks named `on_…` are httptools'."""

    def __init__(self, door: FrontDoor) -> None:
        self.door = door
        self.limits = door.limits
        self.secure = False
        self.parser = httptools.HttpRequestParser(self)
        self.transport: asyncio.Transport | None = None
        self.queue: deque[Exchange] = deque()
        self.arriving: InboundBody | None = None
        self.reading = True
        self.in_head = False
        self.broken = False  # nothing more is read
        self.ended = False  # the connection is closed once the waiting requests are answered
        self.refusal = refuse("The request is malformed.")  # of what could not be read, once broken
        self.progress_at = self.head_since = door.clock()
        self._alone = b""  # a read that began a request, until its head is complete
        self._trickle = 0
        self._target = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._framing = 0  # bytes of a head, or of the framing of a body, whose end did not come yet
        self._read = 0  # bytes of this read
        self._around = 0  # bytes of all reads that hold a piece of this head

    def _feed(self, data: bytes) -> None:
        """Feed the parser; a request that it refuses is answered and the connection closed."""
        size = self._read = len(data)
        self._trickle += size
        self._framing += size
        self._around += size
        if self.arriving is None or self._trickle >= self.limits.trickle:
            self._trickle = 0
            self.progress_at = self.door.clock()
        try:
            self.parser.feed_data(data)
            if self._framing > self.limits.head:
                self._break(too_long(self.limits))
            elif len(self._fields) > self.limits.fields:
                self._break(too_many(self.limits))
        except httptools.HttpParserUpgrade:
            self.broken = self.ended = True  # what was read is answered, and the connection closed
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._break(cause if isinstance(cause, Refusal) else self.refusal)
        except httptools.HttpParserError:
            self._break(refuse("The request is not well-formed HTTP/1.1."))

    # -- the parser

    def on_message_begin(self) -> None:
        """Start a request."""
        self.in_head = True
        self._target, self._framing, self._around = b"", 0, self._read
        self.head_since = self.door.clock()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field, or a trailer field (which is checked and dropped)."""
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Check the head and hand the request over; its body follows."""
        self.in_head = False
        fields, self._fields = self._fields, []
        limits, target = self.limits, self._target
        if self._around > limits.head or len(fields) > limits.fields:
            check_fields(fields, limits, len(target))
        self._framing = 0
        if self.parser.get_http_version() not in {"1.1", "1.0"}:
            raise refuse("Only HTTP/1.1 is spoken here.")
        headers = Headers(fields)
        check_target(target, limits)
        check_host(headers)
        method = self.parser.get_method().decode("latin-1")
        length = body_length(headers, method)
        expects = headers.joined.get(b"expect", b"").lower() == b"100-continue"
        body = InboundBody(self._flow, self._continue if expects else nothing)
        path, _, query = target.partition(b"?")
        keep = self.parser.should_keep_alive()
        alone, self._alone = self._alone if keep else b"", b""
        request = Request(method, path, query, headers, body, length, self.secure, self.door.new_id(), alone)
        waiting = len(self.queue)
        if waiting >= limits.pipelined:
            raise refuse("Too many requests are waiting on this connection.", 429)
        self.arriving = body
        self._trickle = 0
        self.queue.append((request, body, keep))
        if waiting + 1 >= limits.pipelined // 2:
            self._flow()

    def on_body(self, data: bytes) -> None:
        """Take body bytes."""
        body = self.arriving
        if body is not None:
            self._framing = 0
            body.feed(data)
            if body.waiting >= self.limits.buffered:
                self._flow()

    def on_message_complete(self) -> None:
        """End the body."""
        self._framing = 0
        if self._fields:
            trailers, self._fields = self._fields, []
            check_fields(trailers, self.limits, 0)
        if self.arriving is not None:
            self.arriving.finish()
            self.arriving = None

    # -- flow

    def _flow(self) -> None:
        """Read from the socket while the waiting bytes and requests are few."""
        if self.transport is None:
            return
        waiting = self.arriving.waiting if self.arriving is not None else 0
        wanted = waiting < self.limits.buffered and len(self.queue) < self.limits.pipelined // 2
        if wanted and not self.reading:
            self.transport.resume_reading()
        elif not wanted and self.reading:
            self.transport.pause_reading()
        self.reading = wanted

    def _continue(self) -> None:
        if self.transport is not None and self.arriving is not None and not self.arriving.waiting:
            self.transport.write(CONTINUE)

    def _break(self, refusal: Refusal) -> None:
        """Answer a malformed request (after those before it) and read no more."""
        self.broken = True
        if self.arriving is not None:
            self.arriving.fail(refusal)  # its request is the last one; nothing else is answered
            return
        body = InboundBody.empty()
        bad = Request("GET", b"", b"", Headers(), body, 0, self.secure, self.door.new_id())
        self.queue.append((bad, body, False))
        self.refusal = refusal

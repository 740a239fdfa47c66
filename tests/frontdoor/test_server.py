"""The front door over real sockets: literal bytes in, literal bytes out."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvloop

from sagestead.frontdoor.limits import Limits
from sagestead.frontdoor.server import FrontDoor
from sagestead.wire.http import Request, Response, Stream

Exchange = Callable[[bytes], Awaitable[bytes]]


begun = asyncio.Event()


async def echo(request: Request) -> Response:
    """Answer with what arrived, or misbehave as the path says."""
    begun.set()
    if request.raw_path == b"/early":
        return Response(403, [], b"no")
    if request.raw_path == b"/stream":
        return Response(200, [], Stream(None, parts(b"one", b"", b"two")))
    if request.raw_path == b"/cut":
        return Response(200, [], Stream(10, parts(b"short")))
    if request.raw_path == b"/raise":
        raise ValueError("secret detail")
    if request.raw_path == b"/empty":
        return Response(204)
    body = await request.body.read(10_000_000)
    return Response(200, [("X-Path", request.raw_path.decode("latin-1"))], body)


async def parts(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@contextlib.asynccontextmanager
async def door(limits: Limits | None = None) -> AsyncIterator[tuple[FrontDoor, int]]:
    front = FrontDoor(echo, limits)
    port = await front.start("127.0.0.1", 0)
    try:
        yield front, port
    finally:
        await front.drain(1)


async def exchange(port: int, data: bytes, *, close: bool = True) -> bytes:
    """Send bytes and read until the server closes (asking it to, by ending our side)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        if close:
            writer.write_eof()
        return await asyncio.wait_for(reader.read(-1), 10)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


HOST = b"Host: 127.0.0.1\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
GET = b"GET / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
GOOD = b"GET /a HTTP/1.1\r\n" + HOST + b"\r\n"


def test_an_answer_carries_date_length_and_body() -> None:
    async def run() -> bytes:
        async with door() as (_, port):
            return await exchange(
                port, b"POST /x?q=1 HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello"
            )

    head, _, body = uvloop.run(run()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nDate: ")
    assert b"Content-Length: 5" in head
    assert b"X-Path: /x" in head
    assert body == b"hello"


def test_pipelined_requests_are_answered_in_order() -> None:
    async def run() -> bytes:
        async with door() as (_, port):
            requests = [
                b"POST /%d HTTP/1.1\r\n%bContent-Length: 1\r\n\r\n%d" % (i, HOST, i) for i in range(9)
            ]
            return await exchange(port, b"".join(requests))

    answer = uvloop.run(run())
    assert statuses(answer) == [200] * 9
    assert re.findall(rb"X-Path: /(\d)", answer) == [b"%d" % i for i in range(9)]


def test_a_chunked_body_arrives_whole_whatever_its_pieces() -> None:
    async def run() -> bytes:
        async with door() as (_, port):
            chunks = b"".join(b"1\r\n%c\r\n" % c for c in b"abcdef") + b"0\r\n\r\n"
            return await exchange(
                port, b"PUT /c HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
            )

    assert uvloop.run(run()).endswith(b"\r\n\r\nabcdef")


def test_a_chunked_answer_is_framed() -> None:
    async def run() -> bytes:
        async with door() as (_, port):
            return await exchange(port, b"GET /stream HTTP/1.1\r\n" + HOST + b"\r\n")

    answer = uvloop.run(run())
    assert b"Transfer-Encoding: chunked\r\n" in answer
    assert answer.endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


def test_continue_is_sent_only_when_the_body_is_wanted() -> None:
    async def run(path: bytes) -> bytes:
        async with door() as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b"PUT %b HTTP/1.1\r\n%bExpect: 100-continue\r\nContent-Length: 2\r\n\r\n" % (path, HOST)
            )
            first = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            if b" 100 " in first:
                writer.write(b"ok")
                first += await asyncio.wait_for(reader.readuntil(b"ok"), 5)
            else:
                first += await asyncio.wait_for(reader.read(-1), 5)
            writer.close()
            return first

    assert uvloop.run(run(b"/wanted")).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    refused = uvloop.run(run(b"/early"))
    assert refused.startswith(b"HTTP/1.1 403 Forbidden")
    assert b"Connection: close" in refused


def test_the_answer_to_head_and_204_has_no_body() -> None:
    async def run() -> bytes:
        async with door() as (_, port):
            return await exchange(
                port,
                b"HEAD /h HTTP/1.1\r\n" + HOST + b"\r\nGET /empty HTTP/1.1\r\n" + HOST + b"\r\n" + GOOD,
            )

    answer = uvloop.run(run())
    assert statuses(answer) == [200, 204, 200]
    assert answer.count(b"Content-Length") == 2


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("both lengths", POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("two content-lengths", POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na"),
        ("signed length", POST + b"Content-Length: +1\r\n\r\na"),
        ("list of lengths", POST + b"Content-Length: 1, 1\r\n\r\na"),
        ("other coding", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ("coding twice", POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("odd coding", POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        ("folded field", GET + b"X-A: a\r\n b\r\n\r\n"),
        ("bare LF", b"GET / HTTP/1.1\n" + HOST + b"\r\n"),
        ("bare LF in the head", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\nX: y\r\n\r\n"),
        ("bare CR", GET + b"X-A: a\rb\r\n\r\n"),
        ("space before colon", GET + b"X-A : a\r\n\r\n"),
        ("NUL in value", GET + b"X-A: a\x00b\r\n\r\n"),
        ("no host", b"GET / HTTP/1.1\r\n\r\n"),
        ("two hosts", b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n"),
        ("host with a path", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        ("host with a query", b"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n"),
        ("absolute target", b"GET http://127.0.0.1/ HTTP/1.1\r\n" + HOST + b"\r\n"),
        ("asterisk target", b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n"),
        ("space in the target", b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n"),
        ("connect", b"CONNECT 127.0.0.1:80 HTTP/1.1\r\n" + HOST + b"\r\n"),
        ("hex prefix", CHUNKED + b"0x1\r\na\r\n0\r\n\r\n"),
        ("signed chunk", CHUNKED + b"+1\r\na\r\n0\r\n\r\n"),
        ("negative chunk", CHUNKED + b"-1\r\na\r\n0\r\n\r\n"),
        ("huge chunk size", CHUNKED + b"f" * 17 + b"\r\n"),
        ("LF after chunk size", CHUNKED + b"1\na\r\n0\r\n\r\n"),
        ("old protocol", b"GET /\r\n\r\n"),
        ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("junk", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    ],
)  # fmt: skip
def test_what_two_parsers_could_read_differently_is_refused(name: str, data: bytes) -> None:
    del name

    async def run() -> bytes:
        async with door() as (_, port):
            return await exchange(port, data + GOOD, close=False)

    answer = uvloop.run(run())
    assert len(statuses(answer)) == 1
    assert 400 <= statuses(answer)[0] < 500


@pytest.mark.parametrize(
    ("status", "data"),
    [
        (414, b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"),
        (431, GET + b"X-A: " + b"a" * 80_000 + b"\r\n\r\n"),
        (431, GET + b"X: y\r\n" * 300 + b"\r\n"),
    ],
)
def test_heads_are_bounded(status: int, data: bytes) -> None:
    async def run() -> bytes:
        async with door() as (_, port):
            return await exchange(port, data, close=False)

    assert statuses(uvloop.run(run())) == [status]


def test_an_answer_that_breaks_half_way_is_cut_off_not_ended() -> None:
    async def run(path: bytes) -> bytes:
        async with door() as (_, port):
            with contextlib.suppress(ConnectionResetError):
                return await exchange(port, b"GET %b HTTP/1.1\r\n%b\r\n" % (path, HOST))
            return b""

    assert b"secret" not in uvloop.run(run(b"/raise"))
    assert not uvloop.run(run(b"/cut")).endswith(b"short\r\n")


def test_a_body_larger_than_the_buffer_flows_through() -> None:
    size = 3_000_000

    async def run() -> bytes:
        async with door(Limits(buffered=64 * 1024)) as (_, port):
            return await exchange(
                port, b"PUT /big HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b" % (HOST, size, b"z" * size)
            )

    assert len(uvloop.run(run()).partition(b"\r\n\r\n")[2]) == size


def test_a_slow_head_and_an_idle_connection_are_closed() -> None:
    async def run() -> tuple[bytes, bytes]:
        async with door(Limits(head_time=0.1, idle_time=0.1)) as (_, port):
            slow = exchange(port, b"GET / HT", close=False)
            idle = exchange(port, GOOD, close=False)
            results = await asyncio.gather(slow, idle, return_exceptions=True)
            return tuple(r if isinstance(r, bytes) else b"" for r in results)  # type: ignore[return-value] # two

    slow, idle = uvloop.run(run())
    assert slow == b""
    assert statuses(idle) in ([200], [])


def test_draining_ends_idle_connections_and_finishes_answers() -> None:
    async def run() -> bytes:
        begun.clear()
        async with door() as (front, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"PUT /late HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\n\r\nla")
            await asyncio.wait_for(begun.wait(), 5)
            drained = asyncio.create_task(front.drain(5))
            await asyncio.sleep(0)
            writer.write(b"te")
            answer = await asyncio.wait_for(reader.read(-1), 5)
            await drained
            writer.close()
            return answer

    answer = uvloop.run(run())
    assert statuses(answer) == [200]
    assert b"Connection: close" in answer
    assert answer.endswith(b"late")


def test_a_request_to_upgrade_is_answered_as_it_stands() -> None:
    async def run() -> bytes:
        async with door() as (_, port):
            return await exchange(
                port,
                b"GET /u HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + GOOD,
                close=False,
            )

    answer = uvloop.run(run())
    assert statuses(answer) == [200]
    assert b"Connection: close" in answer

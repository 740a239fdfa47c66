"""Clients that want the front door to wait, to hold memory, or to lose an answer; over real sockets."""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator

import pytest
import uvloop

from sagestead.frontdoor.limits import Limits
from sagestead.frontdoor.server import FrontDoor
from sagestead.wire.http import Request, Response

HOST = b"Host: 127.0.0.1\r\n"
GET = b"GET /a HTTP/1.1\r\n" + HOST + b"\r\n"
CHUNKED = b"POST /a HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"

seen: list[bytes] = []


async def app(request: Request) -> Response:
    """Refuse `/early` unread, answer `/large` at length, and everything else with the size of its body."""
    seen.append(request.raw_path)
    if request.raw_path == b"/early":
        return Response(413, [], b"too large")
    if request.raw_path == b"/large":
        return Response(200, [], b"z" * 4_000_000)
    return Response(200, [], b"%d" % len(await request.body.read(10_000_000)))


@contextlib.asynccontextmanager
async def door(limits: Limits | None = None) -> AsyncIterator[tuple[FrontDoor, int]]:
    seen.clear()
    front = FrontDoor(app, limits)
    port = await front.start("127.0.0.1", 0)
    try:
        yield front, port
    finally:
        await front.drain(1)


@contextlib.asynccontextmanager
async def dialled(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"GET /", b"a"),
        (b"GET / HTTP/1.1\r\nX", b"a"),
        (b"GET / HTTP/1.1\r\nX: ", b"a"),
        (b"", b"\r\n"),
        (CHUNKED + b"1;", b"a"),
        (CHUNKED + b"0", b"0"),
        (CHUNKED + b"0\r\nX", b"a"),
        (CHUNKED + b"0\r\nX: ", b"a"),
        (CHUNKED + b"0\r\n", b"X: a\r\n"),
    ],
    ids=[
        "target", "field name", "field value", "blank lines",
        "chunk extension", "chunk size", "trailer name", "trailer value", "trailers",
    ],
)  # fmt: skip
def test_what_never_ends_is_refused_before_it_fills_the_memory(start: bytes, more: bytes) -> None:
    async def run() -> tuple[bytes, int]:
        async with door() as (_, port), dialled(port) as (reader, writer):
            writer.write(start)
            answer = asyncio.create_task(reader.read(-1))
            sent = 0
            while not answer.done() and sent < 10_000_000:
                writer.write(more * (65_536 // len(more)))
                sent += 65_536
                with contextlib.suppress(ConnectionError):
                    await writer.drain()
                await asyncio.sleep(0)
            return await asyncio.wait_for(answer, 5), sent

    answer, sent = uvloop.run(run())
    assert len(statuses(answer)) == 1
    assert 400 <= statuses(answer)[0] < 500
    assert sent < 10_000_000


def test_a_long_body_is_not_counted_to_the_head_that_follows_it() -> None:
    async def run() -> bytes:
        async with door() as (_, port), dialled(port) as (reader, writer):
            writer.write(b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000)
            writer.write(GET[:20])
            await writer.drain()
            first = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n100000"), 5)
            writer.write(GET[20:])
            writer.write_eof()
            return first + await asyncio.wait_for(reader.read(-1), 5)

    assert statuses(uvloop.run(run())) == [200, 200]


def test_a_refusal_reaches_a_client_that_is_still_sending() -> None:
    async def run() -> bytes:
        async with door() as (_, port), dialled(port) as (reader, writer):
            writer.write(b"POST /early HTTP/1.1\r\n" + HOST + b"Content-Length: 20000000\r\n\r\n")
            for _ in range(200):
                writer.write(b"x" * 100_000)
                await writer.drain()
            return await asyncio.wait_for(reader.read(-1), 5)

    answer = uvloop.run(run())
    assert statuses(answer) == [413]
    assert answer.endswith(b"too large")


def test_nothing_is_carried_out_after_the_last_answer() -> None:
    async def run() -> bytes:
        async with door() as (_, port), dialled(port) as (reader, writer):
            early = b"POST /early HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 0\r\n\r\n"
            writer.write(early + b"GET /b HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n" + GET)
            return await asyncio.wait_for(reader.read(-1), 5)

    answer = uvloop.run(run())
    assert statuses(answer) == [413, 200]
    assert seen == [b"/early", b"/b"]


def test_more_pipelined_requests_than_may_wait_are_refused_once() -> None:
    async def run() -> bytes:
        async with door() as (_, port), dialled(port) as (reader, writer):
            writer.write(GET * 3000)
            return await asyncio.wait_for(reader.read(-1), 10)

    found = statuses(uvloop.run(run()))
    assert found[-1] == 429
    assert set(found[:-1]) == {200}
    assert len(seen) == len(found) - 1


def test_a_client_that_never_reads_is_given_up() -> None:
    async def run() -> int:
        limits = Limits(stall_time=0.5)
        async with door(limits) as (front, port), dialled(port) as (_, writer):
            writer.write((b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n") * 40)
            await writer.drain()
            return await connections_left(front)

    assert uvloop.run(run()) == 0


def test_a_body_that_drips_is_given_up() -> None:
    async def run() -> int:
        async with door(Limits(stall_time=0.5)) as (front, port), dialled(port) as (_, writer):
            writer.write(b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\n")
            dripping = asyncio.create_task(drip(writer))
            left = await connections_left(front)
            dripping.cancel()
            return left

    assert uvloop.run(run()) == 0


async def drip(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)


async def connections_left(front: FrontDoor) -> int:
    """Wait until the door has no connection left; returns how many it still has after 5 s."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(5):
            while not front.connections:  # noqa: ASYNC110 - the door tells nobody
                await asyncio.sleep(0.01)
            while front.connections:  # noqa: ASYNC110 - the door tells nobody
                await asyncio.sleep(0.01)
    return len(front.connections)


def test_a_hundred_thousand_one_byte_chunks_are_one_body() -> None:
    async def run() -> bytes:
        async with door() as (_, port), dialled(port) as (reader, writer):
            writer.write(CHUNKED + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n")
            writer.write_eof()
            return await asyncio.wait_for(reader.read(-1), 10)

    assert uvloop.run(run()).endswith(b"\r\n\r\n100000")


def test_a_busy_connection_gets_its_next_answer_while_the_door_closes() -> None:
    async def run() -> bytes:
        async with door() as (front, port), dialled(port) as (reader, writer):
            writer.write(GET)
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n0"), 5)
            draining = asyncio.create_task(front.drain(5))
            await asyncio.sleep(0.05)
            writer.write(GET)
            answer = await asyncio.wait_for(reader.read(-1), 5)
            await draining
            return answer

    answer = uvloop.run(run())
    assert statuses(answer) == [200]
    assert b"Connection: close" in answer


def test_who_waits_when_the_door_closes_is_let_in_and_answered() -> None:
    async def run() -> list[bytes]:
        async with door() as (front, port):
            waiting = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(50)]
            for client in waiting:  # nobody has been accepted yet: the loop did not run
                client.sendall(GET)
            draining = asyncio.create_task(front.drain(5))
            answers = await asyncio.gather(*(asyncio.to_thread(read_all, client) for client in waiting))
            await draining
            return answers

    assert [statuses(answer) for answer in uvloop.run(run())] == [[200]] * 50


def read_all(client: socket.socket) -> bytes:
    with client, client.makefile("rb") as stream:
        return stream.read()

"""However its bytes arrive, a request gets the same answer: in one piece, byte by byte, alone or piled up.

What is here whole is answered where it is read, everything else by a task: two ways, one behaviour.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.frontdoor.test_gate import Keys, echo, until
from tests.wire.sigv4.signed import NOW, Draft

from sagestead.domain.errors import Invalid
from sagestead.frontdoor import dispatch
from sagestead.frontdoor.connection import Connection
from sagestead.frontdoor.gate import Gate, Service
from sagestead.frontdoor.limits import Limits
from sagestead.frontdoor.server import FrontDoor
from sagestead.wire.http import Call, Request, Response
from sagestead.wire.pending import Answered, Pending


class Wire:
    """A socket whose client reads at once, until told otherwise."""

    def __init__(self) -> None:
        self.sent = b""
        self.writes = 0
        self.closed = False

    def write(self, data: bytes) -> None:
        self.sent += data
        self.writes += 1

    def close(self) -> None:
        self.closed = True

    abort = write_eof = close

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return False

    def get_extra_info(self, _: str) -> None:
        return None

    def pause_reading(self) -> None:
        """Tests send on."""

    resume_reading = pause_reading


def at_once(call: Call) -> Response:
    """Answer, refuse or break, as the path says, without waiting."""
    body = call.body.whole()
    assert body is not None
    return _said(call, body)


def later(call: Call) -> Pending:
    """The same, by a future."""
    body = call.body.whole()
    assert body is not None
    loop = asyncio.get_running_loop()
    future: asyncio.Future[bytes] = loop.create_future()
    loop.call_soon(future.set_result, body)

    def finish(source: asyncio.Future[bytes]) -> Answered:
        return (
            _more(call, source.result()) if b"more" in call.request.raw_path else _said(call, source.result())
        )

    return Pending(future, finish)


async def _more(call: Call, body: bytes) -> Response:
    await asyncio.sleep(0)
    return _said(call, body)


def _said(call: Call, body: bytes) -> Response:
    path = call.request.raw_path
    if b"refused" in path:
        raise Invalid("no")
    if b"broken" in path:
        raise ZeroDivisionError
    return Response(200, [("X-Path", path.decode())], body)


def app() -> Gate:
    def under(path: bytes) -> Callable[[Request], bool]:
        return lambda request: request.raw_path.startswith(path)

    signed = frozenset({"sagemaker"})
    return Gate(
        Keys(),
        [
            Service("now", signed, "rest-json", under(b"/now"), at_once),
            Service("later", signed, "rest-json", under(b"/later"), later),
            Service("task", signed, "json", under(b"/task"), echo("task")),
            Service("s3", frozenset({"s3"}), "rest-xml", dispatch.is_s3, echo("s3")),
        ],
        lambda: NOW,
        "us-east-1",
    )


def message(draft: Draft, *, chunked: bool = False, version: str = "1.1", spoilt: bool = False) -> bytes:
    """Write a signed request as a client sends it; `spoilt`: with another body than was signed."""
    request = draft.send()
    fields = [b"%b: %b\r\n" % field for field in request.headers.items() if field[0] != b"content-length"]
    head = b"%b %b HTTP/%b\r\n" % (draft.method.encode(), request.raw_path, version.encode())
    body = draft.body[::-1] if spoilt else draft.body
    if not chunked:
        return head + b"".join(fields) + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:3], body[3:]) if part)
    return head + b"".join(fields) + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nX-T: 1\r\n\r\n"


async def conversation(door: FrontDoor, pieces: Iterable[bytes]) -> tuple[bytes, int]:
    """Send the pieces, then end; returns what was answered, and in how many writes."""
    wire = Wire()
    connection = Connection(door)
    connection.connection_made(wire)  # type: ignore[arg-type] # all of a transport that is used
    for piece in pieces:
        if wire.closed:
            break
        connection.data_received(piece)
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await until(lambda: connection.answering is None or connection.arriving is not None)
        if not wire.closed and connection.eof_received():
            await until(lambda: connection.answering is None)
    connection.connection_lost(None)
    return wire.sent, wire.writes


def same(answer: bytes) -> bytes:
    """Leave out what may differ: ids, dates, and whether a body had to be asked for."""
    answer = answer.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")
    answer = re.sub(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f-]{21}", b"ID", answer)
    return re.sub(rb"Date: [^\r]*", b"Date", answer)


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


async def opened(limits: Limits | None = None) -> FrontDoor:
    """Return a door that holds the key of the requests."""
    door = FrontDoor(app(), limits)
    assert statuses((await conversation(door, [message(Draft(path="/now"))]))[0]) == [200]
    return door


async def deliveries(door: FrontDoor, data: bytes, cuts: Sequence[int] = ()) -> list[bytes]:
    """Send the bytes in one piece, cut up, and one by one."""
    ends = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    ways = [
        [data],
        [data[start:end] for start, end in pairwise(ends)],
        [data[at : at + 1] for at in range(len(data))],
    ]
    return [same((await conversation(door, way))[0]) for way in ways]


PATHS = (
    "/now",
    "/now-refused",
    "/now-broken",
    "/later",
    "/later-refused",
    "/later-more",
    "/later-broken",
    "/task",
)
MESSAGES = st.builds(
    lambda path, body, chunked, version, spoilt: message(
        Draft(path=path, body=body), chunked=chunked and version == "1.1", version=version, spoilt=spoilt
    ),
    st.sampled_from(PATHS),
    st.sampled_from([b"", b"1,2,3\n", b"x" * 700]),
    st.booleans(),
    st.sampled_from(["1.1", "1.1", "1.1", "1.0"]),
    st.sampled_from([False, False, True]),
) | st.sampled_from(
    [
        b"GET /-/health HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HEAD /now HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab",
        b"POST /now HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na",
        b"junk",
        message(Draft(service="s3", method="PUT", path="/bucket/key", body=b"data")),
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(MESSAGES, min_size=1, max_size=5), st.lists(st.integers(0, 1 << 16), max_size=6), st.data())
def test_answers_do_not_depend_on_the_pieces(
    messages: list[bytes], cuts: list[int], more: st.DataObject
) -> None:
    data = b"".join(messages)
    damaged = more.draw(st.booleans(), "damage a byte")
    if damaged:
        at = more.draw(st.integers(0, len(data) - 1), "where")
        data = data[:at] + more.draw(st.binary(max_size=2), "by") + data[at + 1 :]

    async def run() -> list[bytes]:
        return await deliveries(await opened(), data, cuts)

    whole, cut, single = uvloop.run(run())
    if damaged and b"chunked" in data:
        # After an early refusal the connection is kept only if the end of the body is here already.
        assert {tuple(statuses(answer)[:1]) for answer in (whole, cut, single)} == {
            tuple(statuses(whole)[:1])
        }
    else:
        assert cut == whole
        assert single == whole
    assert b"HTTP/1.1 500" not in whole or b"broken" in data


def test_what_is_here_whole_is_answered_before_data_received_returns() -> None:
    async def run() -> tuple[bytes, int]:
        door, data = await opened(), message(Draft(path="/now", body=b"1,2"))
        wire = Wire()
        connection = Connection(door)
        connection.connection_made(wire)  # type: ignore[arg-type] # all of a transport that is used
        connection.data_received(data * 3)
        connection.connection_lost(None)
        return wire.sent, wire.writes

    answer, writes = uvloop.run(run())
    assert statuses(answer) == [200, 200, 200]
    assert writes == 3


def test_a_connection_that_piles_up_requests_lets_others_have_their_turn() -> None:
    async def run() -> list[int]:
        door, data = await opened(Limits(turn=4)), message(Draft(path="/now", body=b"1,2"))
        wire = Wire()
        connection = Connection(door)
        connection.connection_made(wire)  # type: ignore[arg-type] # all of a transport that is used
        connection.data_received(data * 10)
        seen = [wire.writes]
        while connection.queue:
            connection.data_received(b"")
            await asyncio.sleep(0)
            seen.append(wire.writes)
        connection.connection_lost(None)
        return seen

    assert uvloop.run(run()) == [4, 8, 10]


def test_a_client_that_does_not_read_gets_no_further_answers() -> None:
    async def run() -> tuple[int, int, int]:
        door, data = await opened(), message(Draft(path="/now", body=b"1,2"))
        wire = Wire()
        connection = Connection(door)
        connection.connection_made(wire)  # type: ignore[arg-type] # all of a transport that is used
        connection.pause_writing()
        connection.data_received(data * 3)
        before = wire.writes
        connection.resume_writing()
        connection.connection_lost(None)
        return before, wire.writes, len(connection.queue)

    assert uvloop.run(run()) == (0, 3, 0)


def test_who_leaves_takes_his_request_with_him() -> None:
    async def run() -> tuple[bool, int, bytes]:
        door = await opened()
        gate = door.app
        assert isinstance(gate, Gate)
        wire = Wire()
        connection = Connection(door)
        connection.connection_made(wire)  # type: ignore[arg-type] # all of a transport that is used
        room = gate._room.left
        connection.data_received(message(Draft(path="/later", body=b"1,2")))
        source = connection.answering
        assert source is not None
        assert gate._room.left == room - 3
        connection.connection_lost(None)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return source.cancelled(), gate._room.left - room, wire.sent

    assert uvloop.run(run()) == (True, 0, b"")


@pytest.mark.parametrize("where", ["name", "value", "trailer name", "trailer value"])
def test_no_byte_that_http_forbids_comes_through_in_a_field(where: str) -> None:
    """The parser refuses them; the front door relies on it."""
    start = b"POST /now HTTP/1.1\r\nHost: a\r\n"
    if where.startswith("trailer"):
        start = message(Draft(path="/task"), chunked=True).removesuffix(b"X-T: 1\r\n\r\n")
    token = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:"
    text = bytes([9, *range(32, 127), *range(128, 256)])
    forbidden = [code for code in range(256) if code not in (token if where.endswith("name") else text)]

    async def run() -> None:
        door = await opened()
        for code in forbidden:
            for piece in (b"%ca", b"a%ca", b"a%c", b"%c"):
                odd = piece % code
                field = odd + b": v\r\n\r\n" if where.endswith("name") else b"N: " + odd + b"\r\n\r\n"
                for answer in await deliveries(door, start + field):
                    assert statuses(answer) == [400], (code, odd, answer)

    uvloop.run(run())

"""A request that is like an earlier one is answered as if it had been read, whatever is different about it.

Every message is sent to two front doors that saw the same requests before: one that compares, and one that
reads them all. The bytes of their answers are the same, ids and dates apart.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise

import botocore.session
import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.frontdoor.test_gate import Keys, until
from tests.frontdoor.test_pieces import Wire, same, statuses
from tests.wire.sigv4.signed import KEY, NOW, SESSION, Draft

from sagestead.domain.errors import Invalid
from sagestead.domain.identity import Credential, Principal
from sagestead.frontdoor import dispatch, memory
from sagestead.frontdoor.connection import Connection
from sagestead.frontdoor.gate import Gate, Service
from sagestead.frontdoor.server import FrontDoor
from sagestead.wire.http import Again, Call, Request, Response
from sagestead.wire.pending import Pending

PATH = "/endpoints/hotels/invocations"
UUID = "5a0f0a35-2f3c-4f3a-9a3e-5c9a9b6c6b1d"
WRONG, UNKNOWN = replace(KEY, secret="another"), replace(KEY, access_key_id="AKIDNO")
ROWS = (b"1,2", b"3,4", b"5,6", b"7,8", b"9,0")
BODIES = (b"", b"1,2,3", b"4,5,6", b"refuse", b"break!", b"later", b"x" * 99, b"y" * 100)


class Asked:
    """Says what it was asked: at once, later, by refusing, by breaking."""

    def __init__(self) -> None:
        self.repeated = 0

    def answer(self, what: str, principal: Principal, body: bytes) -> Response | Pending:
        if body == b"refuse":
            raise Invalid("no")
        if body == b"break!":
            raise ZeroDivisionError
        said = Response(200, (("X-Asked", what), ("X-By", principal.access_key_id)), body)
        if body != b"later":
            return said
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        loop.call_soon(future.set_result, None)
        return Pending(future, lambda _: said)

    def __call__(self, call: Call) -> Response | Pending:
        body = call.body.whole()
        assert body is not None
        return self.answer(self._asked(call.request), call.principal, body)

    def again(self, request: Request) -> Again:
        return partial(self._repeat, self._asked(request))

    def _repeat(self, what: str, principal: Principal, body: bytes) -> Response | Pending:
        self.repeated += 1
        return self.answer(what, principal, body)

    def _asked(self, request: Request) -> str:
        return f"{request.raw_path.decode()} {request.headers.get('content-type')}"


class Place:
    """A front door with one service behind its gate; the time can be set."""

    def __init__(self, *, repeats: bool) -> None:
        self.now = NOW
        self.service = Asked()
        names = frozenset({"sagemaker"})
        answering = Service(
            "runtime", names, "rest-json", dispatch.is_runtime, self.service, self.service.again
        )
        self.keys = Keys()
        gate = Gate(self.keys, [answering], lambda: self.now, "us-east-1")
        self.gate = gate
        self.door = FrontDoor(gate, repeat=gate.repeat if repeats else None)
        self.wire = Wire()
        self.connection = Connection(self.door)
        self.connection.connection_made(self.wire)  # type: ignore[arg-type] # all of a transport that is used

    def reconnect(self) -> None:
        """Go on as another client."""
        self.wire = Wire()
        self.connection = Connection(self.door)
        self.connection.connection_made(self.wire)  # type: ignore[arg-type] # the same

    async def send(self, data: bytes, cuts: Sequence[int] = ()) -> bytes:
        """Return what a message is answered with, and whether the connection ends; a new one follows then.

        When the message is not whole, the client ends there.
        """
        connection, before = self.connection, len(self.wire.sent)
        ends = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
        for start, end in pairwise(ends):
            if not self.wire.closed:
                connection.data_received(data[start:end])
        async with asyncio.timeout(10):
            await until(lambda: connection.answering is None or connection.arriving is not None)
            waits = connection.in_head or connection.arriving is not None
            if waits and not self.wire.closed and connection.eof_received():
                await until(lambda: connection.answering is None)
        said = same(self.wire.sent[before:])
        if waits or self.wire.closed:
            connection.connection_lost(None)
            self.reconnect()
            return said + b" end"
        return said


def message(draft: Draft, *more: tuple[str, str]) -> bytes:
    """Write an invocation as an SDK sends it; `more`: fields that are not signed."""
    request = draft.send()
    fields = [field for field in request.headers.items() if field[0] != b"content-length"]
    fields += [(name.encode(), value.encode()) for name, value in more]
    head = b"".join(b"%b: %b\r\n" % field for field in fields)
    line = b"%b %b HTTP/1.1\r\n" % (draft.method.encode(), request.raw_path)
    return line + head + b"Content-Length: %d\r\n\r\n%b" % (len(draft.body), draft.body)


def invocation(
    body: bytes = b"1,2,3", *, key: Credential = KEY, kind: str = "text/csv", at: int = 21
) -> Draft:
    """Return a request; `at`: the second at which it is signed."""
    headers = (("Host", "localhost:8750"), ("Content-Type", kind), ("amz-sdk-invocation-id", UUID))
    return Draft(path=PATH, body=body, key=key, headers=headers, stamp=f"20261122T0752{at:02}Z")


FIELDS = st.lists(
    st.sampled_from(
        [
            ("User-Agent", "Boto3/1.44"),
            ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ("traceparent", "00-11111111111111111111111111111111-2222222222222222-01"),
            ("X-Amzn-SageMaker-Inference-Id", "one"),
            ("X-Amzn-SageMaker-Inference-Id", "two"),
            ("X-Amzn-SageMaker-No-Such", "two"),
            ("Connection", "close"),
            ("Transfer-Encoding", "chunked"),
            ("Host", "other"),
            ("X-Amz-Target", "SageMaker.ListModels"),
            ("x-amz-content-sha256", hashlib.sha256(b"1,2,3").hexdigest()),
            ("x-amz-content-sha256", hashlib.sha256(b"4,5,6").hexdigest()),
        ]
    ),
    max_size=2,
)
MESSAGES = st.builds(
    lambda body, key, kind, at, more: message(invocation(body, key=key, kind=kind, at=at), *more),
    st.sampled_from(BODIES),
    st.sampled_from(
        [KEY, KEY, KEY, SESSION, replace(KEY, secret="another"), replace(KEY, access_key_id="AKIDNO")]
    ),
    st.sampled_from(["text/csv", "text/csv", "text/libsvm"]),
    st.sampled_from([20, 21, 22]),
    FIELDS,
)

CUTS = st.lists(st.integers(0, 1 << 16) | st.integers(-9, -1), max_size=3)
"""Where a message is cut up; the end is where heads end and bodies begin."""


async def both(messages: Sequence[tuple[bytes, float]], cuts: Sequence[int] = ()) -> tuple[Place, Place]:
    """Send all to both doors, each at its time, cut up; the answers must be the same."""
    repeating, reading = Place(repeats=True), Place(repeats=False)
    for data, now in messages:
        said = []
        for place in (repeating, reading):
            place.now = now
            said.append(await place.send(data, cuts))
        assert said[0] == said[1]
    return repeating, reading


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(MESSAGES, st.sampled_from([0.0, 0.0, 299.0, 301.0, -301.0])), max_size=8), CUTS)
def test_it_is_answered_as_if_it_were_read(sent: list[tuple[bytes, float]], cuts: list[int]) -> None:
    uvloop.run(both([(data, NOW + later) for data, later in sent], cuts))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), CUTS)
def test_a_damaged_one_is_answered_as_if_it_were_read(draw: st.DataObject, cuts: list[int]) -> None:
    good = message(invocation(), ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
    at = draw.draw(st.integers(0, len(good) - 1))
    size = draw.draw(st.integers(0, 3))
    put = draw.draw(
        st.sampled_from([b"\r\n", b"\n", b" ", b"\t", b"\0", b",", b"0", b"1", b":"]) | st.binary(max_size=3)
    )
    bad = good[:at] + put + good[at + size :]
    uvloop.run(both([(good, NOW), (good, NOW), (bad, NOW), (good, NOW)], cuts))


def test_what_is_like_an_earlier_one_is_not_read() -> None:
    async def run() -> None:
        place = Place(repeats=True)
        for body in (b"1,2,3", b"4,5,6", b"later", b"7,8,9"):
            assert statuses(await place.send(message(invocation(body)))) == [200]
        assert place.service.repeated == 3  # all but the first
        place.reconnect()
        assert statuses(await place.send(message(invocation(b"1,2,3", at=22)))) == [200]
        assert place.service.repeated == 4

    uvloop.run(run())


def test_another_secret_is_not_let_in_by_an_earlier_request() -> None:
    async def run() -> None:
        place = Place(repeats=True)
        for _ in range(3):
            assert statuses(await place.send(message(invocation()))) == [200]
        wrong = message(invocation(key=WRONG))
        assert statuses(await place.send(wrong)) == [403]
        spoilt = message(invocation(b"1,2,3")).replace(b"1,2,3", b"1,2,4")
        assert statuses(await place.send(spoilt)) == [403]
        assert place.service.repeated == 2

    uvloop.run(run())


@pytest.mark.parametrize("text", ["a b", "a\tb", "é", ""])
def test_values_that_need_a_look_are_read(text: str) -> None:
    async def run() -> None:
        good = message(invocation())
        changed = re.sub(rb"5a0f0a35-[0-9a-f-]*", text.encode().ljust(36, b"x"), good)
        repeating, reading = await both([(good, NOW)] * 3 + [(changed, NOW)])
        assert repeating.service.repeated == 2
        assert reading.service.repeated == 0

    uvloop.run(run())


def test_what_is_remembered_is_bounded() -> None:
    async def run() -> None:
        place = Place(repeats=True)
        for number in range(memory.MOST + 50):
            place.now = NOW + number / 30  # so that there is time to learn each
            draft = replace(invocation(), path=f"/endpoints/{'h' * (number % 70 + 1)}{number}/invocations")
            assert statuses(await place.send(message(draft))) == [200]
        kept = place.gate._memory
        assert sum(len(alike) for alike in kept._by_size.values()) <= memory.MOST
        assert max(len(alike) for alike in kept._by_size.values()) <= memory.ALIKE

    uvloop.run(run())


def test_boto3_is_compared_from_its_second_request_on() -> None:
    service = Asked()

    async def run() -> list[bytes]:
        names = frozenset({"sagemaker"})
        answering = Service("runtime", names, "rest-json", dispatch.is_runtime, service, service.again)
        gate = Gate(Keys(), [answering], time.time, "us-east-1")
        door = FrontDoor(gate, repeat=gate.repeat)
        port = await door.start("127.0.0.1", 0)
        client = botocore.session.Session().create_client(
            "sagemaker-runtime",
            region_name="us-east-1",
            endpoint_url=f"http://127.0.0.1:{port}",
            aws_access_key_id=KEY.access_key_id,
            aws_secret_access_key=KEY.secret,
        )

        def ask(body: bytes) -> bytes:
            answer = client.invoke_endpoint(EndpointName="hotels", ContentType="text/csv", Body=body)
            said: bytes = answer["Body"].read()
            return said

        answers = [await asyncio.to_thread(ask, body) for body in ROWS]
        await door.drain(1.0)
        return answers

    assert uvloop.run(run()) == list(ROWS)
    assert service.repeated == len(ROWS) - 1

from __future__ import annotations

import itertools
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from sagestead.wire.frames import (
    MOST_TOGETHER,
    AnswerFrame,
    CancelFrame,
    Decoder,
    Frame,
    GoodbyeFrame,
    HelloFrame,
    PingFrame,
    RequestFrame,
    encode,
)
from sagestead.worker import growth
from sagestead.worker.connection import MOST_BYTES, READ_SIZE
from sagestead.worker.contract import Answer, BatchModel, Invocation, Model
from sagestead.worker.serve import LOOK_SECONDS, InstanceServer


class Upper:
    """Answers in capitals; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.may_answer = threading.Event()
        self.may_answer.set()

    def invoke(self, invocation: Invocation) -> Answer:
        self.asked.append(invocation.body)
        self.may_answer.wait(10)
        if invocation.body == b"surrogate":
            return Answer(200, "\ud800", b"")
        if invocation.body == b"status":
            return Answer(-1, "text/plain", b"")
        if invocation.body == b"nothing":
            return None  # type: ignore[return-value] # user code may do so
        return Answer(200, "text/plain", invocation.body.upper())


class UpperMany(Upper):
    """Takes several requests at a time, and remembers which were together."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def invoke_many(self, invocations: Sequence[Invocation]) -> list[Answer]:
        self.batches.append(len(invocations))
        answers = [self.invoke(invocation) for invocation in invocations]
        if any(invocation.body == b"raise" for invocation in invocations):
            raise ValueError("inside the model")
        return answers[1:] if any(invocation.body == b"short" for invocation in invocations) else answers


class UpperFrames(UpperMany):
    """Answers one letter from its frame; refuses the letter z, which it takes for simple at first."""

    def count_simple(self, frames: bytes, start: int, most: int) -> tuple[int, int]:
        simple = self._simple(frames, start)[:most]
        return (len(simple), simple[-1].id) if simple else (0, 0)

    def answer_simple(self, frames: bytes, start: int, count: int) -> tuple[bytes, int]:
        answers = b""
        for frame in self._simple(frames, start)[:count]:
            if frame.body == b"z":
                break
            answers += encode(AnswerFrame(frame.id, 200, "simple", frame.body.upper()))
            start += len(encode(frame))
        return answers, start

    def _simple(self, frames: bytes, start: int) -> list[RequestFrame]:
        found = Decoder().feed(frames[start:])
        simple = itertools.takewhile(lambda one: isinstance(one, RequestFrame) and len(one.body) == 1, found)
        return [one for one in simple if isinstance(one, RequestFrame)]


@contextmanager
def serving(model: Model, address: Path) -> Iterator[InstanceServer]:
    server = InstanceServer(model, address)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        if isinstance(model, Upper):
            model.may_answer.set()
        server.stop()
        thread.join()


@contextmanager
def connected(address: Path, together: int = 1) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX)) as client:
        client.settimeout(10)
        client.connect(str(address))
        (hello,) = Decoder().feed(client.recv(len(encode(HelloFrame(together)))))
        assert isinstance(hello, HelloFrame)
        assert hello.together == together
        yield client


def frames(client: socket.socket, count: int) -> list[Frame]:
    decoder = Decoder()
    found: list[Frame] = []
    while len(found) < count and (data := client.recv(65536)):
        found += decoder.feed(data)
    return found


def send(client: socket.socket, *sent: Frame) -> None:
    client.sendall(b"".join(map(encode, sent)))


def until_asked(model: Upper) -> None:
    while not model.asked:
        os.sched_yield()


@pytest.fixture
def address(tmp_path: Path) -> Path:
    return tmp_path / "a"


def test_requests_are_answered_in_order_and_pings_when_they_are_read(address: Path) -> None:
    with serving(Upper(), address), connected(address) as client:
        send(client, RequestFrame(5, b"a"), PingFrame(6), RequestFrame(7, b"b"))
        assert frames(client, 3) == [
            PingFrame(6),
            AnswerFrame(5, 200, "text/plain", b"A"),
            AnswerFrame(7, 200, "text/plain", b"B"),
        ]


def test_what_arrives_while_the_model_works_is_given_to_it_together(address: Path) -> None:
    model = UpperMany()
    model.may_answer.clear()
    with (
        serving(model, address),
        connected(address, MOST_TOGETHER) as one,
        connected(address, MOST_TOGETHER) as other,
    ):
        send(one, RequestFrame(1, b"first"))
        until_asked(model)
        send(one, *(RequestFrame(number, b"%d" % number) for number in range(2, 12)))
        send(other, RequestFrame(1, b"other"))
        model.may_answer.set()
        assert frames(one, 11) == [
            AnswerFrame(1, 200, "text/plain", b"FIRST"),
            *(AnswerFrame(number, 200, "text/plain", b"%d" % number) for number in range(2, 12)),
        ]
        assert frames(other, 1) == [AnswerFrame(1, 200, "text/plain", b"OTHER")]
    assert model.batches == [11]


def test_simple_requests_are_answered_from_their_frames_until_one_is_not(address: Path) -> None:
    model = UpperFrames()
    bodies = [b"a", b"b", b"two", b"c", b"z", b"d"]
    with serving(model, address), connected(address, MOST_TOGETHER) as client:
        requests = [RequestFrame(number, body) for number, body in enumerate(bodies)]
        data = b"".join(map(encode, requests))
        client.sendall(data[:-3])
        answers = frames(client, 5)
        client.sendall(data[-3:])
        answers += frames(client, 1)
        client.sendall(encode(RequestFrame(6, b"z")) + encode(RequestFrame(7, b"e")) + encode(PingFrame(8)))
        rest = frames(client, 3)
    kinds = ["simple", "simple", *["text/plain"] * 4]
    assert answers == [
        AnswerFrame(number, 200, kind, body.upper())
        for number, (kind, body) in enumerate(zip(kinds, bodies, strict=True))
    ]
    assert rest == [
        PingFrame(8),
        AnswerFrame(6, 200, "text/plain", b"Z"),
        AnswerFrame(7, 200, "text/plain", b"E"),
    ]
    assert model.asked == [b"two", b"c", b"z", b"d", b"z", b"e"]


def test_more_simple_requests_than_may_be_begun_together_are_answered_all(address: Path) -> None:
    count = 2 * MOST_TOGETHER + 1
    with serving(UpperFrames(), address), connected(address, MOST_TOGETHER) as client:
        send(client, *(RequestFrame(number, b"a") for number in range(count)))
        assert frames(client, count) == [AnswerFrame(number, 200, "simple", b"A") for number in range(count)]


def test_no_more_requests_are_begun_together_than_were_announced(address: Path) -> None:
    model = UpperMany()
    with serving(model, address), connected(address, MOST_TOGETHER) as client:
        send(client, *(RequestFrame(number, b"x") for number in range(3 * MOST_TOGETHER)))
        assert len(frames(client, 3 * MOST_TOGETHER)) == 3 * MOST_TOGETHER
    assert max(model.batches) == MOST_TOGETHER


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"raise", b"the model raised an exception; the instance's log holds it"),
        (b"short", b"the model gave 1 answers to 2 requests"),
    ],
)
def test_a_batch_that_fails_answers_500_to_all_of_it(address: Path, body: bytes, sentence: bytes) -> None:
    with serving(UpperMany(), address), connected(address, MOST_TOGETHER) as client:
        send(client, RequestFrame(1, b"a"), RequestFrame(2, body))
        assert frames(client, 2) == [AnswerFrame(number, 500, "text/plain", sentence) for number in (1, 2)]
        send(client, RequestFrame(3, b"c"))
        assert frames(client, 1) == [AnswerFrame(3, 200, "text/plain", b"C")]


def test_only_models_that_offer_it_are_given_several_requests() -> None:
    assert isinstance(UpperMany(), BatchModel)
    assert not isinstance(Upper(), BatchModel)


def test_a_cancelled_request_is_handed_back_and_not_begun(address: Path) -> None:
    model = Upper()
    model.may_answer.clear()
    with serving(model, address), connected(address) as client:
        send(client, RequestFrame(1, b"a"))
        until_asked(model)
        send(client, RequestFrame(2, b"b"), RequestFrame(3, b"c"), CancelFrame(2), CancelFrame(1))
        model.may_answer.set()
        assert frames(client, 3) == [
            AnswerFrame(1, 200, "text/plain", b"A"),
            CancelFrame(2),
            AnswerFrame(3, 200, "text/plain", b"C"),
        ]
    assert model.asked == [b"a", b"c"]


@pytest.mark.parametrize("model", [Upper(), UpperMany()], ids=["one by one", "together"])
def test_a_request_that_comes_too_late_is_handed_back_and_not_begun(address: Path, model: Upper) -> None:
    together = MOST_TOGETHER if isinstance(model, UpperMany) else 1
    with serving(model, address), connected(address, together) as client:
        send(client, RequestFrame(1, b"a", wait=0), RequestFrame(2, b"b"), RequestFrame(3, b"c", wait=60_000))
        assert frames(client, 3) == [
            CancelFrame(1),
            AnswerFrame(2, 200, "text/plain", b"B"),
            AnswerFrame(3, 200, "text/plain", b"C"),
        ]
    assert model.asked == [b"b", b"c"]


def test_who_asks_after_a_busy_instance_waits_for_one_request_and_not_for_all(address: Path) -> None:
    turns, busy = threading.Semaphore(0), threading.Barrier(2)

    class ByTurns(Upper):
        def invoke(self, invocation: Invocation) -> Answer:
            busy.wait(10)
            turns.acquire(timeout=10)
            threading.Event().wait(2 * LOOK_SECONDS)
            return super().invoke(invocation)

    with serving(ByTurns(), address), connected(address) as client:
        send(client, *(RequestFrame(number, b"a") for number in range(3)))
        busy.wait(10)
        with closing(socket.socket(socket.AF_UNIX)) as other:
            other.settimeout(10)
            other.connect(str(address))
            other.sendall(encode(PingFrame(5)))
            turns.release()
            assert frames(other, 2)[1] == PingFrame(5)
        for _ in range(2):
            busy.wait(10)
            turns.release()
        assert len(frames(client, 3)) == 3


def test_requests_of_a_front_door_that_left_are_not_begun(address: Path) -> None:
    model = Upper()
    model.may_answer.clear()
    with serving(model, address), connected(address) as client:
        with connected(address) as leaving:
            send(leaving, *(RequestFrame(number, b"left") for number in range(20)))
            until_asked(model)
        model.may_answer.set()
        send(client, RequestFrame(1, b"a"))
        assert frames(client, 1) == [AnswerFrame(1, 200, "text/plain", b"A")]
    assert model.asked.count(b"left") < 20


def test_a_connection_is_not_read_while_much_of_it_waits(address: Path) -> None:
    held = []

    class Looking(Upper):
        def invoke(self, invocation: Invocation) -> Answer:
            held.append(sum(len(waiting.body) for *_, waiting in server._queue))
            return super().invoke(invocation)

    body = bytes(50_000)
    with serving(Looking(), address) as server, connected(address) as client:
        sender = threading.Thread(
            target=send, args=(client, *(RequestFrame(number, body) for number in range(100)))
        )
        sender.start()
        assert len(frames(client, 100)) == 100
        sender.join()
    assert max(held) <= MOST_BYTES + READ_SIZE


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\xff\xff\xff\xff" + bytes(13),
        b"\x00\x00\x00\x0d\x09\x00\x00\x00\x01" + bytes(8),
        encode(GoodbyeFrame()),
        encode(AnswerFrame(1, 200, "", b"")),
        encode(HelloFrame(1)),
    ],
    ids=["HTTP", "4 GB", "unknown kind", "goodbye", "answer", "hello"],
)
def test_a_peer_that_breaks_the_format_is_hung_up_on_and_others_are_served(
    address: Path, data: bytes
) -> None:
    with serving(Upper(), address), connected(address) as good, connected(address) as bad:
        bad.sendall(data)
        assert bad.recv(100) == b""
        send(good, RequestFrame(1, b"a"))
        assert frames(good, 1) == [AnswerFrame(1, 200, "text/plain", b"A")]


@pytest.mark.parametrize("body", [b"surrogate", b"status", b"nothing"])
def test_an_answer_that_no_frame_can_hold_is_an_answer_500(address: Path, body: bytes) -> None:
    with serving(Upper(), address), connected(address) as client:
        send(client, RequestFrame(1, body), RequestFrame(2, b"b"))
        broken, good = frames(client, 2)
        assert isinstance(broken, AnswerFrame)
        assert broken.status == 500
        assert broken.body.startswith(b"the model's answer cannot be sent: ")
        assert good == AnswerFrame(2, 200, "text/plain", b"B")


def test_half_a_frame_keeps_nobody_waiting(address: Path) -> None:
    whole = encode(RequestFrame(1, b"slow"))
    with serving(Upper(), address), connected(address) as slow, connected(address) as quick:
        slow.sendall(whole[:11])
        send(quick, RequestFrame(1, b"quick"))
        assert frames(quick, 1) == [AnswerFrame(1, 200, "text/plain", b"QUICK")]
        slow.sendall(whole[11:])
        assert frames(slow, 1) == [AnswerFrame(1, 200, "text/plain", b"SLOW")]


def test_stopping_answers_what_arrived_and_says_goodbye(address: Path) -> None:
    model = Upper()
    model.may_answer.clear()
    with serving(model, address) as server, connected(address) as client:
        send(client, RequestFrame(1, b"a"))
        until_asked(model)
        send(client, RequestFrame(2, b"b"))
        server.stop()
        model.may_answer.set()
        assert frames(client, 3) == [
            AnswerFrame(1, 200, "text/plain", b"A"),
            AnswerFrame(2, 200, "text/plain", b"B"),
            GoodbyeFrame(),
        ]
        assert client.recv(1) == b""


def test_an_instance_that_grows_too_much_answers_says_goodbye_and_ends(
    address: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    leaked = []

    class Leaking(Upper):
        def invoke(self, invocation: Invocation) -> Answer:
            leaked.append(b"x" * (32 << 20))
            return super().invoke(invocation)

    monkeypatch.setattr(growth, "LOOK_SECONDS", 0.0)
    server = InstanceServer(Leaking(), address, growth=16 << 20)
    thread = threading.Thread(target=server.serve)
    thread.start()
    with connected(address) as client:
        send(client, RequestFrame(1, b"a"))
        assert frames(client, 2) == [AnswerFrame(1, 200, "text/plain", b"A"), GoodbyeFrame()]
    thread.join()
    assert "MiB of memory since it was ready; 16 MiB are allowed" in capsys.readouterr().out


def test_an_address_of_a_dead_instance_is_taken_over(address: Path) -> None:
    with serving(Upper(), address):
        pass
    assert address.exists()
    with serving(Upper(), address), connected(address) as client:
        send(client, PingFrame(1))
        assert frames(client, 1) == [PingFrame(1)]


def test_an_instance_asks_itself_before_it_is_ready(address: Path) -> None:
    server = InstanceServer(Upper(), address)
    server.ping()
    server.stop()
    server.serve()

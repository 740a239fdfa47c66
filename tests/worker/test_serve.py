from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from sagestead.wire.frames import (
    AnswerFrame,
    Decoder,
    Frame,
    GoodbyeFrame,
    PingFrame,
    RequestFrame,
    encode,
)
from sagestead.worker.contract import Answer, Invocation
from sagestead.worker.serve import InstanceServer


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
        return Answer(200, "text/plain", invocation.body.upper())


@contextmanager
def serving(model: Upper, address: Path) -> Iterator[InstanceServer]:
    server = InstanceServer(model, address)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        model.may_answer.set()
        server.stop()
        thread.join()


@contextmanager
def connected(address: Path) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX)) as client:
        client.settimeout(10)
        client.connect(str(address))
        yield client


def frames(client: socket.socket, count: int) -> list[Frame]:
    decoder = Decoder()
    found: list[Frame] = []
    while len(found) < count and (data := client.recv(65536)):
        found += decoder.feed(data)
    return found


@pytest.fixture
def address(tmp_path: Path) -> Path:
    return tmp_path / "a"


def test_requests_are_answered_in_order(address: Path) -> None:
    with serving(Upper(), address), connected(address) as client:
        client.sendall(encode(RequestFrame(5, b"a")) + encode(PingFrame(6)) + encode(RequestFrame(7, b"b")))
        assert frames(client, 3) == [
            AnswerFrame(5, 200, "text/plain", b"A"),
            PingFrame(6),
            AnswerFrame(7, 200, "text/plain", b"B"),
        ]


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xff\xff\xff" + bytes(10),
        b"\x00\x00\x00\x05\x09\x00\x00\x00\x01",
        encode(GoodbyeFrame()),
        encode(AnswerFrame(1, 200, "", b"")),
        encode(RequestFrame(1, b"surrogate")),
    ],
    ids=["HTTP", "4 GB", "unknown kind", "goodbye", "answer", "an answer that no frame can hold"],
)
def test_a_peer_that_breaks_the_format_is_hung_up_on_and_others_are_served(
    address: Path, data: bytes
) -> None:
    with serving(Upper(), address), connected(address) as good, connected(address) as bad:
        bad.sendall(data)
        assert bad.recv(100) == b""
        good.sendall(encode(RequestFrame(1, b"a")))
        assert frames(good, 1) == [AnswerFrame(1, 200, "text/plain", b"A")]


def test_half_a_frame_keeps_nobody_waiting(address: Path) -> None:
    whole = encode(RequestFrame(1, b"slow"))
    with serving(Upper(), address), connected(address) as slow, connected(address) as quick:
        slow.sendall(whole[:11])
        quick.sendall(encode(RequestFrame(1, b"quick")))
        assert frames(quick, 1) == [AnswerFrame(1, 200, "text/plain", b"QUICK")]
        slow.sendall(whole[11:])
        assert frames(slow, 1) == [AnswerFrame(1, 200, "text/plain", b"SLOW")]


def test_stopping_answers_what_arrived_and_says_goodbye(address: Path) -> None:
    model = Upper()
    model.may_answer.clear()
    with serving(model, address) as server, connected(address) as client:
        client.sendall(encode(RequestFrame(1, b"a")))
        while not model.asked:
            os.sched_yield()
        client.sendall(encode(RequestFrame(2, b"b")))
        server.stop()
        model.may_answer.set()
        assert frames(client, 3) == [
            AnswerFrame(1, 200, "text/plain", b"A"),
            AnswerFrame(2, 200, "text/plain", b"B"),
            GoodbyeFrame(),
        ]
        assert client.recv(1) == b""


def test_an_address_of_a_dead_instance_is_taken_over(address: Path) -> None:
    with serving(Upper(), address):
        pass
    assert address.exists()
    with serving(Upper(), address), connected(address) as client:
        client.sendall(encode(PingFrame(1)))
        assert frames(client, 1) == [PingFrame(1)]


def test_an_instance_asks_itself_before_it_is_ready(address: Path) -> None:
    server = InstanceServer(Upper(), address)
    server.ping()
    server.stop()
    server.serve()

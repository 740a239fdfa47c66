"""An instance's side of its Unix socket: frames in, the model's answers out.

Rules: one thread; requests of a connection are begun in order, each answered before the next is begun (so
that a front door knows which of its requests a dead instance had begun: at most the oldest); at most one
incomplete frame is held for each connection; a connection that breaks the format is closed.
"""

from __future__ import annotations

import os
import selectors
import socket
import time
import traceback
from contextlib import suppress
from pathlib import Path

from sagestead.wire.frames import (
    BODY_LIMIT,
    AnswerFrame,
    BrokenFrame,
    Decoder,
    Frame,
    GoodbyeFrame,
    PingFrame,
    RequestFrame,
    encode,
)
from sagestead.worker.contract import Answer, Invocation, Model

READ_SIZE = 1 << 18
SEND_TIMEOUT = 10.0
FAREWELL_READS = 64
FAREWELL_SECONDS = 1.0
BACKLOG = 128


class InstanceServer:
    """Serves one model at one address until `stop`."""

    def __init__(self, model: Model, address: Path) -> None:
        self._model = model
        self._stopping = False
        self._decoders: dict[socket.socket, Decoder] = {}
        self._selector = selectors.DefaultSelector()
        self._wake, self._waker = socket.socketpair()
        self._listener = _listen(address)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)

    def stop(self) -> None:
        """End `serve` after what is read now; may be called from a signal handler."""
        self._stopping = True
        with suppress(OSError):  # full or closed: it wakes, or has ended
            self._waker.send(b"\0", socket.MSG_DONTWAIT)

    def ping(self) -> None:
        """Ask ourselves over the socket and wait for the answer: proof that clients will get one."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(self._listener.getsockname())
            probe.sendall(encode(PingFrame(1)))
            probe.settimeout(0)
            answer = b""
            while not answer and not self._stopping:
                self._step()
                with suppress(BlockingIOError):
                    answer = probe.recv(READ_SIZE)

    def serve(self) -> None:
        """Answer requests until `stop`; then answer what has arrived and say goodbye."""
        while not self._stopping:
            self._step()
        self._say_goodbye()

    def _step(self) -> None:
        for key, _ in self._selector.select():
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj is self._wake:
                self._wake.recv(READ_SIZE)
            elif isinstance(key.fileobj, socket.socket):
                self._read(key.fileobj)

    def _accept(self) -> None:
        with suppress(BlockingIOError, ConnectionError):
            connection, _ = self._listener.accept()
            connection.settimeout(SEND_TIMEOUT)
            self._decoders[connection] = Decoder()
            self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket) -> bool:
        """Read once and answer what is complete; False when nothing (more) can come."""
        try:
            data = os.read(connection.fileno(), READ_SIZE)  # never waits, unlike recv with a timeout
            frames = self._decoders[connection].feed(data)
            for frame in frames:
                connection.sendall(encode(self._answer(frame)))
        except BlockingIOError:
            return False
        except (OSError, BrokenFrame) as error:
            print(f"a connection was closed: {error}", flush=True)  # noqa: T201 - the instance's log
            data = b""
        if not data:
            self._drop(connection)
        return bool(data)

    def _drop(self, connection: socket.socket) -> None:
        del self._decoders[connection]
        self._selector.unregister(connection)
        connection.close()

    def _answer(self, frame: Frame) -> Frame:
        match frame:
            case RequestFrame():
                return _answer_frame(frame.id, invoke(self._model, frame))
            case PingFrame():
                return frame
        raise BrokenFrame("an instance takes requests and pings only")

    def _say_goodbye(self) -> None:
        """Answer what has arrived, tell each front door that no more is read, and let it hang up first."""
        self._selector.unregister(self._listener)
        self._listener.close()
        for connection in list(self._decoders):
            reads = 0
            while reads < FAREWELL_READS and self._read(connection):
                reads += 1
            with suppress(OSError):
                connection.sendall(encode(GoodbyeFrame()))
                connection.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + FAREWELL_SECONDS
        for connection in list(self._decoders):
            with suppress(OSError):
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                while connection.recv(READ_SIZE):
                    connection.settimeout(max(0.001, deadline - time.monotonic()))
            connection.close()
        self._selector.close()
        self._wake.close()
        self._waker.close()


def invoke(model: Model, frame: RequestFrame) -> Answer:
    """Ask the model; whatever goes wrong inside it is an answer too."""
    invocation = Invocation(
        body=frame.body,
        content_type=frame.content_type,
        accept=frame.accept,
        custom_attributes=frame.custom_attributes,
        target_model=frame.target_model,
        inference_id=frame.inference_id,
    )
    try:
        answer = model.invoke(invocation)
    except Exception:  # noqa: BLE001 - a model's defect must not end the instance
        traceback.print_exc()
        return _refusal("the model raised an exception; the instance's log holds it")
    if len(answer.body) > BODY_LIMIT:
        return _refusal(f"the model's answer has {len(answer.body)} bytes; at most {BODY_LIMIT} are allowed")
    return answer


def _answer_frame(identity: int, answer: Answer) -> AnswerFrame:
    return AnswerFrame(identity, answer.status, answer.content_type, answer.body, answer.custom_attributes)


def _refusal(sentence: str) -> Answer:
    return Answer(500, "text/plain", sentence.encode())


def _listen(address: Path) -> socket.socket:
    """Listen at `address`, in the place of whoever listened there before and lives no more."""
    address.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(address))
    listener.listen(BACKLOG)
    listener.settimeout(0)
    return listener

"""An instance's side of its Unix socket: frames in, the model's answers out.

Rules: one thread. Requests are begun in the order of their arrival, those of a connection in the order of
sending. A model that takes several at a time is given, without waiting for more, what arrived while it
worked; one that answers the simplest from their frames is given those that come first. Of a connection at
most so many requests are begun before the oldest of them is answered as the instance's first frame says (1
for a model that takes one at a time), and each is written down before it is begun (worker/progress.py), so
that a front door knows which of its requests a dead instance had begun. What nobody waits for any more is not
begun, and its front door is told so. A connection is not read while much of it waits, so memory is bounded;
one that breaks the format is closed.
"""

from __future__ import annotations

import selectors
import socket
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sagestead.wire.frames import (
    MOST_TOGETHER,
    REQUEST,
    BrokenFrame,
    CancelFrame,
    Decoder,
    Frame,
    GoodbyeFrame,
    HelloFrame,
    PingFrame,
    encode,
    frame_of,
    request_texts,
)
from sagestead.worker.connection import READ_SIZE, Connection
from sagestead.worker.contract import Answer, BatchModel, FrameModel, Invocation, Model
from sagestead.worker.growth import Growth
from sagestead.worker.progress import Progress
from sagestead.worker.surroundings import give_back_memory

BATCH_BYTES = 1 << 20
LOOK_SECONDS = 0.002
"""Work so long, then see what has arrived."""

FAREWELL_READS = 64
FAREWELL_SECONDS = 1.0
BACKLOG = 128


_Waiting = tuple[Connection, int, float, Invocation]
"""A request that was read: whose, its id, when nobody waits for it any more (monotonic), what it asks."""


class InstanceServer:
    """Serves one model at one address until `stop`, or until it has grown too much.

    Args:
        model: answers; a `BatchModel` is given several requests at a time.
        address: path of the Unix socket.
        growth: bytes of memory that it may gain while it serves; by default a share of the machine's.
    """

    def __init__(self, model: Model, address: Path, growth: int | None = None) -> None:
        self._ask = _asking(model)
        self._simple = model if isinstance(model, FrameModel) else None
        self._together = MOST_TOGETHER if isinstance(model, BatchModel) else 1
        self._allowed = growth
        self._stopping = False
        self._queue: deque[_Waiting] = deque()
        self._connections: set[Connection] = set()
        self._selector = selectors.DefaultSelector()
        self._wake, self._waker = socket.socketpair()
        self._progress = Progress(address)
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
            decoder = Decoder()
            answered = False
            while not answered and not self._stopping:
                self._step()
                with suppress(BlockingIOError):
                    answered = PingFrame(1) in decoder.feed(probe.recv(READ_SIZE))

    def serve(self) -> None:
        """Answer requests until `stop`; then answer what has arrived and say goodbye."""
        give_back_memory()
        growth = Growth(self._allowed)
        while not self._stopping:
            self._step()
            if (sentence := growth.excess()) is not None:
                _log(sentence)
                break
        self._say_goodbye()

    def _step(self) -> None:
        """See what has arrived, waiting for something if there is no work; then work for a little while."""
        for key, _ in self._selector.select(0 if self._queue else None):
            if isinstance(key.fileobj, Connection):
                if not key.fileobj.is_full:
                    self._read(key.fileobj)
            elif key.fileobj is self._listener:
                self._accept()
            else:
                self._wake.recv(READ_SIZE)
        until = time.monotonic() + LOOK_SECONDS
        while self._queue:
            self._answer_some()
            if time.monotonic() >= until:
                return

    def _accept(self) -> None:
        """Take a new connection and read what came with it: whoever asks after us waits for no more work."""
        with suppress(BlockingIOError, ConnectionError):
            accepted = self._listener.accept()[0]
            place = self._progress.take_place()
            connection = Connection(accepted, place)
            self._connections.add(connection)
            self._selector.register(connection, selectors.EVENT_READ)
            connection.put(HelloFrame(self._together, self._progress.greeting(place)))
            if not self._read(connection):
                self._flush(connection)

    def _read(self, connection: Connection) -> bool:
        """Read once and queue what is complete; False when nothing (more) can come."""
        try:
            data = connection.receive()
            if self._simple is not None and not self._queue and connection.is_between_frames:
                data = self._answer_simple(self._simple, connection, data)
            now, queue = time.monotonic(), self._queue
            for part in connection.parts(data):
                kind, identity, wait, texts, body = part
                if kind == REQUEST:
                    queue.append(
                        (connection, identity, now + wait / 1000, Invocation(body, *request_texts(texts)))
                    )
                    connection.waiting += 1
                    connection.held += len(body)
                else:
                    self._take(connection, frame_of(part))
            connection.flush()
        except BlockingIOError:
            return False
        except (OSError, BrokenFrame) as error:
            self._drop(connection, error)
            return False
        return True

    def _answer_simple(self, model: FrameModel, connection: Connection, data: bytes) -> bytes:
        """Answer the simple requests that were read first, for no other waits; returns what is left."""
        start, progress = 0, self._progress
        while start < len(data):
            count, last = model.count_simple(data, start, self._together)
            if not count:
                break
            progress.note(connection.place, last)
            progress.work(time.monotonic())
            answers, following = model.answer_simple(data, start, count)
            progress.work(0.0)
            if following == start:
                break
            start = following
            connection.put_frames(answers)
            connection.flush()
        return data[start:]

    def _take(self, connection: Connection, frame: Frame) -> None:
        match frame:
            case PingFrame():
                connection.put(frame)
            case CancelFrame(wanted):
                for place, (whose, identity, _, invocation) in enumerate(self._queue):
                    if whose is connection and identity == wanted:
                        del self._queue[place]
                        connection.release(invocation)
                        connection.put(frame)
                        break
            case _:
                raise BrokenFrame("an instance takes requests, cancellations and pings only")

    def _answer_some(self) -> None:
        """Take as many requests as may be begun together, and answer them."""
        batch = self._batch()
        if not batch:
            return
        progress = self._progress
        for connection, identity, _, _ in batch:
            progress.note(connection.place, identity)
        progress.work(time.monotonic())
        answers = self._answers([invocation for _, _, _, invocation in batch])
        progress.work(0.0)
        for (connection, identity, _, _), answer in zip(batch, answers, strict=True):
            try:
                connection.answer(identity, answer)
            except (BrokenFrame, AttributeError, TypeError) as error:
                connection.answer(identity, _refusal(f"the model's answer cannot be sent: {error}"))
        for connection in {waiting[0] for waiting in batch}:
            self._flush(connection)

    def _answers(self, invocations: list[Invocation]) -> list[Answer]:
        """Ask the model; whatever goes wrong inside it is an answer too."""
        try:
            answers = self._ask(invocations)
        except Exception:  # noqa: BLE001 - a model's defect must not end the instance
            traceback.print_exc()
            refusal = _refusal("the model raised an exception; the instance's log holds it")
            return [refusal] * len(invocations)
        if len(answers) != len(invocations):
            refusal = _refusal(f"the model gave {len(answers)} answers to {len(invocations)} requests")
            return [refusal] * len(invocations)
        return answers

    def _batch(self) -> list[_Waiting]:
        """Take the next requests; those that came too late are handed back first.

        A late request counts, so that the batch lies within the oldest `together` of its connection.
        """
        batch: list[_Waiting] = []
        late: set[Connection] = set()
        now, size = time.monotonic(), 0
        for _ in range(min(self._together, len(self._queue))):
            waiting = self._queue.popleft()
            connection, identity, until, invocation = waiting
            connection.release(invocation)
            if not connection.open:
                continue
            if until <= now:
                connection.put(CancelFrame(identity))
                late.add(connection)
                continue
            batch.append(waiting)
            size += len(invocation.body)
            if size >= BATCH_BYTES:
                break
        for connection in late:
            self._flush(connection)
        return batch

    def _flush(self, connection: Connection) -> None:
        if connection.open:
            try:
                connection.flush()
            except OSError as error:
                self._drop(connection, error)

    def _drop(self, connection: Connection, reason: Exception) -> None:
        if str(reason) and not isinstance(reason, ConnectionError):
            _log(f"a connection was closed: {reason}")
        self._connections.remove(connection)
        self._progress.free_place(connection.place)
        self._selector.unregister(connection)
        connection.close()

    def _say_goodbye(self) -> None:
        """Answer what has arrived, tell each front door that no more is read, and let it hang up first."""
        self._selector.unregister(self._listener)
        self._listener.close()
        for connection in list(self._connections):
            for _ in range(FAREWELL_READS):
                if connection.is_full or not self._read(connection):
                    break
        while self._queue:
            self._answer_some()
        deadline = time.monotonic() + FAREWELL_SECONDS
        for connection in self._connections:
            with suppress(OSError):
                connection.put(GoodbyeFrame())
                connection.finish()
        for connection in self._connections:
            with suppress(OSError):
                connection.await_end(deadline)
            connection.close()
        self._selector.close()
        self._wake.close()
        self._waker.close()


def _asking(model: Model) -> Callable[[list[Invocation]], list[Answer]]:
    """Return how several requests are put to the model."""

    def one_by_one(invocations: list[Invocation]) -> list[Answer]:
        return [model.invoke(invocation) for invocation in invocations]

    if not isinstance(model, BatchModel):
        return one_by_one
    many = model.invoke_many
    return lambda invocations: list(many(invocations)) if len(invocations) > 1 else one_by_one(invocations)


def _refusal(sentence: str) -> Answer:
    return Answer(500, "text/plain", sentence.encode())


def _log(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the instance's log


def _listen(address: Path) -> socket.socket:
    """Listen at `address`, in the place of whoever listened there before and lives no more."""
    address.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(address))
    listener.listen(BACKLOG)
    listener.settimeout(0)
    return listener

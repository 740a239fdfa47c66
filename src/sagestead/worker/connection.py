"""One front door's connection, at the instance's end.

Rule: reading never waits; what is to be sent is collected and goes out at once, and a peer that does not
take it in time is given up.
"""

from __future__ import annotations

import select
import socket
import time

from sagestead.wire.frames import (
    ANSWER,
    BODY_LIMIT,
    MOST_TOGETHER,
    BrokenFrame,
    Decoder,
    Frame,
    Part,
    encode,
    framed,
    joined,
)
from sagestead.worker.contract import Answer, Invocation

READ_SIZE = 1 << 16
SEND_SECONDS = 10.0
MOST_BYTES = 1 << 20

# A peer that has gone must not end the instance by a signal.
_NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)


class PeerGone(OSError):  # noqa: N818 - says what happened
    """The peer hung up, or takes nothing."""


class Connection:
    """A connected socket and what waits on it.

    Attributes:
        waiting: how many of its requests were read and not taken.
        held: how many bytes these have.
        open: false once it was closed.
        place: where it is written down which of its requests are begun.
    """

    __slots__ = ("_decoder", "_out", "_socket", "held", "open", "place", "waiting")

    def __init__(self, connected: socket.socket, place: int) -> None:
        connected.setblocking(False)  # noqa: FBT003 - takes no keywords
        self._socket = connected
        self._decoder = Decoder()
        self._out: list[bytes] = []
        self.waiting = 0
        self.held = 0
        self.open = True
        self.place = place

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self._socket.fileno()

    @property
    def is_full(self) -> bool:
        """True while so much waits that no more should be read."""
        return self.waiting >= MOST_TOGETHER or self.held >= MOST_BYTES

    def release(self, invocation: Invocation) -> None:
        """Count a request no more that has waited."""
        self.waiting -= 1
        self.held -= len(invocation.body)

    def receive(self) -> bytes:
        """Read once.

        Raises:
            BlockingIOError: nothing has arrived.
            PeerGone: the peer hung up.
        """
        data = self._socket.recv(READ_SIZE)
        if not data:
            raise PeerGone
        return data

    @property
    def is_between_frames(self) -> bool:
        """True when what is received next begins a frame."""
        return not self._decoder.pending

    def parts(self, data: bytes) -> list[Part]:
        """Return what is complete with this; raise `BrokenFrame` when the peer sends no frames."""
        return self._decoder.parts(data)

    def put_frames(self, frames: bytes) -> None:
        """Collect frames to send."""
        self._out.append(frames)

    def put(self, frame: Frame) -> None:
        """Collect a frame to send; raise `BrokenFrame` when it cannot be one."""
        self._out.append(encode(frame))

    def answer(self, identity: int, answer: Answer) -> None:
        """Collect the answer to the request of that id.

        Raises:
            BrokenFrame: it cannot be sent.
            TypeError, AttributeError: it is no answer.
        """
        body = answer.body
        if len(body) > BODY_LIMIT:
            raise BrokenFrame(f"it has {len(body)} bytes; at most {BODY_LIMIT} are allowed")
        texts = joined(answer.content_type, answer.custom_attributes)
        self._out.append(framed(ANSWER, identity, answer.status, texts, body))

    def flush(self) -> None:
        """Send what was collected.

        Raises:
            OSError: the peer has gone, or took nothing for a while.
        """
        if not self._out:
            return
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        sent = self._send(data)
        if sent < len(data):
            self._send_slowly(memoryview(data)[sent:])

    def finish(self) -> None:
        """Send what was collected, and the end of the stream."""
        self.flush()
        self._socket.shutdown(socket.SHUT_WR)

    def await_end(self, deadline: float) -> None:
        """Read and forget until the peer hangs up, or until `deadline` (monotonic)."""
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            if not self._socket.recv(READ_SIZE):
                return

    def close(self) -> None:
        """Hang up."""
        self.open = False
        self._socket.close()

    def _send(self, data: bytes | memoryview) -> int:
        try:
            return self._socket.send(data, _NO_SIGNAL)
        except BlockingIOError:
            return 0

    def _send_slowly(self, rest: memoryview) -> None:
        room = select.poll()
        room.register(self._socket, select.POLLOUT)
        deadline = time.monotonic() + SEND_SECONDS
        while rest:
            left = deadline - time.monotonic()
            if left <= 0:
                raise PeerGone(f"it took nothing for {SEND_SECONDS:.0f} seconds")
            room.poll(left * 1000)
            sent = self._send(rest)
            if sent:
                deadline = time.monotonic() + SEND_SECONDS
                rest = rest[sent:]

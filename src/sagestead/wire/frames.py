"""Frames between a front door and the process of an instance, over one stream socket.

    frame   = length:u32 kind:u8 id:u32 number:u32 size:u32 texts body
              length counts what follows it; size counts the texts
    text    = length:u16 bytes  UTF-8; length 0xFFFF: absent

    kind     number                      texts                                         body
    request  milliseconds it may wait    content type, accept, custom attributes,      yes
                                         target model, inference id
    answer   HTTP status                 content type, custom attributes               yes
    ping     0                           none; answered by a ping with the same id
    goodbye  0                           none; the instance reads no more: what it has not
                                         answered, it never began
    cancel   0                           none; to an instance: nobody waits for that request any more;
                                         from an instance: it did not begin it, and will not
    hello    how many requests of a      none; the first frame of an instance
             connection may be begun
             before the oldest is answered; its id says where it is written down which of them
             were begun (worker/progress.py)

Integers are big-endian. Rule: pure functions over bytes; a peer that breaks the format gets `BrokenFrame`,
and never makes the decoder hold more than one frame of the agreed limit.

Requests and answers are most of what passes. Whoever takes or gives many of them works on `Part`s, the fields
of a frame as they are, and `framed`, for which no object is made.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

BODY_LIMIT = 6 * 1024 * 1024
TEXT_LIMIT = 0xFFFE
FRAME_LIMIT = BODY_LIMIT + 64 * 1024
WAIT_LIMIT = 0xFFFFFFFF
"""Milliseconds that a request may wait when nothing limits it: 49 days."""
MOST_TOGETHER = 64
"""No instance begins more requests of a connection before it answers the oldest."""

_ABSENT = 0xFFFF
_HEAD = struct.Struct("!IBIII")
_LENGTH = 4
_HEAD_REST = _HEAD.size - _LENGTH
_SIZE = struct.Struct("!I")
_TEXT_LENGTH = struct.Struct("!H")
_REMEMBERED = 64  # the texts of most requests are those of the request before

REQUEST, ANSWER, _PING, _GOODBYE, _CANCEL, _HELLO = range(1, 7)
_REQUEST_TEXTS, _ANSWER_TEXTS = 5, 2

Texts = tuple[str | None, ...]
Part = tuple[int, int, int, bytes, bytes]
"""Kind, id, number, texts and body of a frame."""


class BrokenFrame(ValueError):  # noqa: N818 - names what is broken
    """The peer's bytes are no frame of this format, or larger than agreed."""


@dataclass(slots=True)
class RequestFrame:
    """One invocation; its answer carries the same id. `wait`: milliseconds until nobody waits for it."""

    id: int
    body: bytes
    content_type: str | None = None
    accept: str | None = None
    custom_attributes: str | None = None
    target_model: str | None = None
    inference_id: str | None = None
    wait: int = WAIT_LIMIT


@dataclass(slots=True)
class AnswerFrame:
    """What the model answered to the request with that id."""

    id: int
    status: int
    content_type: str
    body: bytes
    custom_attributes: str | None = None


@dataclass(slots=True)
class PingFrame:
    """Are you there? Answered by the same frame."""

    id: int


@dataclass(slots=True)
class GoodbyeFrame:
    """The sender reads no more; whatever it has not answered by now, it never began."""

    id: int = 0


@dataclass(slots=True)
class CancelFrame:
    """Nobody waits for that request any more; from an instance: it was not begun, and will not be."""

    id: int


@dataclass(slots=True)
class HelloFrame:
    """An instance begins at most `together` requests of a connection before it answers the oldest of them."""

    together: int
    id: int = 0


Frame = RequestFrame | AnswerFrame | PingFrame | GoodbyeFrame | CancelFrame | HelloFrame


def encode(frame: Frame) -> bytes:
    """Return the bytes of a frame.

    Raises:
        BrokenFrame: the frame would be larger than `FRAME_LIMIT`, a text longer than 65,534 bytes, or a
            number is out of its range.
    """
    match frame:
        case RequestFrame():
            texts = joined(
                frame.content_type,
                frame.accept,
                frame.custom_attributes,
                frame.target_model,
                frame.inference_id,
            )
            return framed(REQUEST, frame.id, frame.wait, texts, frame.body)
        case AnswerFrame():
            texts = joined(frame.content_type, frame.custom_attributes)
            return framed(ANSWER, frame.id, frame.status, texts, frame.body)
        case PingFrame():
            return framed(_PING, frame.id)
        case GoodbyeFrame():
            return framed(_GOODBYE, frame.id)
        case CancelFrame():
            return framed(_CANCEL, frame.id)
        case HelloFrame():
            return framed(_HELLO, frame.id, frame.together)


def framed(kind: int, identity: int, number: int = 0, texts: bytes = b"", body: bytes = b"") -> bytes:
    """Return the bytes of a frame of these fields; `texts` as `joined` makes them.

    Raises:
        BrokenFrame: as `encode`.
        TypeError: the body is no bytes.
    """
    size = len(texts)
    length = _HEAD_REST + size + len(body)
    if length > FRAME_LIMIT:
        raise BrokenFrame(f"a frame of {length} bytes; at most {FRAME_LIMIT} are allowed")
    try:
        return b"%b%b%b" % (_HEAD.pack(length, kind, identity, number, size), texts, body)
    except struct.error:
        raise BrokenFrame(f"a number {number} or an id {identity} that no frame can hold") from None


def request_mold(texts: bytes) -> bytes:
    """Return what all requests of these texts have: their kind, and what is between number and body."""
    return b"%c%b%b" % (REQUEST, _SIZE.pack(len(texts)), texts)


def answer_mold(status: int, texts: bytes) -> bytes:
    """Return what all answers of this status and these texts have: their kind, and what precedes the body."""
    return b"%c%b%b%b" % (ANSWER, _SIZE.pack(status), _SIZE.pack(len(texts)), texts)


def texts_at(data: bytes, start: int) -> bytes | None:
    """Return the texts of the request that begins there; None if there is none, or not so much of it."""
    if len(data) - start < _HEAD.size:
        return None
    _, kind, _, _, size = _HEAD.unpack_from(data, start)
    return data[start + _HEAD.size : start + _HEAD.size + size] if kind == REQUEST else None


class Decoder:
    """Turns a stream of bytes into frames, as they become complete."""

    __slots__ = ("_held", "_limit", "_needed")

    def __init__(self, limit: int = FRAME_LIMIT) -> None:
        self._held = bytearray()
        self._needed = _HEAD.size
        self._limit = limit

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that `data` completes, in order.

        Raises:
            BrokenFrame: the stream is not made of frames; nothing more can be read from it.
        """
        return [frame_of(part) for part in self.parts(data)]

    def parts(self, data: bytes) -> list[Part]:
        """Return the same as their fields, which are not looked into: `frame_of` and the others do that.

        Raises:
            BrokenFrame: as `feed`.
        """
        if not self._held:
            parts, end = self._parts(data)
            if end != len(data):
                self._held += data[end:]
            return parts
        self._held += data
        if len(self._held) < self._needed:
            return []
        with memoryview(self._held) as view:
            parts, end = self._parts(view)
        del self._held[:end]
        return parts

    @property
    def pending(self) -> int:
        """How many bytes of an incomplete frame are held."""
        return len(self._held)

    def _parts(self, data: bytes | memoryview) -> tuple[list[Part], int]:
        """Return the complete frames and where they end; note how long the next one must become."""
        parts: list[Part] = []
        start, size, head, unpack = 0, len(data), _HEAD.size, _HEAD.unpack_from
        self._needed = head
        while size - start >= head:
            length, kind, identity, number, texts = unpack(data, start)
            if not _HEAD_REST <= length <= self._limit:
                raise BrokenFrame(f"a frame of {length} bytes; {_HEAD_REST} to {self._limit} are allowed")
            end = start + _LENGTH + length
            if end > size:
                self._needed = end - start
                break
            start += head
            middle = start + texts
            if middle > end:
                raise BrokenFrame("a frame that ends inside its texts")
            # bytes() of bytes is no copy, of a part of the view the only one
            parts.append((kind, identity, number, bytes(data[start:middle]), bytes(data[middle:end])))
            start = end
        return parts, start


@lru_cache(_REMEMBERED)
def joined(*texts: str | None) -> bytes:
    """Return the texts of a frame as one section; raise `BrokenFrame` when there is one that cannot be."""
    return b"".join(map(_text, texts))


def _text(value: str | None) -> bytes:
    if value is None:
        return _TEXT_LENGTH.pack(_ABSENT)
    try:
        encoded = value.encode()
    except UnicodeEncodeError as error:
        raise BrokenFrame("a text that UTF-8 cannot write") from error
    if len(encoded) > TEXT_LIMIT:
        raise BrokenFrame(f"a text of {len(encoded)} bytes; at most {TEXT_LIMIT} are allowed")
    return _TEXT_LENGTH.pack(len(encoded)) + encoded


def frame_of(part: Part) -> Frame:
    """Return the frame that has these fields; raise `BrokenFrame` when there is none."""
    kind, identity, number, texts, body = part
    if kind == REQUEST:
        content_type, accept, custom_attributes, target_model, inference_id = request_texts(texts)
        return RequestFrame(
            identity, body, content_type, accept, custom_attributes, target_model, inference_id, number
        )
    if kind == ANSWER:
        answered_type, custom_attributes = answer_texts(texts)
        return AnswerFrame(identity, number, answered_type, body, custom_attributes)
    if kind == _HELLO and not (texts or body):
        return HelloFrame(number, identity)
    if kind not in _BARE or texts or body or number:
        raise BrokenFrame(f"a frame of kind {kind} with {len(texts) + len(body)} bytes")
    return _BARE[kind](identity)


_BARE: dict[int, type[PingFrame | GoodbyeFrame | CancelFrame]] = {
    _PING: PingFrame,
    _GOODBYE: GoodbyeFrame,
    _CANCEL: CancelFrame,
}


@lru_cache(_REMEMBERED)
def request_texts(section: bytes) -> Texts:
    """Return content type, accept, custom attributes, target model and inference id, or `BrokenFrame`."""
    return _texts(section, _REQUEST_TEXTS)


@lru_cache(_REMEMBERED)
def answer_texts(section: bytes) -> tuple[str, str | None]:
    """Return content type and custom attributes, or `BrokenFrame`."""
    content_type, custom_attributes = _texts(section, _ANSWER_TEXTS)
    return content_type or "", custom_attributes


def _texts(section: bytes, count: int) -> Texts:
    """Return the `count` texts that a section is made of."""
    texts: list[str | None] = []
    start = 0
    for _ in range(count):
        if len(section) - start < _TEXT_LENGTH.size:
            raise BrokenFrame("texts that end inside a text")
        (length,) = _TEXT_LENGTH.unpack_from(section, start)
        start += _TEXT_LENGTH.size
        if length == _ABSENT:
            texts.append(None)
            continue
        if len(section) - start < length:
            raise BrokenFrame("texts that end inside a text")
        try:
            texts.append(section[start : start + length].decode())
        except UnicodeDecodeError as error:
            raise BrokenFrame("a text that is not UTF-8") from error
        start += length
    if start != len(section):
        raise BrokenFrame("more texts than the kind has")
    return tuple(texts)

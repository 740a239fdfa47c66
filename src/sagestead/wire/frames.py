"""Frames between a front door and the process of an instance, over one stream socket.

    frame   = length:u32 kind:u8 id:u32 payload            length counts kind, id and payload
    request = text*5 body       content type, accept, custom attributes, target model, inference id
    answer  = status:u16 text*2 body                        content type, custom attributes
    ping    = (empty)           answered by a ping with the same id
    goodbye = (empty)           the instance reads no more: what it has not answered, it never began
    text    = length:u16 bytes  UTF-8; length 0xFFFF: absent

Integers are big-endian. Rule: pure functions over bytes; a peer that breaks the format gets `BrokenFrame`,
and never makes the decoder hold more than one frame of the agreed limit.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

BODY_LIMIT = 6 * 1024 * 1024
TEXT_LIMIT = 0xFFFE
FRAME_LIMIT = BODY_LIMIT + 64 * 1024

_ABSENT = 0xFFFF
_HEAD = struct.Struct("!IBI")
_HEAD_REST = _HEAD.size - 4
_TEXT_LENGTH = struct.Struct("!H")
_STATUS = struct.Struct("!H")

_REQUEST, _ANSWER, _PING, _GOODBYE = 1, 2, 3, 4


class BrokenFrame(ValueError):  # noqa: N818 - names what is broken
    """The peer's bytes are no frame of this format, or larger than agreed."""


@dataclass(frozen=True, slots=True)
class RequestFrame:
    """One invocation; its answer carries the same id."""

    id: int
    body: bytes
    content_type: str | None = None
    accept: str | None = None
    custom_attributes: str | None = None
    target_model: str | None = None
    inference_id: str | None = None


@dataclass(frozen=True, slots=True)
class AnswerFrame:
    """What the model answered to the request with that id."""

    id: int
    status: int
    content_type: str
    body: bytes
    custom_attributes: str | None = None


@dataclass(frozen=True, slots=True)
class PingFrame:
    """Are you there? Answered by the same frame."""

    id: int


@dataclass(frozen=True, slots=True)
class GoodbyeFrame:
    """The sender reads no more; whatever it has not answered by now, it never began."""

    id: int = 0


Frame = RequestFrame | AnswerFrame | PingFrame | GoodbyeFrame


def encode(frame: Frame) -> bytes:
    """Return the bytes of a frame.

    Raises:
        BrokenFrame: the frame would be larger than `FRAME_LIMIT`, or a text longer than 65,534 bytes.
    """
    match frame:
        case RequestFrame():
            texts = (
                frame.content_type,
                frame.accept,
                frame.custom_attributes,
                frame.target_model,
                frame.inference_id,
            )
            return _framed(_REQUEST, frame.id, [*map(_text, texts), frame.body])
        case AnswerFrame():
            head = _STATUS.pack(frame.status), _text(frame.content_type), _text(frame.custom_attributes)
            return _framed(_ANSWER, frame.id, [*head, frame.body])
        case PingFrame():
            return _framed(_PING, frame.id, [])
        case GoodbyeFrame():
            return _framed(_GOODBYE, frame.id, [])


class Decoder:
    """Turns a stream of bytes into frames, as they become complete."""

    __slots__ = ("_buffer", "_limit")

    def __init__(self, limit: int = FRAME_LIMIT) -> None:
        self._buffer = bytearray()
        self._limit = limit

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that `data` completes, in order.

        Raises:
            BrokenFrame: the stream is not made of frames; nothing more can be read from it.
        """
        buffer = self._buffer
        buffer += data
        frames = []
        start = 0
        while len(buffer) - start >= _HEAD.size:
            length, kind, identity = _HEAD.unpack_from(buffer, start)
            if not _HEAD_REST <= length <= self._limit:
                raise BrokenFrame(f"a frame of {length} bytes; {_HEAD_REST} to {self._limit} are allowed")
            end = start + 4 + length
            if len(buffer) < end:
                break
            frames.append(_frame(kind, identity, bytes(buffer[start + _HEAD.size : end])))
            start = end
        del buffer[:start]
        return frames

    @property
    def pending(self) -> int:
        """How many bytes of an incomplete frame are held."""
        return len(self._buffer)


def _framed(kind: int, identity: int, parts: list[bytes]) -> bytes:
    length = _HEAD_REST + sum(map(len, parts))
    if length > FRAME_LIMIT:
        raise BrokenFrame(f"a frame of {length} bytes; at most {FRAME_LIMIT} are allowed")
    return b"".join([_HEAD.pack(length, kind, identity), *parts])


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


def _frame(kind: int, identity: int, payload: bytes) -> Frame:
    if kind == _REQUEST:
        texts, body = _texts(payload, 0, 5)
        return RequestFrame(identity, body, *texts)
    if kind == _ANSWER:
        if len(payload) < _STATUS.size:
            raise BrokenFrame("an answer without a status")
        (status,) = _STATUS.unpack_from(payload)
        (content_type, custom_attributes), body = _texts(payload, _STATUS.size, 2)
        return AnswerFrame(identity, status, content_type or "", body, custom_attributes)
    if payload or kind not in (_PING, _GOODBYE):
        raise BrokenFrame(f"a frame of kind {kind} with {len(payload)} bytes")
    return PingFrame(identity) if kind == _PING else GoodbyeFrame(identity)


def _texts(payload: bytes, start: int, count: int) -> tuple[list[str | None], bytes]:
    """Return `count` texts from `start` on, and what follows them."""
    texts: list[str | None] = []
    for _ in range(count):
        if len(payload) - start < _TEXT_LENGTH.size:
            raise BrokenFrame("a frame that ends inside its texts")
        (length,) = _TEXT_LENGTH.unpack_from(payload, start)
        start += _TEXT_LENGTH.size
        if length == _ABSENT:
            texts.append(None)
            continue
        if len(payload) - start < length:
            raise BrokenFrame("a frame that ends inside its texts")
        try:
            texts.append(payload[start : start + length].decode())
        except UnicodeDecodeError as error:
            raise BrokenFrame("a text that is not UTF-8") from error
        start += length
    return texts, payload[start:]

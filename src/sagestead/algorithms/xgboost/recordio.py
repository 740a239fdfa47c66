"""RecordIO framing and SageMaker's `Record` message, both directions.

Rule: whatever the bytes are, reading ends with records or with `MalformedRecord`; memory stays within a
small multiple of the bytes that are really there (a length that a frame claims allocates nothing).

Framing (dmlc): magic, a word with a 3-bit part flag and a 29-bit length, the data, padding to 4 bytes.
The message, as protobuf writes it:

    Record  1: features map<string, Value>   2: label map<string, Value>   3-5: texts, not read
    Value   2: float32 tensor   3: float64 tensor   7: int32 tensor   9: bytes, refused
    tensor  1: values   2: keys (uint64)   3: shape (uint64); each packed or one by one
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

MAGIC = 0xCED7230A
MAX_RECORD = 1 << 29

_CHUNK = 1 << 20
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Numbers = NDArray[Any]


class MalformedRecord(ValueError):  # noqa: N818 - it names what is malformed
    """The bytes are not RecordIO frames, or a frame's content is not a `Record`."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A numeric tensor. Dense when `keys` is None; else `values[i]` stands in column `keys[i]`.

    Attributes:
        values: float32, float64 or int32, one axis.
        keys: uint64 column numbers, as long as `values`.
        shape: as written; often empty for a row vector.
    """

    values: Numbers
    keys: NDArray[np.uint64] | None = None
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """One example: named feature tensors and named label tensors (SageMaker's name for both: `values`)."""

    features: Mapping[str, Tensor] = field(default_factory=dict)
    label: Mapping[str, Tensor] = field(default_factory=dict)


# Frames


def read_recordio(data: BinaryIO, limit: int = MAX_RECORD) -> Iterator[bytes]:
    """Yield the content of each record; raise `MalformedRecord` for bad frames or more than `limit` bytes."""
    parts: list[bytes] = []
    total = 0
    while header := data.read(8):
        flag, length = _header(header)
        if flag in (_WHOLE, _FIRST) and parts:
            raise MalformedRecord(
                "A RecordIO record begins before the one that is split over frames has ended."
            )
        if flag in (_MIDDLE, _LAST) and not parts:
            raise MalformedRecord("A RecordIO frame continues a record that did not begin.")
        total += length
        if total > limit:
            raise MalformedRecord(f"A RecordIO record is longer than {limit} bytes.")
        parts.append(_exactly(data, length))
        if padding := -length % 4:
            _exactly(data, padding)
        if flag in (_WHOLE, _LAST):
            # The writer split the record where its own bytes equal the magic, and left those out.
            yield struct.pack("<I", MAGIC).join(parts)
            parts, total = [], 0
    if parts:
        raise MalformedRecord("The data ends within a RecordIO record that is split over frames.")


def frame(message: bytes) -> bytes:
    """Return one record's frame: header, content, padding."""
    if len(message) >= MAX_RECORD:
        raise MalformedRecord(f"A RecordIO record is longer than {MAX_RECORD - 1} bytes.")
    return struct.pack("<II", MAGIC, len(message)) + message + b"\0" * (-len(message) % 4)


def _header(header: bytes) -> tuple[int, int]:
    """Return part flag and length of a frame."""
    if len(header) < 8:  # noqa: PLR2004 - two words
        raise MalformedRecord("The data ends within the header of a RecordIO frame.")
    magic, word = struct.unpack("<II", header)
    if magic != MAGIC:
        raise MalformedRecord(f"A RecordIO frame begins with 0x{magic:08x} instead of 0x{MAGIC:08x}.")
    flag = word >> 29
    if flag > _LAST:
        raise MalformedRecord(f"A RecordIO frame has the unknown part flag {flag}.")
    return flag, word & (MAX_RECORD - 1)


def _exactly(data: BinaryIO, length: int) -> bytes:
    """Read `length` bytes in steps, so that a false length costs no memory."""
    pieces = []
    while length:
        piece = data.read(min(length, _CHUNK))
        if not piece:
            raise MalformedRecord("The data ends within a RecordIO frame.")
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


# Reading a message


def parse_record(data: bytes) -> Record:
    """Read a `Record` message; raise `MalformedRecord`. A name given twice counts with its last value."""
    maps: dict[int, dict[str, Tensor]] = {1: {}, 2: {}}
    for number, wire, content in _fields(data):
        if number in maps:
            if wire != _BYTES:
                raise MalformedRecord(f"Field {number} of a Record is not a map.")
            name, tensor = _entry(_as_bytes(content))
            maps[number][name] = tensor
    return Record(features=maps[1], label=maps[2])


def _entry(data: bytes) -> tuple[str, Tensor]:
    """Read one entry of a `map<string, Value>`."""
    name, value = "", b""
    for number, wire, content in _fields(data):
        if number == 1 and wire == _BYTES:
            try:
                name = _as_bytes(content).decode()
            except UnicodeDecodeError:
                raise MalformedRecord("A name in a Record is not UTF-8.") from None
        elif number == 2 and wire == _BYTES:  # noqa: PLR2004 - protobuf's number of a map's value
            value = _as_bytes(content)
    return name, _value(name, value)


def _value(name: str, data: bytes) -> Tensor:
    """Read a `Value`: the last of its alternatives counts."""
    found = None
    for number, wire, content in _fields(data):
        if wire == _BYTES and number in _TENSORS:
            found = _tensor(name, _as_bytes(content), _TENSORS[number])
        elif number == 9:  # noqa: PLR2004 - protobuf's number of the alternative
            raise MalformedRecord(f"'{name}' holds bytes; only float32, float64 and int32 tensors are read.")
    if found is None:
        raise MalformedRecord(f"'{name}' holds no tensor.")
    return found


@dataclass(frozen=True, slots=True)
class _Kind:
    """How the values of a tensor are written: the wire type of one, its type, and how to read many."""

    wire: int
    dtype: type[np.generic]
    many: Callable[[bytes], Numbers]


def _tensor(name: str, data: bytes, kind: _Kind) -> Tensor:
    values: list[Numbers] = []
    keys: list[Numbers] = []
    shape: list[Numbers] = []
    keys_kind = _Kind(_VARINT, np.uint64, _varints)
    for number, wire, content in _fields(data):
        if number == 1:
            values.append(_numbers(wire, content, kind))
        elif number == 2:  # noqa: PLR2004 - see the module's table
            keys.append(_numbers(wire, content, keys_kind))
        elif number == 3:  # noqa: PLR2004 - the same
            shape.append(_numbers(wire, content, keys_kind))
    tensor = Tensor(
        values=_joined(values, kind.dtype),
        keys=_joined(keys, np.uint64) if keys else None,
        shape=tuple(_joined(shape, np.uint64).tolist()),
    )
    if tensor.keys is not None and tensor.keys.size not in (0, tensor.values.size):
        raise MalformedRecord(f"'{name}' has {tensor.values.size} values but {tensor.keys.size} keys.")
    return tensor if tensor.keys is None or tensor.keys.size else Tensor(tensor.values, None, tensor.shape)


def _numbers(wire: int, content: bytes | int, kind: _Kind) -> Numbers:
    """Read a packed run of numbers, or one number written alone."""
    if wire == _BYTES:
        return kind.many(_as_bytes(content))
    if wire != kind.wire:
        raise MalformedRecord(f"A tensor of a Record has a number of wire type {wire}.")
    if isinstance(content, int):
        return np.array([content], np.uint64).astype(kind.dtype)
    return kind.many(content)


def _joined(parts: list[Numbers], dtype: type[np.generic]) -> Numbers:
    return parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0, dtype), *parts])


def _as_bytes(content: bytes | int) -> bytes:
    if isinstance(content, int):
        raise MalformedRecord("A Record has a number where a message belongs.")
    return content


def _float32s(data: bytes) -> Numbers:
    if len(data) % 4:
        raise MalformedRecord("A float32 tensor's length is not a multiple of 4 bytes.")
    return np.frombuffer(data, "<f4")


def _float64s(data: bytes) -> Numbers:
    if len(data) % 8:
        raise MalformedRecord("A float64 tensor's length is not a multiple of 8 bytes.")
    return np.frombuffer(data, "<f8")


def _int32s(data: bytes) -> Numbers:
    return _varints(data).astype(np.int32)


def _varints(data: bytes) -> NDArray[np.uint64]:
    """Read a run of varints; each group of bytes ends with the first below 128."""
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw < 0x80)  # noqa: PLR2004 - the continuation bit
    if ends.size == raw.size:
        return raw.astype(np.uint64)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts[: ends.size] + 1
    if not ends.size or ends[-1] != raw.size - 1 or lengths.max() > _LONGEST_VARINT:
        raise MalformedRecord("A Record holds a broken varint.")
    place = np.arange(raw.size) - np.repeat(starts, lengths)
    parts = (raw & 0x7F).astype(np.uint64) << (7 * place).astype(np.uint64)
    return np.add.reduceat(parts, starts)


_LONGEST_VARINT = 10
_TENSORS = {
    2: _Kind(_FIXED32, np.float32, _float32s),
    3: _Kind(_FIXED64, np.float64, _float64s),
    7: _Kind(_VARINT, np.int32, _int32s),
}


def _fields(data: bytes) -> Iterator[tuple[int, int, bytes | int]]:
    """Yield number, wire type and content of each field; varints as int, everything else as bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == _VARINT:
            number, at = _varint(data, at)
            yield tag >> 3, wire, number
            continue
        if wire == _BYTES:
            length, at = _varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise MalformedRecord(f"A Record has a field of wire type {wire}.")
        if length > len(data) - at:
            raise MalformedRecord("A Record ends within a field.")
        yield tag >> 3, wire, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the varint at `at` (64 bits) and the place after it."""
    value = 0
    for place, byte in enumerate(data[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return value & 0xFFFFFFFFFFFFFFFF, at + place + 1
    raise MalformedRecord("A Record holds a broken varint.")


# Writing a message


def write_record(record: Record) -> bytes:
    """Return the `Record` message: float32 tensors as field 2, float64 as 3, int32 as 7, values packed."""
    features = b"".join(_field(1, _write_entry(*entry)) for entry in record.features.items())
    return features + b"".join(_field(2, _write_entry(*entry)) for entry in record.label.items())


def _write_entry(name: str, tensor: Tensor) -> bytes:
    if tensor.values.dtype == np.int32:
        number, values = 7, b"".join(_write_varint(v & 0xFFFFFFFFFFFFFFFF) for v in tensor.values.tolist())
    elif tensor.values.dtype == np.float64:
        number, values = 3, tensor.values.astype("<f8").tobytes()
    else:
        number, values = 2, tensor.values.astype("<f4").tobytes()
    keys = b"" if tensor.keys is None else b"".join(map(_write_varint, tensor.keys.tolist()))
    shape = b"".join(map(_write_varint, tensor.shape))
    message = b"".join(_field(i, run) for i, run in enumerate((values, keys, shape), 1) if run)
    return _field(1, name.encode()) + _field(2, _field(number, message))


def _field(number: int, content: bytes) -> bytes:
    return _write_varint(number << 3 | _BYTES) + _write_varint(len(content)) + content


def _write_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - the continuation bit
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)

"""RecordIO frames with a protobuf `Record` in each, read to rows (spec: xgboost-builtin.md section 2).

The message, as protobuf writes it:

    Record  1: features map<string, Value>   2: label map<string, Value>
    Value   2: float32 tensor   3: float64 tensor   7: int32 tensor
    tensor  1: values   2: keys (uint64)   3: shape (uint64); each packed or one by one

Rule: whatever the bytes are, reading ends with rows or with `ValueError`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, List, Optional, Tuple  # noqa: UP035 - for Python 3.7

import numpy as np

MAGIC = 0xCED7230A
_FLAG, _LENGTH = 29, (1 << 29) - 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_TYPES = {2: ("<f4", _FIXED32), 3: ("<f8", _FIXED64), 7: (None, _VARINT)}
_LONGEST_VARINT = 10

Tensor = Tuple[Any, Optional[List[int]], List[int]]  # noqa: UP006, UP045 - for Python 3.7
"""Values, the columns that they stand in (None: one after the other), the shape."""


def read(data: bytes) -> tuple[list[Tensor], list[float]]:
    """Return the features and, where every record has one, the labels of a file or request."""
    rows: list[Tensor] = []
    labels: list[float] = []
    for message in _frames(data):
        features, label = _record(message)
        if features is None:
            raise ValueError("A record has no features named 'values'.")
        rows.append(features)
        if label is not None and len(label[0]):
            labels.append(float(label[0][0]))
    return rows, labels if len(labels) == len(rows) else []


def width(rows: list[Tensor]) -> int:
    """Return how many columns there are."""
    return max((_width(row) for row in rows), default=0)


def _width(row: Tensor) -> int:
    values, keys, shape = row
    if keys is None:
        return len(values)
    return max([shape[-1] if shape else 0, *[key + 1 for key in keys]])


def _frames(data: bytes) -> Iterator[bytes]:
    """Yield each record, which may be split where its bytes look like a frame's beginning."""
    at, parts = 0, []
    while at < len(data):
        if len(data) - at < 8:  # noqa: PLR2004 - two words
            raise ValueError("The data ends within the header of a RecordIO frame.")
        magic, word = struct.unpack_from("<II", data, at)
        flag, length = word >> _FLAG, word & _LENGTH
        if magic != MAGIC or flag > 3:  # noqa: PLR2004 - whole, first, middle, last
            raise ValueError("The data is no RecordIO: a frame does not begin as one.")
        at += 8
        if len(data) - at < length:
            raise ValueError("The data ends within a RecordIO frame.")
        parts.append(data[at : at + length])
        at += length + -length % 4
        if flag in (0, 3):
            yield struct.pack("<I", MAGIC).join(parts)
            parts = []
    if parts:
        raise ValueError("The data ends within a RecordIO record that is split over frames.")


def _record(message: bytes) -> tuple[Tensor | None, Tensor | None]:
    found: dict[int, Tensor] = {}
    for number, content in _fields(message):
        if number in (1, 2) and isinstance(content, bytes):
            entry = {field: value for field, value in _fields(content) if isinstance(value, bytes)}
            if entry.get(1) == b"values":
                found[number] = _value(entry.get(2, b""))
    return found.get(1), found.get(2)


def _value(message: bytes) -> Tensor:
    for number, content in _fields(message):
        if number in _TYPES and isinstance(content, bytes):
            return _tensor(content, *_TYPES[number])
    raise ValueError("A record holds no float32, float64 or int32 tensor.")


def _tensor(message: bytes, dtype: str | None, wire: int) -> Tensor:
    runs: dict[int, list[Any]] = {1: [], 2: [], 3: []}
    for number, content in _fields(message):
        if number in runs:
            runs[number] += _numbers(content, dtype if number == 1 else None)
    values, keys, shape = runs[1], runs[2], runs[3]
    if keys and len(keys) != len(values):
        raise ValueError(f"A record has {len(values)} values but {len(keys)} keys.")
    if wire == _VARINT:
        values = [value - (1 << 64) if value >> 63 else value for value in values]
    return np.array(values, dtype=float), keys or None, shape


def _numbers(content: bytes | int, dtype: str | None) -> list[Any]:
    """Return a run of numbers: floats of a type, or (None) varints."""
    if isinstance(content, int):
        return [content]
    if dtype is not None:
        if len(content) % np.dtype(dtype).itemsize:
            raise ValueError("A tensor's length is no multiple of its numbers'.")
        return list(np.frombuffer(content, dtype))
    numbers, at = [], 0
    while at < len(content):
        number, at = _varint(content, at)
        numbers.append(number)
    return numbers


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Yield number and content of each field; varints as int, everything else as bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == _VARINT:
            number, at = _varint(data, at)
            yield tag >> 3, number
            continue
        if wire == _BYTES:
            length, at = _varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"A record has a field of wire type {wire}.")
        if length > len(data) - at:
            raise ValueError("A record ends within a field.")
        yield tag >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the varint at `at` (64 bits) and the place after it."""
    value = 0
    for place, byte in enumerate(data[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return value & 0xFFFFFFFFFFFFFFFF, at + place + 1
    raise ValueError("A record holds a broken varint.")

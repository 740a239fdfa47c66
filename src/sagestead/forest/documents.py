"""JSON and UBJSON documents of a model, read in bounded memory and without executing anything.

Rule: both formats come out in one form: objects as dict, lists of numbers as NumPy arrays (int64 or float64;
a list of true and false as int64), other lists as list, and text, numbers, booleans, None. Numbers may be NaN
and infinite. Duplicate keys, trailing bytes, nesting beyond `DEPTH` and more than `VALUES` separate values
are refused.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from itertools import repeat
from typing import Any

import numpy as np

DEPTH = 32
VALUES = 20_000_000

# UBJSON number types, all big-endian (source: ubjson.org, draft 12).
_NUMBERS: dict[bytes, np.dtype[Any]] = {
    b"i": np.dtype(">i1"),
    b"U": np.dtype(">u1"),
    b"I": np.dtype(">i2"),
    b"l": np.dtype(">i4"),
    b"L": np.dtype(">i8"),
    b"d": np.dtype(">f4"),
    b"D": np.dtype(">f8"),
}
_ONE = {marker: struct.Struct(f">{kind}") for marker, kind in zip(_NUMBERS, "bBhiqfd", strict=True)}
_LITERALS = {b"Z": None, b"T": True, b"F": False}


class Malformed(ValueError):  # noqa: N818 - it says what is malformed
    """The bytes are not such a document; the text completes the sentence "it is damaged: ..."."""


def read_json(content: bytes) -> Any:  # noqa: ANN401 - a document is whatever was written
    """Return the document; raise `Malformed`."""
    try:
        return _packed(json.loads(content, object_pairs_hook=_object))
    except RecursionError:
        raise Malformed("it is nested too deeply") from None
    except UnicodeDecodeError:
        raise Malformed("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise Malformed(f"it is not JSON from character {error.pos} on") from None
    except Malformed:
        raise
    except ValueError:
        raise Malformed("it holds a number that is too long") from None


def read_ubjson(content: bytes) -> Any:  # noqa: ANN401 - a document is whatever was written
    """Return the document; raise `Malformed`."""
    reader = _Reader(content)
    document = reader.value(reader.take(1), 0)
    if reader.at != len(content):
        raise Malformed("bytes follow its end")
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object, packing its lists at once so that a large model never stands in Python objects."""
    made = {key: _packed(value) for key, value in pairs}
    if len(made) != len(pairs):
        raise Malformed("a key appears twice")
    return made


def _packed(value: Any) -> Any:  # noqa: ANN401 - a document is whatever was written
    if not isinstance(value, list) or not value:
        return value
    kinds = set(map(type, value))
    if kinds <= {bool}:
        return np.array(value, np.int64)
    if kinds <= {int, float}:
        try:
            return np.array(value, np.int64 if kinds == {int} else np.float64)
        except OverflowError:
            raise Malformed("it holds a number that is too large") from None
    return value


class _Reader:
    """A place in UBJSON bytes. What a document claims to hold is checked against the bytes that are left."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0
        self.values = 0

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        if size > len(self.content) - self.at:
            raise Malformed("it ends too early")
        self.at += size
        return self.content[self.at - size : self.at]

    def value(self, marker: bytes, depth: int) -> Any:  # noqa: ANN401 - a document is whatever was written
        """Read the value that a marker announces."""
        self.values += 1
        if self.values > VALUES or depth > DEPTH:
            raise Malformed("it is nested too deeply or holds too many values")
        if marker == b"{":
            return self.object(depth)
        if marker == b"[":
            return self.list(depth)
        if marker == b"S":
            return self.text()
        if marker == b"C":
            return self.take(1).decode("latin-1")
        if marker in _NUMBERS:
            return self.number(marker)
        if marker in _LITERALS:
            return _LITERALS[marker]
        raise Malformed(f"it holds the unknown type {marker!r}")

    def number(self, marker: bytes) -> int | float:
        """Read one number."""
        layout = _ONE[marker]
        found: int | float = layout.unpack(self.take(layout.size))[0]
        return found

    def length(self) -> int:
        """Read a length: a whole number, not negative, and not more than the bytes that are left."""
        marker = self.take(1)
        if marker not in _NUMBERS or marker in b"dD":
            raise Malformed("a length is not a whole number")
        found = int(self.number(marker))
        if not 0 <= found <= len(self.content) - self.at:
            raise Malformed("a length leads beyond its end")
        return found

    def text(self) -> str:
        """Read a string."""
        try:
            return self.take(self.length()).decode()
        except UnicodeDecodeError:
            raise Malformed("it is not UTF-8") from None

    def header(self) -> tuple[bytes | None, int | None]:
        """Read the optional type and count of a container."""
        kind = count = None
        if self.content[self.at : self.at + 1] == b"$":
            kind = self.take(2)[1:]
            if self.content[self.at : self.at + 1] != b"#":
                raise Malformed("a typed list has no count")
        if self.content[self.at : self.at + 1] == b"#":
            self.take(1)
            count = self.length()
        return kind, count

    def list(self, depth: int) -> Any:  # noqa: ANN401 - an array or a list
        """Read a list."""
        kind, count = self.header()
        if kind in _NUMBERS and kind is not None:
            dtype = _NUMBERS[kind]
            numbers = np.frombuffer(self.take(dtype.itemsize * (count or 0)), dtype)
            with np.errstate(invalid="ignore"):  # a NaN of any kind is only a NaN
                return numbers.astype(np.float64 if dtype.kind == "f" else np.int64)
        found = [self.value(kind or self.take(1), depth + 1) for _ in self.members(count, b"]")]
        return _packed(found)

    def object(self, depth: int) -> dict[str, Any]:
        """Read an object."""
        kind, count = self.header()
        found: dict[str, Any] = {}
        for _ in self.members(count, b"}"):
            key = self.text()
            if key in found:
                raise Malformed("a key appears twice")
            found[key] = self.value(kind or self.take(1), depth + 1)
        return found

    def members(self, count: int | None, end: bytes) -> Iterator[None]:
        """Yield once for each member of a container: `count` times, or until its end."""
        if count is not None:
            yield from repeat(None, count)
            return
        while self.content[self.at : self.at + 1] != end:
            yield None
        self.at += 1

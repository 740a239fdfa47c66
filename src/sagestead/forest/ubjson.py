"""UBJSON documents of a model, read in bounded memory and without executing anything.

Rule: they come out in the form of `documents`. What a document claims to hold is checked against the bytes
that are left. The two things of which a model has thousands, members that are typed lists and members that
are texts, are read on a short way of their own; everything else, and whatever is wrong, on the long one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from itertools import repeat
from typing import Any

import numpy as np

from sagestead.forest.documents import DEPTH, VALUES, Malformed, packed

# Number types, all big-endian (source: ubjson.org, draft 12).
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
_TYPED = {
    b"[$" + marker + b"#L": (kind, kind.itemsize, np.float64 if kind.kind == "f" else np.int64)
    for marker, kind in _NUMBERS.items()
}
"""How a list of numbers begins whose length has type L: its type in the file, that one's size, ours."""

_HEAD = 5
_WIDE = 9  # bytes of a length with its type
_length = _ONE[b"L"].unpack_from


def read_ubjson(content: bytes) -> Any:  # noqa: ANN401 - a document is whatever was written
    """Return the document; raise `Malformed`."""
    reader = _Reader(content)
    with np.errstate(invalid="ignore"):  # a NaN of any kind is only a NaN
        document = reader.value(reader.take(1), 0)
    if reader.at != len(content):
        raise Malformed("bytes follow its end")
    return document


class _Reader:
    """A place in UBJSON bytes."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0
        self.values = 0
        self.names: dict[bytes, str] = {}

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
        return _decoded(self.take(self.length()))

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
            return numbers.astype(np.float64 if dtype.kind == "f" else np.int64)
        found = [self.value(kind or self.take(1), depth + 1) for _ in self.members(count, b"]")]
        return packed(found)

    def object(self, depth: int) -> dict[str, Any]:
        """Read an object."""
        kind, count = self.header()
        found: dict[str, Any] = {}
        is_plain = kind is None and count is None and depth < DEPTH
        for _ in self.members(count, b"}"):
            if is_plain and self.short(found):
                continue
            key = self.text()
            if key in found:
                raise Malformed("a key appears twice")
            found[key] = self.value(kind or self.take(1), depth + 1)
        return found

    def short(self, found: dict[str, Any]) -> bool:
        """Read the members that come next, as long as each is a whole typed list or text; False: none is.

        Every length has the type L here, as XGBoost writes them.
        """
        content, names, at = self.content, self.names, self.at
        before, most = len(found), len(found) + VALUES - self.values
        with suppress(struct.error, ValueError):  # it ends too early, a list does, or a text is not UTF-8
            while content[at : at + 1] == b"L" and len(found) < most:
                start = at + _WIDE
                end = start + _length(content, at + 1)[0]
                key = content[start:end] if end >= start else b""
                name = names.get(key) or names.setdefault(key, key.decode())
                if end < start or name in found:
                    break
                if (typed := _TYPED.get(content[end : end + _HEAD])) is not None:
                    start = end + _HEAD + _WIDE - 1
                    count = _length(content, end + _HEAD)[0]
                    if not 0 <= count <= (len(content) - start) // typed[1]:
                        break
                    after = start + count * typed[1]
                    found[name] = np.frombuffer(content, typed[0], count, start).astype(typed[2])
                elif content[end : end + 2] == b"SL":
                    start = end + 1 + _WIDE
                    after = start + _length(content, end + 2)[0]
                    if not start <= after <= len(content):
                        break
                    found[name] = content[start:after].decode()
                else:
                    break
                at = after
        self.at = at
        self.values += len(found) - before
        return len(found) > before

    def members(self, count: int | None, end: bytes) -> Iterator[None]:
        """Yield once for each member of a container: `count` times, or until its end."""
        if count is not None:
            yield from repeat(None, count)
            return
        while self.content[self.at : self.at + 1] != end:
            yield None
        self.at += 1


def _decoded(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Malformed("it is not UTF-8") from None

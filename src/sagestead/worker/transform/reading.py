"""An input object to portions: what is sent to the model, cut out of the stream in order.

Rule: records are never divided, no payload is larger than the client's limit, and memory is a small multiple
of one payload, whatever the size of the object. How the bytes arrive makes no difference.
"""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from sagestead.worker.transform.payloads import Counted, Division, Portion, Unreadable, too_large
from sagestead.worker.transform.stretches import stretches

_PORTION = 256
_SMALL = 1 << 16
_MAGIC = 0xCED7230A


class Source(Protocol):
    """Where bytes come from: `read` returns fewer bytes than asked only at the end."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes."""
        ...


@contextmanager
def opened(path: Path, compression: Literal["None", "Gzip"]) -> Iterator[Source]:
    """Open an input file, decompressing it as it is read; damage is `Unreadable`."""
    try:
        with path.open("rb") as file:
            if compression == "None":
                yield file
            else:
                with gzip.GzipFile(fileobj=file) as stream:
                    yield stream
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise Unreadable("The object is not a whole gzip file, but CompressionType is Gzip.") from None


def portions(source: Source, division: Division) -> Iterator[Portion]:
    """Yield the portions of an object in order, to be used while it is open; raise `Unreadable`."""
    if division.split == "None":
        yield from _whole(source, division)
    elif division.split == "Line" and not division.single and isinstance(source, io.BufferedReader):
        yield from stretches(source.fileno(), division)
    elif division.split == "Line":
        yield from _lines(source, division)
    else:
        frames = _recordio_frames if division.split == "RecordIO" else _tfrecord_frames
        yield from _framed(frames(_Exact(source, division.limit)), division)


def _whole(source: Source, division: Division) -> Iterator[Portion]:
    body = source.read(division.limit + 1)
    if len(body) > division.limit:
        raise too_large(0, division)
    if body:
        yield [Counted(body, 1, 1)]


def _lines(source: Source, division: Division) -> Iterator[Portion]:
    """Divide at newlines; payloads have no newline at their end. Empty lines at the end are no records."""
    target = min(division.target, _SMALL) if division.single else division.target
    first = 1
    for block in _blocks(source, target, division):
        count = block.count(b"\n") + 1
        if division.single:
            lines = block.split(b"\n")
            for start in range(0, count, _PORTION):
                part = lines[start : start + _PORTION]
                yield [Counted(line, first + start + place, 1) for place, line in enumerate(part)]
        else:
            yield [Counted(block, first, count)]
        first += count


def _blocks(source: Source, target: int, division: Division) -> Iterator[bytes]:
    """Yield as many whole lines as fit in `target` bytes, or a single longer line."""
    rest, ended, line = b"", False, 1

    def fill(size: int) -> None:
        nonlocal rest, ended
        wanted = size - len(rest)
        if wanted > 0 and not ended:
            more = source.read(wanted)
            ended = len(more) < wanted
            rest += more

    while True:
        fill(target + 1)
        if len(rest) <= target:
            break
        cut = rest.rfind(b"\n", 0, target + 1)
        if cut < 0:
            fill(division.limit + 1)
            cut = rest.find(b"\n", 0, division.limit + 1)
            if cut < 0 and len(rest) > division.limit:
                raise too_large(line, division)
            cut = len(rest) if cut < 0 else cut
        block, rest = rest[:cut], rest[cut + 1 :]
        yield block
        line += block.count(b"\n") + 1
    if last := rest.rstrip(b"\r\n"):
        yield last


@dataclass(slots=True)
class _Exact:
    """Reads frames: exactly so many bytes, and never more than the limit of a record."""

    source: Source
    limit: int

    def header(self, size: int) -> bytes:
        """Return the next header; empty at the end of the object."""
        found = self.source.read(size)
        if found and len(found) < size:
            raise Unreadable("The object ends in the middle of a record.")
        return found

    def content(self, size: int, record: int) -> bytes:
        """Return the next `size` bytes of a record."""
        if size > self.limit:
            raise Unreadable(f"Too much data for max payload size: the record has {size} bytes.", record)
        found = self.source.read(size)
        if len(found) < size:
            raise Unreadable("The object ends in the middle of a record.", record)
        return found


@dataclass(frozen=True, slots=True)
class _Frame:
    """A record as it stands in the object, and its content alone."""

    framed: bytes
    content: bytes


def _recordio_frames(source: _Exact) -> Iterator[_Frame]:
    """Yield RecordIO records; one that is divided into several frames is put together."""
    record, framed, parts = 1, b"", list[bytes]()
    while header := source.header(8):
        magic, word = struct.unpack("<II", header)
        flag, length = word >> 29, word & ((1 << 29) - 1)
        if magic != _MAGIC or (flag in (0, 1)) == bool(parts) or flag > 3:  # noqa: PLR2004 - the last part flag
            raise Unreadable(
                "The object is not RecordIO: a record does not begin with the magic number.", record
            )
        content = source.content(length + -length % 4, record)
        framed += header + content
        parts.append(content[:length])
        if len(framed) > source.limit + 8 * len(parts):
            raise Unreadable("Too much data for max payload size.", record)
        if flag in (0, 3):
            yield _Frame(framed, struct.pack("<I", _MAGIC).join(parts))
            record, framed, parts = record + 1, b"", []
    if parts:
        raise Unreadable("The object ends in the middle of a record.", record)


def _tfrecord_frames(source: _Exact) -> Iterator[_Frame]:
    """Yield TFRecord records: length, its checksum, content, its checksum."""
    record = 1
    while header := source.header(12):
        (length,) = struct.unpack("<Q", header[:8])
        content = source.content(length, record)
        yield _Frame(header + content + source.content(4, record), content)
        record += 1


def _framed(frames: Iterator[_Frame], division: Division) -> Iterator[Portion]:
    take: Callable[[_Frame], bytes] = (lambda f: f.content) if division.single else (lambda f: f.framed)
    held: list[bytes] = []
    first, size = 1, 0
    for frame in frames:
        body = take(frame)
        if held and (size + len(body) > division.target or (division.single and len(held) >= _PORTION)):
            yield _portion(held, first, division)
            first, held, size = first + len(held), [], 0
        held.append(body)
        size += len(body)
    if held:
        yield _portion(held, first, division)


def _portion(bodies: list[bytes], first: int, division: Division) -> list[Counted]:
    if division.single:
        return [Counted(body, first + place, 1) for place, body in enumerate(bodies)]
    return [Counted(b"".join(bodies), first, len(bodies))]

"""The lines of a plain file in stretches that are as many payloads: divided without being read.

Rule: the same payloads as those cut out of the stream (reading.py), but here only the end of each stretch is
looked at; the thread that works on it reads it, straight into the bytes of the request. Which number its
first line has is counted when somebody asks, which only a refusal does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from sagestead.worker.transform.payloads import Division, Payload, Unreadable, too_large

_WINDOW = 1 << 16
_COUNTED = 1 << 20


@dataclass(frozen=True, slots=True)
class Lines:
    """A payload of whole lines, without the newline at its end; `start`: where it stands in the file."""

    body: bytes
    file: int
    start: int

    @property
    def first(self) -> int:
        """Number of the first line, from 1."""
        return 1 + _newlines(self.file, self.start)

    @property
    def count(self) -> int:
        """How many lines there are."""
        return self.body.count(b"\n") + 1


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a file, from `start` on: one payload, or none when the file ends with newlines only."""

    file: int
    start: int
    size: int
    is_last: bool

    def __iter__(self) -> Iterator[Payload]:
        """Read it; raise `Unreadable` when the file has become shorter."""
        body = os.pread(self.file, self.size, self.start)
        if len(body) < self.size:
            raise Unreadable("The object became shorter while it was read.")
        if self.is_last:
            body = body.rstrip(b"\r\n")
        if body or not self.is_last:
            yield Lines(body, self.file, self.start)


def stretches(file: int, division: Division) -> Iterator[Stretch]:
    """Yield stretches of as many whole lines as fit in the target, or of a single longer line.

    Args:
        file: descriptor of a regular file, open until the last stretch was read.
        division: its target and limit count.

    Raises:
        Unreadable: a line is longer than the limit.
    """
    start, end = 0, os.fstat(file).st_size
    while end - start > division.target:
        cut = _last_newline(file, start, start + division.target + 1)
        if cut is None:
            cut = _first_newline(file, start + division.target + 1, min(end, start + division.limit + 1))
            if cut is None and end - start > division.limit:
                raise too_large(1 + _newlines(file, start), division)
            cut = end if cut is None else cut
        yield _ahead(Stretch(file, start, cut - start, is_last=False))
        start = cut + 1
    if start < end:
        yield _ahead(Stretch(file, start, end - start, is_last=True))


def _ahead(stretch: Stretch) -> Stretch:
    """Have the system read it while other stretches are worked on."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(stretch.file, stretch.start, stretch.size, os.POSIX_FADV_WILLNEED)
    return stretch


def _last_newline(file: int, start: int, end: int) -> int | None:
    """Return where the last newline of a part is."""
    while end > start:
        begin = max(start, end - _WINDOW)
        found = os.pread(file, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found
        end = begin
    return None


def _first_newline(file: int, start: int, end: int) -> int | None:
    """Return where the first newline of a part is."""
    while start < end:
        found = os.pread(file, min(_WINDOW, end - start), start).find(b"\n")
        if found >= 0:
            return start + found
        start += _WINDOW
    return None


def _newlines(file: int, end: int) -> int:
    """Return how many newlines the file has before `end`."""
    return sum(os.pread(file, min(_COUNTED, end - at), at).count(b"\n") for at in range(0, end, _COUNTED))

"""One page of a listing: keys in order, rolled up into common prefixes.

Rule: nothing below a common prefix is read but its first key; the listing then seeks behind the prefix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

R = TypeVar("R")

Seek = Callable[[bytes], Iterable[tuple[bytes, R]]]


@dataclass(frozen=True, slots=True)
class Rolled(Generic[R]):
    """A page: rows and common prefixes (bytes) in order, and whether more follow."""

    entries: list[R | bytes]
    truncated: bool


def after_key(key: bytes) -> bytes:
    """Return the least key greater than `key`."""
    return key + b"\0"


def after_prefix(prefix: bytes) -> bytes | None:
    """Return the least key greater than every key that begins with `prefix`; None: there is none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None


def common_prefix(key: bytes, prefix: bytes, delimiter: bytes) -> bytes | None:
    """Return the key up to the first delimiter behind `prefix`, if there is one."""
    if not delimiter:
        return None
    found = key.find(delimiter, len(prefix))
    return None if found < 0 else key[: found + len(delimiter)]


def start_after(after: bytes, prefix: bytes, delimiter: bytes) -> bytes | None:
    """Return where a listing goes on behind `after`, a key or a common prefix already returned.

    None: nothing can follow.
    """
    if after.startswith(prefix) and common_prefix(after, prefix, delimiter) == after:
        return after_prefix(after)
    return after_key(after) if after else b""


def roll_up(seek: Seek[R], start: bytes | None, prefix: bytes, delimiter: bytes, limit: int) -> Rolled[R]:
    """Return up to `limit` entries from `start` on.

    Args:
        seek: yields (key, row) in order, from the first key not less than its argument.
        start: least key wanted; None: nothing is left.
        prefix: only keys that begin with it.
        delimiter: empty: nothing is rolled up.
        limit: rows and common prefixes, together.
    """
    entries: list[R | bytes] = []
    low = None if start is None or not limit else max(start, prefix)
    while low is not None:
        rows, low = seek(low), None
        for key, row in rows:
            if not key.startswith(prefix):
                return Rolled(entries, truncated=False)
            if len(entries) == limit:
                return Rolled(entries, truncated=True)
            common = common_prefix(key, prefix, delimiter)
            if common is not None:
                entries.append(common)
                low = after_prefix(common)
                break
            entries.append(row)
    return Rolled(entries, truncated=False)

"""Listings of a bucket: its current objects, all versions, uploads under way."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from sagestead.objects.index import Index
from sagestead.objects.model import NULL_VERSION, Bucket, Upload, Version
from sagestead.objects.rolling import Rolled, Seek, after_key, roll_up, start_after
from sagestead.objects.rows import upload_of, version_of
from sagestead.objects.versions import sequence_of

R = TypeVar("R")

_BEYOND = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Question:
    """What to list.

    Attributes:
        prefix: only keys that begin with it.
        delimiter: roll keys up to it into common prefixes; empty: do not.
        limit: keys and common prefixes, together.
        after: the last key or common prefix that was returned; empty: from the start.
        within: behind which version or upload of `after` to go on; empty: behind all of them.
    """

    prefix: str = ""
    delimiter: str = ""
    limit: int = 1000
    after: str = ""
    within: str = ""


class Listings:
    """Pages of every bucket."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def objects(self, bucket: Bucket, question: Question) -> Rolled[Version]:
        """List current objects by key."""
        with self._index.read() as connection:

            def seek(low: bytes) -> Iterator[tuple[bytes, Version]]:
                return _versions(_current(connection, bucket, low))

            return _page(question, seek)

    def each_object(self, bucket: Bucket, prefix: str) -> Iterator[Version]:
        """Yield all current objects below a prefix, by key, a page at a time."""
        after = ""
        while True:
            page = self.objects(bucket, Question(prefix=prefix, after=after))
            for entry in page.entries:
                if isinstance(entry, Version):
                    after = entry.key
                    yield entry
            if not page.truncated:
                return

    def versions(self, bucket: Bucket, question: Question) -> Rolled[Version]:
        """List versions and delete markers by key, the youngest of a key first."""
        with self._index.read() as connection:
            inside = _sequence(connection, bucket, question)

            def seek(low: bytes) -> Iterator[tuple[bytes, Version]]:
                if inside is not None and low == question.after.encode():
                    yield from _versions(_older(connection, bucket, low, inside))
                    low = after_key(low)
                yield from _versions(_all(connection, bucket, low))

            return _page(question, seek, resume=inside is not None)

    def uploads(self, bucket: Bucket, question: Question) -> Rolled[Upload]:
        """List multipart uploads under way by key and id."""
        with self._index.read() as connection:

            def seek(low: bytes) -> Iterator[tuple[bytes, Upload]]:
                within = question.within if low == question.after.encode() else ""
                rows = connection.execute(
                    "SELECT * FROM uploads WHERE bucket = ? AND (key, id) > (?, ?) ORDER BY key, id",
                    (bucket.id, low, within),
                )
                return ((row["key"], upload_of(row)) for row in rows)

            return _page(question, seek, resume=bool(question.within))


def _page(question: Question, seek: Seek[R], *, resume: bool = False) -> Rolled[R]:
    """List; `resume`: `seek` itself goes on inside the key `after`."""
    prefix, delimiter, after = (
        text.encode() for text in (question.prefix, question.delimiter, question.after)
    )
    start = after if resume else start_after(after, prefix, delimiter)
    return roll_up(seek, start, prefix, delimiter, question.limit)


def _versions(rows: Iterable[sqlite3.Row]) -> Iterator[tuple[bytes, Version]]:
    return ((row["key"], version_of(row)) for row in rows)


def _current(connection: sqlite3.Connection, bucket: Bucket, low: bytes) -> sqlite3.Cursor:
    return connection.execute(
        "SELECT * FROM versions"
        " WHERE bucket = ? AND key >= ? AND is_current = 1 AND is_marker = 0 ORDER BY key",
        (bucket.id, low),
    )


def _all(connection: sqlite3.Connection, bucket: Bucket, low: bytes) -> sqlite3.Cursor:
    return connection.execute(
        "SELECT * FROM versions WHERE bucket = ? AND key >= ? ORDER BY key, seq DESC", (bucket.id, low)
    )


def _older(connection: sqlite3.Connection, bucket: Bucket, key: bytes, seq: int) -> sqlite3.Cursor:
    return connection.execute(
        "SELECT * FROM versions WHERE bucket = ? AND key = ? AND seq < ? ORDER BY seq DESC",
        (bucket.id, key, seq),
    )


def _sequence(connection: sqlite3.Connection, bucket: Bucket, question: Question) -> int | None:
    """Return the sequence number of the version that `after` and `within` name, even if it was deleted since.

    Only the null version's is not part of its id; once deleted, its key is listed from the start again.
    """
    if not question.within:
        return None
    if question.within != NULL_VERSION:
        return sequence_of(question.within)
    row = connection.execute(
        "SELECT seq FROM versions WHERE bucket = ? AND key = ? AND version_id = ?",
        (bucket.id, question.after.encode(), NULL_VERSION),
    ).fetchone()
    return _BEYOND if row is None else int(row["seq"])

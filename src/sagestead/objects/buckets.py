"""Buckets: a namespace of names for every account."""

from __future__ import annotations

import sqlite3
from itertools import takewhile
from typing import Literal

from sagestead.objects.index import Index
from sagestead.objects.model import Bucket, Text
from sagestead.objects.refusals import BucketAlreadyOwnedByYou, BucketNotEmpty, NoSuchBucket
from sagestead.objects.rows import bucket_of, to_json
from sagestead.ports import Clock

BucketVersioning = Literal["Enabled", "Suspended"]


class Buckets:
    """The buckets of every account."""

    def __init__(self, index: Index, clock: Clock) -> None:
        self._index = index
        self._clock = clock

    def create(self, account: str, name: str, region: str) -> Bucket:
        """Make a bucket; raise `BucketAlreadyOwnedByYou` if the account has one of that name."""

        def work(connection: sqlite3.Connection) -> Bucket:
            connection.execute(
                "INSERT INTO buckets (account, name, region, created_at) VALUES (?, ?, ?, ?)",
                (account, name, region, self._clock()),
            )
            return find_bucket(connection, account, name)

        try:
            return self._index.write(work)
        except sqlite3.IntegrityError:
            raise BucketAlreadyOwnedByYou(
                f"The bucket {name!r} is yours already; use it, or choose another name.",
                details={"BucketName": name},
            ) from None

    def get(self, account: str, name: str) -> Bucket:
        """Return the account's bucket; raise `NoSuchBucket`."""
        with self._index.read() as connection:
            return find_bucket(connection, account, name)

    def page(self, account: str, prefix: str, after: str, limit: int) -> list[Bucket]:
        """Return up to `limit` buckets named `prefix`… beyond `after`, by name."""
        with self._index.read() as connection:
            rows = connection.execute(
                "SELECT * FROM buckets WHERE account = ? AND name > ? AND name >= ? ORDER BY name LIMIT ?",
                (account, after, prefix, limit),
            )
            return [bucket_of(row) for row in takewhile(lambda row: row["name"].startswith(prefix), rows)]

    def delete(self, bucket: Bucket) -> list[list[str]]:
        """Remove an empty bucket and its uploads under way; raise `BucketNotEmpty`.

        Returns the blobs that nothing names any more, by upload.
        """

        def work(connection: sqlite3.Connection) -> list[list[str]]:
            if connection.execute("SELECT 1 FROM versions WHERE bucket = ? LIMIT 1", (bucket.id,)).fetchone():
                raise BucketNotEmpty(
                    f"The bucket {bucket.name!r} holds objects or versions; delete them first.",
                    details={"BucketName": bucket.name},
                )
            parts = connection.execute(
                "SELECT blob FROM parts JOIN uploads ON upload = id WHERE bucket = ?", (bucket.id,)
            ).fetchall()
            connection.execute("DELETE FROM uploads WHERE bucket = ?", (bucket.id,))
            if not connection.execute("DELETE FROM buckets WHERE id = ?", (bucket.id,)).rowcount:
                raise no_such_bucket(bucket.name)
            return [[blob] for (blob,) in parts]

        return self._index.write(work)

    def set_versioning(self, bucket: Bucket, status: BucketVersioning) -> None:
        """Turn versioning on, or suspend it."""
        self._index.write(lambda c: _set(c, bucket, "versioning", status))

    def set_tags(self, bucket: Bucket, tags: Text | None) -> None:
        """Replace the tags; None removes them."""
        value = None if tags is None else to_json(tags)
        self._index.write(lambda c: _set(c, bucket, "tags", value))


def find_bucket(connection: sqlite3.Connection, account: str, name: str) -> Bucket:
    """Return the account's bucket; raise `NoSuchBucket`."""
    row = connection.execute(
        "SELECT * FROM buckets WHERE account = ? AND name = ?", (account, name)
    ).fetchone()
    if row is None:
        raise no_such_bucket(name)
    return bucket_of(row)


def live_bucket(connection: sqlite3.Connection, bucket: Bucket) -> Bucket:
    """Return the bucket as it is in this transaction; raise `NoSuchBucket` if it was deleted meanwhile."""
    row = connection.execute("SELECT * FROM buckets WHERE id = ?", (bucket.id,)).fetchone()
    if row is None:
        raise no_such_bucket(bucket.name)
    return bucket_of(row)


def no_such_bucket(name: str) -> NoSuchBucket:
    """Return the refusal."""
    return NoSuchBucket(f"The bucket {name!r} does not exist; create it first.", details={"BucketName": name})


def _set(
    connection: sqlite3.Connection, bucket: Bucket, column: Literal["versioning", "tags"], value: str | None
) -> None:
    sql = {
        "versioning": "UPDATE buckets SET versioning = ? WHERE id = ?",
        "tags": "UPDATE buckets SET tags = ? WHERE id = ?",
    }[column]
    if not connection.execute(sql, (value, bucket.id)).rowcount:
        raise no_such_bucket(bucket.name)

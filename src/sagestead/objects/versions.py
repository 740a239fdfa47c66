"""Versions of objects: put, find, read, copy, delete.

Rule: blobs are durable before the transaction that names them; conditions are decided inside it; blobs that
nothing names any more are removed after it.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sagestead.domain.errors import Refusal
from sagestead.objects.blobs import Blobs, Gone, Snapshot
from sagestead.objects.buckets import live_bucket
from sagestead.objects.index import Index
from sagestead.objects.model import (
    NULL_VERSION,
    UNCONDITIONAL,
    Bucket,
    Condition,
    Draft,
    Segment,
    Text,
    Version,
)
from sagestead.objects.refusals import InvalidArgument, MethodNotAllowed, NoSuchKey, NoSuchVersion
from sagestead.objects.rows import segment_of, to_json, version_of
from sagestead.ports import Clock

_VERSION_ID = re.compile(r"[0-7][0-9a-f]{31}")


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a delete did: the marker it made or the version it removed; `version_id` empty: unversioned."""

    version_id: str = ""
    marker: bool = False


@dataclass(frozen=True, slots=True)
class Doomed:
    """One object of a multiple delete."""

    key: str
    version_id: str | None = None
    condition: Condition = UNCONDITIONAL


class Versions:
    """The versions of every bucket's keys."""

    def __init__(self, index: Index, blobs: Blobs, clock: Clock) -> None:
        self._index = index
        self._blobs = blobs
        self._clock = clock

    def put(self, bucket: Bucket, key: str, draft: Draft, condition: Condition = UNCONDITIONAL) -> Version:
        """Make the draft the current version; on refusal its blobs are removed."""
        try:
            version, dead = self._index.write(
                lambda c: insert_version(c, bucket, key, draft, condition, self._clock())
            )
        except BaseException:
            self._blobs.remove([segment.blob] for segment in draft.segments)
            raise
        self._blobs.remove(dead)
        return version

    def find(self, bucket: Bucket, key: str, version_id: str | None = None) -> Version:
        """Return a version (None: the current one), which may not be a delete marker."""
        with self._index.read() as connection:
            return find_version(connection, bucket, key, version_id)

    @contextmanager
    def open(
        self, bucket: Bucket, key: str, version_id: str | None = None
    ) -> Iterator[tuple[Version, Snapshot]]:
        """Find a version and hold its bytes in place."""
        version, snapshot = self.snapshot(bucket, key, version_id)
        with snapshot:
            yield version, snapshot

    def snapshot(self, bucket: Bucket, key: str, version_id: str | None = None) -> tuple[Version, Snapshot]:
        """Find a version and hold its bytes in place until the snapshot is closed."""
        while True:
            with self._index.read() as connection:
                version = find_version(connection, bucket, key, version_id)
                segments = segments_of(connection, version.seq)
            try:
                return version, Snapshot(self._blobs, segments)
            except Gone:
                continue

    def segments(self, version: Version) -> list[Segment]:
        """Return the segments of a version, in order; empty if it was deleted meanwhile."""
        with self._index.read() as connection:
            return segments_of(connection, version.seq)

    def set_tags(self, bucket: Bucket, key: str, version_id: str | None, tags: Text) -> Version:
        """Replace the tags of a version; returns the version."""

        def work(connection: sqlite3.Connection) -> Version:
            version = find_version(connection, bucket, key, version_id)
            connection.execute("UPDATE versions SET tags = ? WHERE seq = ?", (to_json(tags), version.seq))
            return version

        return self._index.write(work)

    def delete(
        self, bucket: Bucket, key: str, version_id: str | None = None, condition: Condition = UNCONDITIONAL
    ) -> Deletion:
        """Delete a version, or (None) the object; what is absent is deleted already."""
        (outcome,) = self.delete_all(bucket, [Doomed(key, version_id, condition)])
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome

    def delete_all(self, bucket: Bucket, doomed: Sequence[Doomed]) -> list[Deletion | Refusal]:
        """Delete in one transaction; returns an outcome for each, in order."""

        def work(connection: sqlite3.Connection) -> tuple[list[Deletion | Refusal], list[list[str]]]:
            live = live_bucket(connection, bucket)
            outcomes: list[Deletion | Refusal] = []
            dead: list[list[str]] = []
            for one in doomed:
                try:
                    outcomes.append(_delete(connection, live, one, self._clock(), dead))
                except Refusal as refusal:
                    outcomes.append(refusal)
            return outcomes, dead

        outcomes, dead = self._index.write(work)
        self._blobs.remove(dead)
        return outcomes


def find_version(connection: sqlite3.Connection, bucket: Bucket, key: str, version_id: str | None) -> Version:
    """Return a version that has content; raise `NoSuchKey`, `NoSuchVersion` or `MethodNotAllowed`."""
    version = _lookup(connection, bucket, key, version_id)
    if version is None:
        if version_id is None:
            raise NoSuchKey(f"The key {key!r} does not exist in {bucket.name!r}.", details={"Key": key})
        raise NoSuchVersion(
            f"The key {key!r} has no version {version_id!r}.", details={"Key": key, "VersionId": version_id}
        )
    if version.is_marker:
        headers = {"x-amz-delete-marker": "true", "x-amz-version-id": version.version_id}
        if version_id is None:
            raise NoSuchKey(
                f"The key {key!r} was deleted; name an older version to read it.",
                details={"Key": key},
                headers=headers,
            )
        raise MethodNotAllowed(
            f"Version {version_id!r} of {key!r} is a delete marker; it can only be deleted.",
            details={"ResourceType": "DeleteMarker"},
            headers={**headers, "Allow": "DELETE"},
        )
    return version


def sequence_of(version_id: str) -> int:
    """Return the sequence number in a version id; raise `InvalidArgument` if it is none of ours."""
    if not _VERSION_ID.fullmatch(version_id):
        raise InvalidArgument(
            f"Invalid version id specified: {version_id!r} is no version of this store.",
            details={"ArgumentName": "versionId", "ArgumentValue": version_id},
        )
    return int(version_id[:16], 16)


def segments_of(connection: sqlite3.Connection, seq: int) -> list[Segment]:
    """Return the segments of a version, in order."""
    rows = connection.execute("SELECT * FROM segments WHERE version = ? ORDER BY position", (seq,))
    return [segment_of(row) for row in rows]


def insert_version(  # noqa: PLR0913, PLR0917 - everything that one transaction depends on
    connection: sqlite3.Connection, bucket: Bucket, key: str, draft: Draft, condition: Condition, now: float
) -> tuple[Version, list[list[str]]]:
    """Make the draft the current version of the key; returns it and the blobs that became waste."""
    live = live_bucket(connection, bucket)
    condition.check(key, _visible(connection, live, key))
    version_id, dead = _make_room(connection, live, key)
    seq = _insert(connection, live, key, version_id, draft, now, is_marker=False)
    connection.executemany(
        "INSERT INTO segments (version, position, blob, size, sha256, checksums) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (seq, position, part.blob, part.size, part.sha256, to_json(part.checksums))
            for position, part in enumerate(draft.segments)
        ],
    )
    return version_of(connection.execute("SELECT * FROM versions WHERE seq = ?", (seq,)).fetchone()), dead


def _lookup(
    connection: sqlite3.Connection, bucket: Bucket, key: str, version_id: str | None
) -> Version | None:
    if version_id is None:
        row = connection.execute(
            "SELECT * FROM versions WHERE bucket = ? AND key = ? AND is_current = 1",
            (bucket.id, key.encode()),
        ).fetchone()
    else:
        if version_id != NULL_VERSION:
            sequence_of(version_id)
        row = connection.execute(
            "SELECT * FROM versions WHERE bucket = ? AND key = ? AND version_id = ?",
            (bucket.id, key.encode(), version_id),
        ).fetchone()
    return None if row is None else version_of(row)


def _visible(connection: sqlite3.Connection, bucket: Bucket, key: str) -> Version | None:
    version = _lookup(connection, bucket, key, None)
    return None if version is None or version.is_marker else version


def _make_room(connection: sqlite3.Connection, bucket: Bucket, key: str) -> tuple[str, list[list[str]]]:
    """Take currency from the current version, and remove the null version if the new one replaces it."""
    version_id, dead = _next_version_id(connection), []
    if bucket.versioning != "Enabled":
        version_id = NULL_VERSION
        replaced = _lookup(connection, bucket, key, NULL_VERSION)
        if replaced is not None:
            dead = [_remove(connection, replaced)]
    connection.execute(
        "UPDATE versions SET is_current = 0 WHERE bucket = ? AND key = ? AND is_current = 1",
        (bucket.id, key.encode()),
    )
    return version_id, dead


def _next_version_id(connection: sqlite3.Connection) -> str:
    """Return an id that begins with the sequence number that the next version will have."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'versions'").fetchone()
    return f"{(row['seq'] if row else 0) + 1:016x}{secrets.token_hex(8)}"


def _insert(  # noqa: PLR0913, PLR0917 - one argument a column, and their meaning
    connection: sqlite3.Connection,
    bucket: Bucket,
    key: str,
    version_id: str,
    draft: Draft,
    now: float,
    *,
    is_marker: bool,
) -> int:
    cursor = connection.execute(
        "INSERT INTO versions (bucket, key, version_id, is_current, is_marker, size, etag, modified_at,"
        " headers, metadata, tags, checksums, checksum_type, multipart)"
        " VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            bucket.id,
            key.encode(),
            version_id,
            is_marker,
            draft.size,
            draft.etag,
            now,
            to_json(draft.attributes.headers),
            to_json(draft.attributes.metadata),
            to_json(draft.attributes.tags),
            to_json(draft.checksums),
            draft.checksum_type,
            draft.multipart,
        ),
    )
    if cursor.lastrowid is None:
        raise AssertionError("an INSERT that succeeds has a row id")
    return cursor.lastrowid


def _remove(connection: sqlite3.Connection, version: Version) -> list[str]:
    blobs = [segment.blob for segment in segments_of(connection, version.seq)]
    connection.execute("DELETE FROM versions WHERE seq = ?", (version.seq,))
    return blobs


def _delete(
    connection: sqlite3.Connection, bucket: Bucket, doomed: Doomed, now: float, dead: list[list[str]]
) -> Deletion:
    key = doomed.key
    found = _lookup(connection, bucket, key, doomed.version_id)
    doomed.condition.check(key, None if found is None or found.is_marker else found)
    if doomed.version_id is not None:
        if found is None:
            return Deletion(doomed.version_id)
        dead.append(_remove(connection, found))
        if found.is_current:
            _promote(connection, bucket, key)
        return Deletion(found.version_id, found.is_marker)
    if bucket.versioning:
        version_id, waste = _make_room(connection, bucket, key)
        dead += waste
        _insert(connection, bucket, key, version_id, Draft((), ""), now, is_marker=True)
        return Deletion(version_id, marker=True)
    if found is not None:
        dead.append(_remove(connection, found))
    return Deletion()


def _promote(connection: sqlite3.Connection, bucket: Bucket, key: str) -> None:
    """Make the youngest version that is left the current one."""
    connection.execute(
        "UPDATE versions SET is_current = 1 WHERE seq ="
        " (SELECT seq FROM versions WHERE bucket = ? AND key = ? ORDER BY seq DESC LIMIT 1)",
        (bucket.id, key.encode()),
    )

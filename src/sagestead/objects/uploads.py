"""Multipart uploads: begin, parts, complete, abort.

Rule: completing names the parts' blobs as the segments of one object; no byte is copied. The answer of a
completion is remembered, so that a client that missed it may ask again.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sagestead.objects.blobs import Blobs, Written
from sagestead.objects.buckets import live_bucket
from sagestead.objects.digests import composite, full_object
from sagestead.objects.index import Index
from sagestead.objects.model import (
    UNCONDITIONAL,
    Attributes,
    Bucket,
    ChecksumType,
    Condition,
    Draft,
    Part,
    Text,
    Upload,
    Version,
)
from sagestead.objects.refusals import BadDigest, EntityTooSmall, InvalidPart, NoSuchUpload
from sagestead.objects.rows import part_of, to_json, upload_of, version_of
from sagestead.objects.versions import insert_version
from sagestead.ports import Clock

MINIMUM_PART = 5 << 20
_REMEMBERED_SECONDS = 7 * 86400.0


@dataclass(frozen=True, slots=True)
class Named:
    """A part as the client names it at completion; `checksums` may be empty."""

    number: int
    etag: str
    checksums: Text = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Completion:
    """What a client demands of the whole object; `checksum` and `size` None: nothing."""

    parts: Sequence[Named]
    condition: Condition = UNCONDITIONAL
    checksum: str | None = None
    size: int | None = None

    def fingerprint(self) -> str:
        """Identify the list of parts."""
        return json.dumps([[part.number, part.etag] for part in self.parts])


class Uploads:
    """The multipart uploads of every bucket."""

    def __init__(self, index: Index, blobs: Blobs, clock: Clock) -> None:
        self._index = index
        self._blobs = blobs
        self._clock = clock

    def begin(
        self, bucket: Bucket, key: str, attributes: Attributes, algorithm: str, checksum_type: ChecksumType
    ) -> Upload:
        """Begin an upload."""
        now = self._clock()
        upload_id = f"{int(now * 1e6):016x}{secrets.token_hex(16)}"

        def work(connection: sqlite3.Connection) -> Upload:
            live_bucket(connection, bucket)
            connection.execute(
                "INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    upload_id,
                    bucket.id,
                    key.encode(),
                    now,
                    to_json(attributes.headers),
                    to_json(attributes.metadata),
                    to_json(attributes.tags),
                    algorithm,
                    checksum_type,
                ),
            )
            return _find(connection, bucket, key, upload_id)

        return self._index.write(work)

    def get(self, bucket: Bucket, key: str, upload_id: str) -> Upload:
        """Return an upload under way; raise `NoSuchUpload`."""
        with self._index.read() as connection:
            return _find(connection, bucket, key, upload_id)

    def put_part(self, bucket: Bucket, upload: Upload, number: int, written: Written) -> Part:
        """Add or replace a part; if the upload is gone its blob is removed."""
        segment, etag, now = written.segment, written.md5.hex(), self._clock()

        def work(connection: sqlite3.Connection) -> list[str]:
            _find(connection, bucket, upload.key, upload.id)
            replaced = connection.execute(
                "SELECT blob FROM parts WHERE upload = ? AND number = ?", (upload.id, number)
            ).fetchall()
            connection.execute(
                "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    upload.id,
                    number,
                    segment.blob,
                    segment.size,
                    segment.sha256,
                    to_json(segment.checksums),
                    etag,
                    now,
                ),
            )
            return [row["blob"] for row in replaced]

        try:
            replaced = self._index.write(work)
        except BaseException:
            self._blobs.remove([[segment.blob]])
            raise
        self._blobs.remove([[blob] for blob in replaced])
        return Part(number, segment, etag, now)

    def parts(self, upload: Upload, after: int, limit: int) -> list[Part]:
        """Return up to `limit` parts with numbers beyond `after`, by number."""
        with self._index.read() as connection:
            rows = connection.execute(
                "SELECT * FROM parts WHERE upload = ? AND number > ? ORDER BY number LIMIT ?",
                (upload.id, after, limit),
            )
            return [part_of(row) for row in rows]

    def complete(self, bucket: Bucket, key: str, upload_id: str, completion: Completion) -> Version:
        """Make the object from the named parts; asking again with the same parts answers the same."""
        request = completion.fingerprint()

        def work(connection: sqlite3.Connection) -> tuple[Version, list[list[str]]]:
            before = _completed(connection, bucket, key, upload_id, request)
            if before is not None:
                return before, []
            upload = _find(connection, bucket, key, upload_id)
            rows = connection.execute("SELECT * FROM parts WHERE upload = ?", (upload_id,))
            stored = {part.number: part for part in map(part_of, rows)}
            draft = assemble(upload, stored, completion)
            now = self._clock()
            version, dead = insert_version(connection, bucket, key, draft, completion.condition, now)
            used = {segment.blob for segment in draft.segments}
            dead += [[p.segment.blob] for p in stored.values() if p.segment.blob not in used]
            connection.execute("DELETE FROM uploads WHERE id = ?", (upload_id,))
            connection.execute("DELETE FROM completions WHERE completed_at < ?", (now - _REMEMBERED_SECONDS,))
            connection.execute(
                "INSERT INTO completions VALUES (?, ?, ?, ?, ?, ?)",
                (upload_id, bucket.id, key.encode(), request, version.seq, now),
            )
            return version, dead

        version, dead = self._index.write(work)
        self._blobs.remove(dead)
        return version

    def abort(self, bucket: Bucket, key: str, upload_id: str) -> None:
        """Forget an upload and its parts."""

        def work(connection: sqlite3.Connection) -> list[list[str]]:
            _find(connection, bucket, key, upload_id)
            rows = connection.execute("SELECT blob FROM parts WHERE upload = ?", (upload_id,)).fetchall()
            connection.execute("DELETE FROM uploads WHERE id = ?", (upload_id,))
            return [[row["blob"]] for row in rows]

        self._blobs.remove(self._index.write(work))


def assemble(upload: Upload, stored: Mapping[int, Part], completion: Completion) -> Draft:
    """Return the object that the named parts make, or refuse them."""
    parts = [_match(stored, named) for named in completion.parts]
    for part in parts[:-1]:
        if part.segment.size < MINIMUM_PART:
            raise EntityTooSmall(
                f"Part {part.number} has {part.segment.size} bytes; every part but the last has at least "
                f"{MINIMUM_PART}.",
                details={
                    "ProposedSize": str(part.segment.size),
                    "MinSizeAllowed": str(MINIMUM_PART),
                    "PartNumber": str(part.number),
                },
            )
    etags = b"".join(bytes.fromhex(part.etag) for part in parts)
    etag = f"{hashlib.md5(etags, usedforsecurity=False).hexdigest()}-{len(parts)}"
    draft = Draft(
        segments=[part.segment for part in parts],
        etag=etag,
        attributes=upload.attributes,
        checksums=_checksums(upload, parts),
        checksum_type=upload.checksum_type,
        multipart=True,
    )
    _check_whole(upload, draft, completion)
    return draft


def _match(stored: Mapping[int, Part], named: Named) -> Part:
    part = stored.get(named.number)
    if part is None or part.etag != named.etag:
        raise InvalidPart(
            f"Part {named.number} was not uploaded, or its ETag is not {named.etag!r}.",
            details={"PartNumber": str(named.number), "ETag": named.etag},
        )
    for algorithm, value in named.checksums.items():
        if part.segment.checksums.get(algorithm) != value:
            raise InvalidPart(
                f"Part {named.number} was not uploaded with the {algorithm.upper()} {value!r}.",
                details={"PartNumber": str(named.number)},
            )
    return part


def _checksums(upload: Upload, parts: Sequence[Part]) -> Text:
    algorithm = upload.algorithm
    if not algorithm:
        return {}
    values = [part.segment.checksums[algorithm] for part in parts]
    if upload.checksum_type == "COMPOSITE":
        return {algorithm: composite(algorithm, values)}
    sizes = [part.segment.size for part in parts]
    return {algorithm: full_object(algorithm, zip(values, sizes, strict=True))}


def _check_whole(upload: Upload, draft: Draft, completion: Completion) -> None:
    if completion.checksum is not None:
        made = draft.checksums.get(upload.algorithm, "")
        if completion.checksum not in (made, made.partition("-")[0]):
            raise BadDigest(
                f"The object's {upload.algorithm.upper()} is {made!r}, not {completion.checksum!r}."
            )
    if completion.size is not None and completion.size != draft.size:
        raise BadDigest(
            f"The parts hold {draft.size} bytes, not the {completion.size} of x-amz-mp-object-size."
        )


def _find(connection: sqlite3.Connection, bucket: Bucket, key: str, upload_id: str) -> Upload:
    row = connection.execute(
        "SELECT * FROM uploads WHERE id = ? AND bucket = ? AND key = ?", (upload_id, bucket.id, key.encode())
    ).fetchone()
    if row is None:
        raise NoSuchUpload(
            f"The upload {upload_id!r} of {key!r} does not exist: it was completed, aborted or never begun.",
            details={"UploadId": upload_id},
        )
    return upload_of(row)


def _completed(
    connection: sqlite3.Connection, bucket: Bucket, key: str, upload_id: str, request: str
) -> Version | None:
    """Return the version that this very completion made, while it is still there."""
    row = connection.execute(
        "SELECT versions.* FROM completions JOIN versions ON seq = version"
        " WHERE upload = ? AND completions.bucket = ? AND completions.key = ? AND request = ?",
        (upload_id, bucket.id, key.encode(), request),
    ).fetchone()
    return None if row is None else version_of(row)

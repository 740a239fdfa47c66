"""The object store on a folder: `blobs/` and the index `index.db`.

Rule: several processes may hold the same folder open at once; each makes its own `FolderObjects` (never
before a fork), and only the one that starts the others calls `collect_orphans`, before it does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from sagestead.domain.errors import Invalid
from sagestead.objects.blobs import READ_SIZE, Blobs, Snapshot, link_or_copy, sync_folder
from sagestead.objects.buckets import Buckets
from sagestead.objects.index import Index
from sagestead.objects.listing import Listings
from sagestead.objects.model import Attributes, Draft, Version
from sagestead.objects.refusals import Corrupt, NoSuchBucket, NoSuchKey
from sagestead.objects.uploads import Uploads
from sagestead.objects.versions import Versions
from sagestead.ports import Clock, StoredObject

DEFAULT_CONTENT_TYPE = "binary/octet-stream"


class FolderObjects:
    """`ports.Objects` on the folder `root`, and the parts that S3's protocol needs beyond it."""

    def __init__(self, root: Path, clock: Clock) -> None:
        if not root.is_dir():
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            sync_folder(root.parent)
        self._index = Index(root / "index.db")
        self.blobs = Blobs(root / "blobs")
        self.buckets = Buckets(self._index, clock)
        self.versions = Versions(self._index, self.blobs, clock)
        self.uploads = Uploads(self._index, self.blobs, clock)
        self.listings = Listings(self._index)

    def close(self) -> None:
        """Close the index."""
        self._index.close()

    def collect_orphans(self) -> int:
        """Remove blobs that no transaction ever named (a crash left them); returns how many."""
        with self._index.read() as connection:
            rows = connection.execute("SELECT blob FROM segments UNION SELECT blob FROM parts")
            named = {row["blob"] for row in rows}
        return self.blobs.sweep(named.__contains__)

    def stat(self, account: str, bucket: str, key: str) -> StoredObject | None:
        """Return what is stored, or None."""
        try:
            return _stored(bucket, self.versions.find(self.buckets.get(account, bucket), key))
        except (NoSuchBucket, NoSuchKey):
            return None

    def list(self, account: str, bucket: str, prefix: str) -> Iterator[StoredObject]:
        """Yield the current objects whose key starts with `prefix`, by key in UTF-8 order."""
        try:
            owned = self.buckets.get(account, bucket)
        except NoSuchBucket:
            return
        for version in self.listings.each_object(owned, prefix):
            yield _stored(bucket, version)

    def has_bucket(self, account: str, bucket: str) -> bool:
        """True when the account owns that bucket."""
        try:
            self.buckets.get(account, bucket)
        except NoSuchBucket:
            return False
        return True

    def read(self, account: str, bucket: str, key: str, limit: int) -> bytes:
        """Return a small object whole; raise `Invalid` beyond `limit` bytes, `KeyError` when absent."""
        version, snapshot = self._snapshot(account, bucket, key)
        with snapshot:
            if version.size > limit:
                raise Invalid(
                    f"s3://{bucket}/{key} has {version.size} bytes; at most {limit} are allowed here."
                )
            return b"".join(snapshot.read(0, version.size))

    def fetch(self, account: str, bucket: str, key: str, destination: Path) -> str:
        """Write the object to a new file, verified, sharing storage if possible; returns its SHA-256 in hex.

        An object of one blob is hard-linked and therefore read-only. Raises `KeyError` when absent.
        """
        version, snapshot = self._snapshot(account, bucket, key)
        with snapshot:
            if len(snapshot.segments) != 1:
                return _concatenate(snapshot, version.size, destination)
            (segment,) = snapshot.segments
            for _ in snapshot.read(0, version.size):
                pass
            link_or_copy(self.blobs.path(segment.blob), destination)
            return segment.sha256

    def store(self, account: str, bucket: str, key: str, source: Path, content_type: str) -> StoredObject:
        """Put a file durably; raise `KeyError` when the account has no such bucket."""
        try:
            owned = self.buckets.get(account, bucket)
        except NoSuchBucket as refusal:
            raise KeyError(bucket) from refusal
        with source.open("rb") as file, self.blobs.writer(["crc64nvme"]) as writer:
            while data := file.read(READ_SIZE):
                writer.write(data)
            written = writer.finish()
        draft = Draft(
            segments=[written.segment],
            etag=written.md5.hex(),
            attributes=Attributes(headers={"content-type": content_type}),
            checksums=written.segment.checksums,
            checksum_type="FULL_OBJECT",
        )
        return _stored(bucket, self.versions.put(owned, key, draft))

    def remove(self, account: str, bucket: str, key: str) -> None:
        """Delete an object; absent is fine."""
        try:
            self.versions.delete(self.buckets.get(account, bucket), key)
        except NoSuchBucket:
            return

    def _snapshot(self, account: str, bucket: str, key: str) -> tuple[Version, Snapshot]:
        try:
            return self.versions.snapshot(self.buckets.get(account, bucket), key)
        except (NoSuchBucket, NoSuchKey) as refusal:
            raise KeyError(f"s3://{bucket}/{key}") from refusal


def _concatenate(snapshot: Snapshot, size: int, destination: Path) -> str:
    digest = hashlib.sha256()
    try:
        with destination.open("xb") as file:
            for data in snapshot.read(0, size):
                digest.update(data)
                file.write(data)
    except Corrupt:
        destination.unlink()
        raise
    return digest.hexdigest()


def _stored(bucket: str, version: Version) -> StoredObject:
    return StoredObject(
        bucket=bucket,
        key=version.key,
        size=version.size,
        etag=version.etag,
        modified_at=version.modified_at,
        content_type=version.attributes.headers.get("content-type", DEFAULT_CONTENT_TYPE),
    )

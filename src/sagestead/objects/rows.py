"""Rows of the index as the things they stand for."""

from __future__ import annotations

import json
import sqlite3

from sagestead.objects.model import Attributes, Bucket, Part, Segment, Text, Upload, Version


def to_json(text: Text) -> str:
    """Write a mapping of texts for a column."""
    return json.dumps(dict(text), ensure_ascii=False, separators=(",", ":"))


def bucket_of(row: sqlite3.Row) -> Bucket:
    """Read a row of `buckets`."""
    tags = None if row["tags"] is None else json.loads(row["tags"])
    return Bucket(
        row["id"], row["account"], row["name"], row["region"], row["created_at"], row["versioning"], tags
    )


def version_of(row: sqlite3.Row) -> Version:
    """Read a row of `versions`."""
    return Version(
        seq=row["seq"],
        key=row["key"].decode(),
        version_id=row["version_id"],
        is_current=bool(row["is_current"]),
        is_marker=bool(row["is_marker"]),
        size=row["size"],
        etag=row["etag"],
        modified_at=row["modified_at"],
        attributes=_attributes_of(row),
        checksums=json.loads(row["checksums"]),
        checksum_type=row["checksum_type"],
        multipart=bool(row["multipart"]),
    )


def upload_of(row: sqlite3.Row) -> Upload:
    """Read a row of `uploads`."""
    return Upload(
        id=row["id"],
        bucket_id=row["bucket"],
        key=row["key"].decode(),
        started_at=row["started_at"],
        attributes=_attributes_of(row),
        algorithm=row["algorithm"],
        checksum_type=row["checksum_type"],
    )


def segment_of(row: sqlite3.Row) -> Segment:
    """Read a row of `segments` or `parts`."""
    return Segment(row["blob"], row["size"], row["sha256"], json.loads(row["checksums"]))


def part_of(row: sqlite3.Row) -> Part:
    """Read a row of `parts`."""
    return Part(row["number"], segment_of(row), row["etag"], row["modified_at"])


def _attributes_of(row: sqlite3.Row) -> Attributes:
    return Attributes(json.loads(row["headers"]), json.loads(row["metadata"]), json.loads(row["tags"]))

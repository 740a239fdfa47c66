"""What the object store keeps: buckets, versions of objects, and the segments that hold their bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sagestead.objects.refusals import NoSuchKey, PreconditionFailed

Versioning = Literal["", "Enabled", "Suspended"]
ChecksumType = Literal["", "FULL_OBJECT", "COMPOSITE"]
Text = Mapping[str, str]

NULL_VERSION = "null"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket; `tags` None: never tagged."""

    id: int
    account: str
    name: str
    region: str
    created_at: float
    versioning: Versioning
    tags: Text | None


@dataclass(frozen=True, slots=True)
class Segment:
    """A blob that holds consecutive bytes of an object.

    Attributes:
        blob: name in the folder of blobs.
        size: bytes.
        sha256: hexadecimal, of the blob.
        checksums: S3's checksums of the segment that are known (algorithm -> base64).
    """

    blob: str
    size: int
    sha256: str
    checksums: Text = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attributes:
    """What the client says of an object.

    Attributes:
        headers: stored and answered as they are (lower-case name -> value).
        metadata: `x-amz-meta-*` without the prefix.
        tags: tag key -> value.
    """

    headers: Text = field(default_factory=dict)
    metadata: Text = field(default_factory=dict)
    tags: Text = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Draft:
    """An object about to be stored; its blobs are on disk already.

    `etag` is without quotes; `checksums` are those of the object; of a `multipart` object, each part is one.
    """

    segments: Sequence[Segment]
    etag: str
    attributes: Attributes = field(default_factory=Attributes)
    checksums: Text = field(default_factory=dict)
    checksum_type: ChecksumType = ""
    multipart: bool = False

    @property
    def size(self) -> int:
        """Bytes of the object."""
        return sum(segment.size for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Version:
    """One stored version of a key, or a delete marker. Times: seconds since the epoch."""

    seq: int
    key: str
    version_id: str
    is_current: bool
    is_marker: bool
    size: int
    etag: str
    modified_at: float
    attributes: Attributes
    checksums: Text
    checksum_type: ChecksumType
    multipart: bool


@dataclass(frozen=True, slots=True)
class Condition:
    """Entity tags (without quotes; `*` is any) that a write demands of the current object."""

    if_match: frozenset[str] | None = None
    if_none_match: frozenset[str] | None = None
    size: int | None = None
    modified_at: int | None = None

    def check(self, key: str, current: Version | None) -> None:
        """Refuse unless the current object (None: absent or deleted) is as demanded."""
        if self.if_none_match is not None and current and _names(self.if_none_match, current):
            raise PreconditionFailed(
                f"At least one of the preconditions did not hold: If-None-Match, and {key!r} is such.",
                details={"Condition": "If-None-Match"},
            )
        wanted = self.if_match is not None or self.size is not None or self.modified_at is not None
        if not wanted:
            return
        if current is None:
            raise NoSuchKey(f"If-Match names an object, but {key!r} does not exist.", details={"Key": key})
        if (
            (self.if_match is not None and not _names(self.if_match, current))
            or (self.size is not None and self.size != current.size)
            or (self.modified_at is not None and self.modified_at != int(current.modified_at))
        ):
            raise PreconditionFailed(
                f"At least one of the preconditions did not hold: If-Match, and {key!r} is another.",
                details={"Condition": "If-Match"},
            )


UNCONDITIONAL = Condition()


def _names(tags: frozenset[str], version: Version) -> bool:
    return "*" in tags or version.etag in tags


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload under way; `algorithm` is S3's name in lower case, empty if none was chosen."""

    id: str
    bucket_id: int
    key: str
    started_at: float
    attributes: Attributes
    algorithm: str
    checksum_type: ChecksumType


@dataclass(frozen=True, slots=True)
class Part:
    """An uploaded part; `etag` without quotes."""

    number: int
    segment: Segment
    etag: str
    modified_at: float

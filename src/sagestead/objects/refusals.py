"""What the object store refuses, by S3's codes.

Rule: the store refuses with a sentence of its own; how it is written down is the protocol's business.
"""

from __future__ import annotations

from sagestead.domain.errors import Refusal


class NoSuchBucket(Refusal):
    """The account owns no bucket of that name."""

    code = "NoSuchBucket"
    status = 404


class NoSuchKey(Refusal):
    """The bucket holds no current object of that key."""

    code = "NoSuchKey"
    status = 404


class NoSuchVersion(Refusal):
    """The key has no such version."""

    code = "NoSuchVersion"
    status = 404


class NoSuchUpload(Refusal):
    """The multipart upload was never begun, was completed, or was aborted."""

    code = "NoSuchUpload"
    status = 404


class BucketAlreadyOwnedByYou(Refusal):
    """The account owns that bucket already."""

    code = "BucketAlreadyOwnedByYou"
    status = 409


class BucketNotEmpty(Refusal):
    """A bucket with objects or versions in it is not deleted."""

    code = "BucketNotEmpty"
    status = 409


class PreconditionFailed(Refusal):
    """The current object is not the one that the condition names."""

    code = "PreconditionFailed"
    status = 412


class MethodNotAllowed(Refusal):
    """A delete marker has no content to read."""

    code = "MethodNotAllowed"
    status = 405


class InvalidArgument(Refusal):
    """An argument that can never be right."""

    code = "InvalidArgument"


class InvalidPart(Refusal):
    """A part named at completion is not there, or is another one."""

    code = "InvalidPart"


class EntityTooSmall(Refusal):
    """A part other than the last is smaller than 5 MiB."""

    code = "EntityTooSmall"


class BadDigest(Refusal):
    """The bytes do not have the checksum that the client named."""

    code = "BadDigest"


class Corrupt(Exception):  # noqa: N818 - says what the bytes are
    """Stored bytes no longer have the checksum that they were stored with."""

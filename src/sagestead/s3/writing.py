"""Operations that write objects: PutObject and CopyObject."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import unquote_to_bytes

from sagestead.domain.errors import Refusal
from sagestead.objects.blobs import Snapshot, Written
from sagestead.objects.digests import encode, new_digest
from sagestead.objects.model import Attributes, Bucket, ChecksumType, Draft, Text, Version
from sagestead.s3.attributes import (
    CONTENT_HEADERS,
    STORAGE_CLASS,
    encryption_headers,
    keeping_headers,
    read_attributes,
    written_headers,
)
from sagestead.s3.checksums import algorithm_of, declared, elements_of, headers_of
from sagestead.s3.conditions import check_copy_source, write_condition
from sagestead.s3.desk import Desk, Intake, check_owner
from sagestead.s3.markup import answer, leaf
from sagestead.s3.names import quoted, xml_time
from sagestead.s3.request import S3Request, argument
from sagestead.wire.http import Response

_VERSION_SUFFIX = re.compile(r"\?versionId=(.*)$")


def put_object(desk: Desk, request: S3Request) -> Intake:
    """PutObject: checked before the body is read, stored after."""
    bucket = desk.bucket(request)
    attributes = read_attributes(request)
    condition = write_condition(request)
    named = declared(request)

    def finish(written: Written) -> Response:
        draft = Draft(
            segments=[written.segment],
            etag=written.md5.hex(),
            attributes=attributes,
            checksums=written.segment.checksums,
            checksum_type="FULL_OBJECT" if written.segment.checksums else "",
        )
        version = desk.store.versions.put(bucket, request.key, draft, condition)
        return Response(200, stored_headers(bucket, version))

    return Intake(named, named.algorithms, finish)


def stored_headers(bucket: Bucket, version: Version) -> list[tuple[str, str]]:
    """Return what the answer to a write says of the version."""
    return [
        ("ETag", quoted(version.etag)),
        *headers_of(version.checksums, version.checksum_type),
        *encryption_headers(version.attributes),
        *written_headers(bucket, version),
    ]


@dataclass(frozen=True, slots=True)
class CopySource:
    """What `x-amz-copy-source` names."""

    bucket: str
    key: str
    version_id: str | None


def copy_source(request: S3Request) -> CopySource:
    """Read the header; its key is percent-encoded."""
    header = request.header("x-amz-copy-source") or ""
    match = _VERSION_SUFFIX.search(header)
    path = header[: match.start()] if match else header
    try:
        decoded = unquote_to_bytes(path.encode("latin-1")).decode().removeprefix("/")
    except UnicodeDecodeError:
        decoded = ""
    bucket, _, key = decoded.partition("/")
    if not bucket or not key:
        raise argument("x-amz-copy-source", header, "BUCKET/KEY, percent-encoded UTF-8")
    return CopySource(bucket, key, match[1] if match else None)


def open_source(desk: Desk, request: S3Request) -> tuple[Bucket, Version, Snapshot]:
    """Find the source of a copy, hold its bytes, and check the copy's conditions on it."""
    source = copy_source(request)
    bucket = desk.store.buckets.get(request.account, source.bucket)
    check_owner(request, "x-amz-source-expected-bucket-owner")
    version, snapshot = desk.store.versions.snapshot(bucket, source.key, source.version_id)
    try:
        check_copy_source(request, version)
    except BaseException:
        snapshot.close()
        raise
    return bucket, version, snapshot


def copy_object(desk: Desk, request: S3Request) -> Response:
    """CopyObject: second names for the same bytes."""
    bucket = desk.bucket(request)
    given = read_attributes(request)
    source_bucket, source, snapshot = open_source(desk, request)
    with snapshot:
        attributes = _copied_attributes(request, source, given)
        if source_bucket == bucket and source.key == request.key:
            _check_not_itself(request, source)
        checksums, checksum_type = _copied_checksums(request, source, snapshot)
        segments = desk.store.blobs.twins(snapshot.segments)
    draft = Draft(segments, source.etag, attributes, checksums, checksum_type, source.multipart)
    version = desk.store.versions.put(bucket, request.key, draft, write_condition(request))
    headers = [*encryption_headers(attributes), *written_headers(bucket, version)]
    if source_bucket.versioning:
        headers.append(("x-amz-copy-source-version-id", source.version_id))
    return answer(
        "CopyObjectResult",
        leaf("ETag", quoted(version.etag)),
        leaf("LastModified", xml_time(version.modified_at)),
        elements_of(version.checksums, version.checksum_type),
        headers=headers,
    )


def _directive(request: S3Request, name: str) -> bool:
    """True when what the request gives replaces what the source has."""
    value = request.header(name) or "COPY"
    if value not in ("COPY", "REPLACE"):
        raise argument(name, value, "COPY or REPLACE")
    return value == "REPLACE"


def _copied_attributes(request: S3Request, source: Version, given: Attributes) -> Attributes:
    """Return the copy's attributes; storage class and encryption are never taken from the source."""
    content = {name: value for name, value in source.attributes.headers.items() if name in CONTENT_HEADERS}
    taken = Attributes({**content, **keeping_headers(request)}, source.attributes.metadata, given.tags)
    result = given if _directive(request, "x-amz-metadata-directive") else taken
    if not _directive(request, "x-amz-tagging-directive"):
        result = replace(result, tags=source.attributes.tags)
    return result


def _check_not_itself(request: S3Request, source: Version) -> None:
    changes = (
        _directive(request, "x-amz-metadata-directive")
        or keeping_headers(request)
        or request.header("x-amz-website-redirect-location") is not None
        or not source.is_current
    )
    if not changes:
        raise Refusal(
            "This copy request is illegal because it is trying to copy an object to itself without changing "
            f"the object's metadata, {STORAGE_CLASS} or encryption.",
            code="InvalidRequest",
        )


def _copied_checksums(request: S3Request, source: Version, snapshot: Snapshot) -> tuple[Text, ChecksumType]:
    wanted = request.header("x-amz-checksum-algorithm")
    if wanted is None:
        return source.checksums, source.checksum_type
    algorithm = algorithm_of(wanted)
    if algorithm in source.checksums and source.checksum_type == "FULL_OBJECT":
        return {algorithm: source.checksums[algorithm]}, "FULL_OBJECT"
    digest = new_digest(algorithm)
    for chunk in snapshot.read(0, source.size):
        digest.update(chunk)
    return {algorithm: encode(digest.digest())}, "FULL_OBJECT"

"""Operations that read objects: GetObject, HeadObject, GetObjectAttributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sagestead.domain.errors import Refusal
from sagestead.objects.model import Bucket, Segment, Version
from sagestead.s3.attributes import ENCRYPTION, STORAGE_CLASS, object_headers, version_headers
from sagestead.s3.checksums import elements_of, headers_of
from sagestead.s3.conditions import Verdict, read_verdict, requested_range
from sagestead.s3.desk import Desk
from sagestead.s3.markup import Markup, answer, flag, leaf, node
from sagestead.s3.names import http_time
from sagestead.s3.request import S3Request, argument, whole_number
from sagestead.wire.http import Response

_AT_ONCE = 1 << 20
_MOST_PARTS = 10_000
_PAGE_OF_PARTS = 1000
_OVERRIDES = (
    "content-type",
    "content-language",
    "expires",
    "cache-control",
    "content-disposition",
    "content-encoding",
)
OVERRIDES = frozenset(f"response-{name}" for name in _OVERRIDES)
_ATTRIBUTES = frozenset({"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"})


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The bytes of an object that an answer holds, and the headers that belong to them."""

    status: int
    start: int
    stop: int
    headers: Sequence[tuple[str, str]]


def get_object(desk: Desk, request: S3Request) -> Response:
    """GetObject."""
    bucket = desk.bucket(request)
    version, snapshot = desk.store.versions.snapshot(bucket, request.key, request.version_id)
    try:
        excerpt = _excerpt(request, bucket, version, snapshot.segments)
        size = excerpt.stop - excerpt.start
        if size > _AT_ONCE:
            body = desk.stream(snapshot, excerpt.start, excerpt.stop)
            return Response(excerpt.status, list(excerpt.headers), body)
        data = b"".join(snapshot.read(excerpt.start, excerpt.stop))
    except BaseException:
        snapshot.close()
        raise
    snapshot.close()
    return Response(excerpt.status, list(excerpt.headers), data)


def head_object(desk: Desk, request: S3Request) -> Response:
    """HeadObject."""
    bucket = desk.bucket(request)
    version = desk.store.versions.find(bucket, request.key, request.version_id)
    excerpt = _excerpt(request, bucket, version, desk.store.versions.segments(version))
    length = [] if excerpt.status == 304 else [("Content-Length", str(excerpt.stop - excerpt.start))]  # noqa: PLR2004 - Not Modified has no length
    return Response(excerpt.status, [*excerpt.headers, *length])


def get_attributes(desk: Desk, request: S3Request) -> Response:
    """GetObjectAttributes."""
    wanted = {name.strip() for name in (request.header("x-amz-object-attributes") or "").split(",")}
    if not wanted <= _ATTRIBUTES:
        raise argument("x-amz-object-attributes", ",".join(sorted(wanted)), f"of {sorted(_ATTRIBUTES)}")
    bucket = desk.bucket(request)
    version = desk.store.versions.find(bucket, request.key, request.version_id)
    found = {
        "ETag": leaf("ETag", version.etag),
        "Checksum": node("Checksum", elements_of(version.checksums, version.checksum_type)),
        "StorageClass": leaf("StorageClass", version.attributes.headers.get(STORAGE_CLASS, "STANDARD")),
        "ObjectSize": leaf("ObjectSize", version.size),
    }
    if not version.checksums:
        del found["Checksum"]
    if version.multipart:
        found["ObjectParts"] = _parts_element(request, desk.store.versions.segments(version))
    headers = [("Last-Modified", http_time(version.modified_at)), *version_headers(bucket, version)]
    elements = [element for name, element in found.items() if name in wanted]
    return answer("GetObjectAttributesResponse", *elements, headers=headers)


def _excerpt(request: S3Request, bucket: Bucket, version: Version, segments: Sequence[Segment]) -> Excerpt:
    _check_not_written(request)
    headers = object_headers(bucket, version)
    if read_verdict(request, version) is Verdict.NOT_MODIFIED:
        kept = ("ETag", "Last-Modified", "x-amz-version-id", "cache-control", "expires")
        return Excerpt(304, 0, 0, [(name, value) for name, value in headers if name in kept])
    headers = _overridden(request, headers)
    with_checksums = (request.header("x-amz-checksum-mode") or "").upper() == "ENABLED"
    if "partNumber" in request.query:
        part = _numbered_part(request, version, segments)
        if version.multipart:
            headers.append(("x-amz-mp-parts-count", str(len(segments))))
            if with_checksums:
                headers += headers_of(segments[part[2]].checksums, version.checksum_type)
        elif with_checksums:
            headers += headers_of(version.checksums, version.checksum_type)
        return _partial(version, part[0], part[1], headers)
    wanted = requested_range(request, version)
    if wanted is not None:
        return _partial(version, wanted[0], wanted[1], headers)
    if with_checksums:
        headers += headers_of(version.checksums, version.checksum_type)
    return Excerpt(200, 0, version.size, headers)


def _check_not_written(request: S3Request) -> None:
    """Refuse the headers of a write and of a customer's key, as S3 does."""
    for name, _ in request.headers(f"{ENCRYPTION}-customer-"):
        raise Refusal(
            "The encryption parameters are not applicable to this object: it is stored without a customer's "
            f"key. Leave {name} out.",
            code="InvalidRequest",
        )
    if request.header(ENCRYPTION) is not None:
        raise argument(ENCRYPTION, request.header(ENCRYPTION) or "", "left out when reading")


def _partial(version: Version, start: int, stop: int, headers: list[tuple[str, str]]) -> Excerpt:
    if not version.size:
        return Excerpt(200, 0, 0, headers)
    place = ("Content-Range", f"bytes {start}-{stop - 1}/{version.size}")
    return Excerpt(206, start, stop, [*headers, place])


def _numbered_part(request: S3Request, version: Version, segments: Sequence[Segment]) -> tuple[int, int, int]:
    """Return (start, stop, index) of the part that `partNumber` names."""
    if request.header("range") is not None:
        raise Refusal(
            "Cannot specify both Range header and partNumber query parameter.", code="InvalidRequest"
        )
    number = request.number("partNumber", 1, 1, _MOST_PARTS)
    count = len(segments) if version.multipart else 1
    if number > count:
        raise Refusal(
            f"The requested partNumber {number} is not satisfiable: the object has {count}.",
            code="InvalidPart",
            details={"PartNumberRequested": str(number), "ActualPartCount": str(count)},
        )
    if not version.multipart:
        return 0, version.size, 0
    start = sum(segment.size for segment in segments[: number - 1])
    return start, start + segments[number - 1].size, number - 1


def _overridden(request: S3Request, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers with those that `response-*` parameters replace."""
    replaced = {
        name: request.query[f"response-{name}"] for name in _OVERRIDES if f"response-{name}" in request.query
    }
    return [*((name, value) for name, value in headers if name not in replaced), *replaced.items()]


def _parts_element(request: S3Request, segments: Sequence[Segment]) -> Markup:
    limit = whole_number(
        "x-amz-max-parts", request.header("x-amz-max-parts"), _PAGE_OF_PARTS, 0, _PAGE_OF_PARTS
    )
    after = whole_number(
        "x-amz-part-number-marker", request.header("x-amz-part-number-marker"), 0, 0, _MOST_PARTS
    )
    shown = list(enumerate(segments, 1))[after : after + limit]
    return node(
        "ObjectParts",
        leaf("PartsCount", len(segments)),
        leaf("PartNumberMarker", after),
        leaf("NextPartNumberMarker", shown[-1][0] if shown else after),
        leaf("MaxParts", limit),
        flag("IsTruncated", bool(shown) and shown[-1][0] < len(segments)),
        *[
            node("Part", leaf("PartNumber", number), leaf("Size", part.size), elements_of(part.checksums))
            for number, part in shown
        ],
    )

"""The one table of S3's operations: which request is which, and the parameters that it may have.

Rule: a request is the row with most of its markers present; a parameter that the row does not list is
refused by name, so that no sub-resource is ever taken for a plain read or write.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sagestead.domain.errors import Refusal
from sagestead.s3 import buckets, deleting, listing, multipart, reading, tagging, writing
from sagestead.s3.desk import DocumentOperation, Operation, UploadOperation
from sagestead.s3.refused import ABSENT, not_here
from sagestead.s3.request import S3Request

Level = Literal["service", "bucket", "object"]

_SMALL = 1 << 20
_LARGE = 8 << 20
_ANYWHERE = frozenset({"x-id", "AWSAccessKeyId", "Signature", "Expires"})
_COPY = "x-amz-copy-source"
_KEYS = "prefix delimiter max-keys encoding-type"


@dataclass(frozen=True, slots=True)
class Plain:
    """An operation without a body."""

    run: Operation


@dataclass(frozen=True, slots=True)
class Document:
    """An operation with a document of at most `limit` bytes.

    `own_checksum`: checksum headers are those of the document (of CompleteMultipartUpload: of the object).
    """

    run: DocumentOperation
    limit: int = _SMALL
    own_checksum: bool = True


@dataclass(frozen=True, slots=True)
class Upload:
    """An operation that stores its body."""

    begin: UploadOperation


Form = Plain | Document | Upload


@dataclass(frozen=True, slots=True)
class Route:
    """One row: name, where, method, the markers that select it, further parameters."""

    name: str
    level: Level
    method: str
    form: Form
    markers: frozenset[str] = frozenset()
    parameters: frozenset[str] = frozenset()
    header: str | None = None


def _row(  # noqa: PLR0913, PLR0917 - a row's columns
    name: str,
    level: Level,
    method: str,
    form: Form,
    markers: str = "",
    parameters: str = "",
    header: str | None = None,
) -> Route:
    return Route(name, level, method, form, frozenset(markers.split()), frozenset(parameters.split()), header)


ROUTES: tuple[Route, ...] = (
    _row(
        "ListBuckets",
        "service",
        "GET",
        Plain(buckets.list_buckets),
        "",
        "prefix max-buckets continuation-token",
    ),
    _row("CreateBucket", "bucket", "PUT", Document(buckets.create_bucket)),
    _row("HeadBucket", "bucket", "HEAD", Plain(buckets.head_bucket)),
    _row("DeleteBucket", "bucket", "DELETE", Plain(buckets.delete_bucket)),
    _row("GetBucketLocation", "bucket", "GET", Plain(buckets.get_location), "location"),
    _row("GetBucketVersioning", "bucket", "GET", Plain(buckets.get_versioning), "versioning"),
    _row("PutBucketVersioning", "bucket", "PUT", Document(buckets.put_versioning), "versioning"),
    _row("GetBucketAcl", "bucket", "GET", Plain(buckets.get_acl), "acl"),
    _row("GetBucketTagging", "bucket", "GET", Plain(tagging.get_bucket_tagging), "tagging"),
    _row("PutBucketTagging", "bucket", "PUT", Document(tagging.put_bucket_tagging), "tagging"),
    _row("DeleteBucketTagging", "bucket", "DELETE", Plain(tagging.delete_bucket_tagging), "tagging"),
    _row("GetBucketLogging", "bucket", "GET", Plain(buckets.get_default), "logging"),
    _row("GetBucketNotificationConfiguration", "bucket", "GET", Plain(buckets.get_default), "notification"),
    _row("GetBucketAccelerateConfiguration", "bucket", "GET", Plain(buckets.get_default), "accelerate"),
    _row("GetBucketRequestPayment", "bucket", "GET", Plain(buckets.get_payer), "requestPayment"),
    _row("ListObjects", "bucket", "GET", Plain(listing.list_objects), "", f"{_KEYS} marker"),
    _row(
        "ListObjectsV2",
        "bucket",
        "GET",
        Plain(listing.list_objects_v2),
        "list-type",
        f"{_KEYS} continuation-token start-after fetch-owner",
    ),
    _row(
        "ListObjectVersions",
        "bucket",
        "GET",
        Plain(listing.list_versions),
        "versions",
        f"{_KEYS} key-marker version-id-marker",
    ),
    _row(
        "ListMultipartUploads",
        "bucket",
        "GET",
        Plain(listing.list_uploads),
        "uploads",
        "prefix delimiter encoding-type max-uploads key-marker upload-id-marker",
    ),
    _row("DeleteObjects", "bucket", "POST", Document(deleting.delete_objects, _LARGE), "delete"),
    _row(
        "GetObject",
        "object",
        "GET",
        Plain(reading.get_object),
        "",
        f"versionId partNumber {' '.join(reading.OVERRIDES)}",
    ),
    _row(
        "HeadObject",
        "object",
        "HEAD",
        Plain(reading.head_object),
        "",
        f"versionId partNumber {' '.join(reading.OVERRIDES)}",
    ),
    _row("GetObjectAttributes", "object", "GET", Plain(reading.get_attributes), "attributes", "versionId"),
    _row("GetObjectAcl", "object", "GET", Plain(buckets.get_acl), "acl", "versionId"),
    _row("PutObject", "object", "PUT", Upload(writing.put_object)),
    _row("CopyObject", "object", "PUT", Plain(writing.copy_object), "", "", _COPY),
    _row("DeleteObject", "object", "DELETE", Plain(deleting.delete_object), "", "versionId"),
    _row("GetObjectTagging", "object", "GET", Plain(tagging.get_object_tagging), "tagging", "versionId"),
    _row("PutObjectTagging", "object", "PUT", Document(tagging.put_object_tagging), "tagging", "versionId"),
    _row(
        "DeleteObjectTagging",
        "object",
        "DELETE",
        Plain(tagging.delete_object_tagging),
        "tagging",
        "versionId",
    ),
    _row("CreateMultipartUpload", "object", "POST", Plain(multipart.create_upload), "uploads"),
    _row("UploadPart", "object", "PUT", Upload(multipart.upload_part), "partNumber uploadId"),
    _row(
        "UploadPartCopy",
        "object",
        "PUT",
        Plain(multipart.upload_part_copy),
        "partNumber uploadId",
        "",
        _COPY,
    ),
    _row(
        "CompleteMultipartUpload",
        "object",
        "POST",
        Document(multipart.complete_upload, _LARGE, own_checksum=False),
        "uploadId",
    ),
    _row("AbortMultipartUpload", "object", "DELETE", Plain(multipart.abort_upload), "uploadId"),
    _row(
        "ListParts",
        "object",
        "GET",
        Plain(multipart.list_parts),
        "uploadId",
        "max-parts part-number-marker encoding-type",
    ),
)

_NOT_CONFIGURED = Route("GetConfiguration", "bucket", "GET", Plain(buckets.get_nothing))


def find_route(request: S3Request) -> Route:
    """Return the row of a request, or refuse the request by name."""
    level: Level = "object" if request.key else "bucket" if request.bucket else "service"
    names = {name for name in request.query if name not in _ANYWHERE and not name.startswith("x-amz-")}
    fitting = [
        route
        for route in ROUTES
        if (route.level, route.method) == (level, request.method)
        and route.markers <= names
        and (route.header is None or request.header(route.header) is not None)
    ]
    if request.method == "GET" and level != "service" and names & ABSENT.keys():
        return _NOT_CONFIGURED
    if not fitting:
        raise _no_such(request.method, level, names)
    best = max(fitting, key=lambda route: (len(route.markers), route.header is not None))
    unknown = names - best.markers - best.parameters
    if unknown:
        raise not_here(f"{request.method} with the parameter {_listed(unknown)}")
    return best


def _no_such(method: str, level: Level, names: set[str]) -> Refusal:
    if (method, level) == ("POST", "bucket") and not names:
        return not_here("PostObject, the upload of a browser's form,")
    if names:
        return not_here(f"{method} with {_listed(names)}")
    return Refusal(
        f"The method {method} is not allowed against this resource.", code="MethodNotAllowed", status=405
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names))

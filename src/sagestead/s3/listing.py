"""Operations that list: objects (both versions), versions of objects, uploads under way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sagestead.objects.listing import Question
from sagestead.objects.model import Upload, Version
from sagestead.objects.rolling import Rolled
from sagestead.s3.attributes import STORAGE_CLASS
from sagestead.s3.buckets import make_token, read_token
from sagestead.s3.desk import Desk
from sagestead.s3.markup import NONE, Markup, answer, flag, leaf, node
from sagestead.s3.names import owner, quoted, url_encoded, xml_time
from sagestead.s3.request import S3Request, argument
from sagestead.wire.http import Response

R = TypeVar("R", Version, Upload)

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Writer:
    """How a listing writes keys: as they are, or percent-encoded."""

    encoding: str | None

    def key(self, name: str, key: str | None) -> Markup:
        """Return an element with a key or a part of one; nothing for None."""
        return leaf(name, url_encoded(key) if self.encoding and key is not None else key)

    def echo(self, name: str, part: str) -> Markup:
        """Return an element that repeats a prefix of ListObjects.

        It is encoded only where decoding would change it: some clients decode this element, some do not.
        """
        return self.key(name, part) if {"%", "+"} & set(part) else leaf(name, part)

    def prefixes(self, page: Rolled[R]) -> list[Markup]:
        """Return the page's common prefixes."""
        found = [entry.decode() for entry in page.entries if isinstance(entry, bytes)]
        return [node("CommonPrefixes", self.key("Prefix", prefix)) for prefix in found]


def list_objects(desk: Desk, request: S3Request) -> Response:
    """ListObjects, the first version."""
    bucket, writer = desk.bucket(request), _writer(request)
    question = _question(request, "max-keys", request.query.get("marker", ""))
    page = desk.store.listings.objects(bucket, question)
    return answer(
        "ListBucketResult",
        leaf("Name", bucket.name),
        writer.echo("Prefix", question.prefix),
        writer.key("Marker", question.after),
        writer.key("NextMarker", _last(page) if page.truncated else None),
        writer.key("Delimiter", question.delimiter or None),
        leaf("MaxKeys", question.limit),
        leaf("EncodingType", writer.encoding),
        flag("IsTruncated", page.truncated),
        *_contents(page, writer, owner(request.account)),
        *writer.prefixes(page),
    )


def list_objects_v2(desk: Desk, request: S3Request) -> Response:
    """ListObjects, the second version."""
    bucket, writer = desk.bucket(request), _writer(request)
    if request.query["list-type"] != "2":
        raise argument("list-type", request.query["list-type"], "2")
    token = request.query.get("continuation-token")
    start = request.query.get("start-after", "")
    question = _question(request, "max-keys", read_token(token) if token else start)
    page = desk.store.listings.objects(bucket, question)
    shown = owner(request.account) if request.query.get("fetch-owner") == "true" else NONE
    return answer(
        "ListBucketResult",
        leaf("Name", bucket.name),
        writer.key("Prefix", question.prefix),
        writer.key("Delimiter", question.delimiter or None),
        leaf("MaxKeys", question.limit),
        leaf("KeyCount", len(page.entries)),
        leaf("EncodingType", writer.encoding),
        flag("IsTruncated", page.truncated),
        leaf("ContinuationToken", token),
        leaf("NextContinuationToken", make_token(_last(page)) if page.truncated else None),
        writer.key("StartAfter", start or None),
        *_contents(page, writer, shown),
        *writer.prefixes(page),
    )


def list_versions(desk: Desk, request: S3Request) -> Response:
    """ListObjectVersions."""
    bucket, writer = desk.bucket(request), _writer(request)
    question = _question(request, "max-keys", request.query.get("key-marker", ""), "version-id-marker")
    page = desk.store.listings.versions(bucket, question)
    entries = [entry for entry in page.entries if isinstance(entry, Version)]
    return answer(
        "ListVersionsResult",
        leaf("Name", bucket.name),
        writer.key("Prefix", question.prefix),
        writer.key("KeyMarker", question.after),
        leaf("VersionIdMarker", question.within),
        *_next(page, writer, "NextVersionIdMarker", lambda version: version.version_id),
        leaf("MaxKeys", question.limit),
        leaf("EncodingType", writer.encoding),
        writer.key("Delimiter", question.delimiter or None),
        flag("IsTruncated", page.truncated),
        *[_version(entry, writer, owner(request.account)) for entry in entries],
        *writer.prefixes(page),
    )


def list_uploads(desk: Desk, request: S3Request) -> Response:
    """ListMultipartUploads."""
    bucket, writer = desk.bucket(request), _writer(request)
    question = _question(request, "max-uploads", request.query.get("key-marker", ""), "upload-id-marker")
    page = desk.store.listings.uploads(bucket, question)
    entries = [entry for entry in page.entries if isinstance(entry, Upload)]
    return answer(
        "ListMultipartUploadsResult",
        leaf("Bucket", bucket.name),
        writer.key("KeyMarker", question.after),
        leaf("UploadIdMarker", question.within),
        *_next(page, writer, "NextUploadIdMarker", lambda upload: upload.id),
        writer.key("Prefix", question.prefix),
        writer.key("Delimiter", question.delimiter or None),
        leaf("MaxUploads", question.limit),
        leaf("EncodingType", writer.encoding),
        flag("IsTruncated", page.truncated),
        *[_upload(entry, writer, request.account) for entry in entries],
        *writer.prefixes(page),
    )


def _writer(request: S3Request) -> Writer:
    encoding = request.query.get("encoding-type")
    if encoding not in (None, "url"):
        raise argument("encoding-type", encoding or "", "url")
    return Writer(encoding)


def _question(request: S3Request, limit: str, after: str, within: str = "") -> Question:
    if within and request.query.get(within) and not after:
        raise argument(within, request.query[within], "given together with key-marker")
    return Question(
        prefix=request.query.get("prefix", ""),
        delimiter=request.query.get("delimiter", ""),
        limit=request.number(limit, _PAGE, 0, _PAGE),
        after=after,
        within=request.query.get(within, ""),
    )


def _last(page: Rolled[R]) -> str:
    entry = page.entries[-1]
    return entry.decode() if isinstance(entry, bytes) else entry.key


def _next(page: Rolled[R], writer: Writer, name: str, within: Callable[[R], str]) -> list[Markup]:
    """Return the markers of the next page."""
    if not page.truncated:
        return []
    entry = page.entries[-1]
    marker = NONE if isinstance(entry, bytes) else leaf(name, within(entry))
    return [writer.key("NextKeyMarker", _last(page)), marker]


def _contents(page: Rolled[Version], writer: Writer, shown_owner: Markup) -> list[Markup]:
    return [
        node(
            "Contents",
            writer.key("Key", entry.key),
            leaf("LastModified", xml_time(entry.modified_at)),
            leaf("ETag", quoted(entry.etag)),
            *_algorithms(entry),
            leaf("Size", entry.size),
            shown_owner,
            leaf("StorageClass", entry.attributes.headers.get(STORAGE_CLASS, "STANDARD")),
        )
        for entry in page.entries
        if isinstance(entry, Version)
    ]


def _algorithms(version: Version) -> list[Markup]:
    names = [leaf("ChecksumAlgorithm", algorithm.upper()) for algorithm in version.checksums]
    return [*names, leaf("ChecksumType", version.checksum_type)] if names else []


def _version(version: Version, writer: Writer, shown_owner: Markup) -> Markup:
    common = [
        writer.key("Key", version.key),
        leaf("VersionId", version.version_id),
        flag("IsLatest", version.is_current),
        leaf("LastModified", xml_time(version.modified_at)),
        shown_owner,
    ]
    if version.is_marker:
        return node("DeleteMarker", *common)
    return node(
        "Version",
        *common,
        leaf("ETag", quoted(version.etag)),
        *_algorithms(version),
        leaf("Size", version.size),
        leaf("StorageClass", version.attributes.headers.get(STORAGE_CLASS, "STANDARD")),
    )


def _upload(upload: Upload, writer: Writer, account: str) -> Markup:
    return node(
        "Upload",
        writer.key("Key", upload.key),
        leaf("UploadId", upload.id),
        owner(account, "Initiator"),
        owner(account),
        leaf("StorageClass", upload.attributes.headers.get(STORAGE_CLASS, "STANDARD")),
        leaf("Initiated", xml_time(upload.started_at)),
        leaf("ChecksumAlgorithm", upload.algorithm.upper() or None),
        leaf("ChecksumType", upload.checksum_type or None),
    )

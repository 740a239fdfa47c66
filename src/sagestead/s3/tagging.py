"""Tags of buckets and objects."""

from __future__ import annotations

from sagestead.domain.errors import Refusal
from sagestead.objects.model import Text
from sagestead.s3.attributes import OBJECT_TAGS, check_tags, version_headers
from sagestead.s3.desk import Desk
from sagestead.s3.markup import answer, leaf, malformed, node, parse
from sagestead.s3.request import S3Request
from sagestead.wire.http import Response

_BUCKET_TAGS = 50


def get_bucket_tagging(desk: Desk, request: S3Request) -> Response:
    """GetBucketTagging."""
    tags = desk.bucket(request).tags
    if not tags:
        raise Refusal("The bucket has no tags.", code="NoSuchTagSet", status=404)
    return _tagging(tags, [])


def put_bucket_tagging(desk: Desk, request: S3Request, document: bytes) -> Response:
    """PutBucketTagging."""
    desk.store.buckets.set_tags(desk.bucket(request), _read(document, _BUCKET_TAGS))
    return Response(204)


def delete_bucket_tagging(desk: Desk, request: S3Request) -> Response:
    """DeleteBucketTagging."""
    desk.store.buckets.set_tags(desk.bucket(request), None)
    return Response(204)


def get_object_tagging(desk: Desk, request: S3Request) -> Response:
    """GetObjectTagging."""
    bucket = desk.bucket(request)
    version = desk.store.versions.find(bucket, request.key, request.version_id)
    return _tagging(version.attributes.tags, version_headers(bucket, version))


def put_object_tagging(desk: Desk, request: S3Request, document: bytes) -> Response:
    """PutObjectTagging."""
    bucket = desk.bucket(request)
    tags = _read(document, OBJECT_TAGS)
    version = desk.store.versions.set_tags(bucket, request.key, request.version_id, tags)
    return Response(200, version_headers(bucket, version))


def delete_object_tagging(desk: Desk, request: S3Request) -> Response:
    """DeleteObjectTagging."""
    bucket = desk.bucket(request)
    version = desk.store.versions.set_tags(bucket, request.key, request.version_id, {})
    return Response(204, version_headers(bucket, version))


def _read(document: bytes, most: int) -> Text:
    tag_set = parse(document, "Tagging").find("TagSet")
    if tag_set is None:
        raise malformed("there is no TagSet")
    tags = [(tag.findtext("Key") or "", tag.findtext("Value") or "") for tag in tag_set.iter("Tag")]
    return check_tags(tags, most)


def _tagging(tags: Text, headers: list[tuple[str, str]]) -> Response:
    elements = [node("Tag", leaf("Key", key), leaf("Value", value)) for key, value in sorted(tags.items())]
    return answer("Tagging", node("TagSet", *elements), headers=headers)

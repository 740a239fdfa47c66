"""Operations that delete objects."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import datetime

from sagestead.domain.errors import Refusal
from sagestead.objects.model import Condition
from sagestead.objects.versions import Deletion, Doomed
from sagestead.s3.conditions import delete_condition, entity_tags, http_seconds
from sagestead.s3.desk import Desk
from sagestead.s3.markup import NONE, Markup, answer, leaf, malformed, node, number_of, parse
from sagestead.s3.request import S3Request
from sagestead.wire.http import Response

_MOST = 1000


def delete_object(desk: Desk, request: S3Request) -> Response:
    """DeleteObject."""
    bucket = desk.bucket(request)
    condition = delete_condition(request)
    deletion = desk.store.versions.delete(bucket, request.key, request.version_id, condition)
    headers = []
    if deletion.marker:
        headers.append(("x-amz-delete-marker", "true"))
    if deletion.version_id:
        headers.append(("x-amz-version-id", deletion.version_id))
    return Response(204, headers)


def delete_objects(desk: Desk, request: S3Request, document: bytes) -> Response:
    """DeleteObjects: one transaction, an outcome for each."""
    bucket = desk.bucket(request)
    root = parse(document, "Delete")
    doomed = [_doomed(element) for element in root.iter("Object")]
    if not 1 <= len(doomed) <= _MOST:
        raise malformed(f"{len(doomed)} objects are named; from 1 to {_MOST} can be deleted at once")
    quiet = (root.findtext("Quiet") or "").strip().lower() == "true"
    outcomes = desk.store.versions.delete_all(bucket, doomed)
    pairs = zip(doomed, outcomes, strict=True)
    return answer("DeleteResult", *[_outcome(one, outcome, quiet=quiet) for one, outcome in pairs])


def _doomed(element: ET.Element) -> Doomed:
    key = element.findtext("Key")
    if not key:
        raise malformed("an Object has no Key")
    etag, modified = element.findtext("ETag"), element.findtext("LastModifiedTime")
    condition = Condition(
        if_match=entity_tags(etag) if etag else None,
        size=number_of(element, "Size"),
        modified_at=None if modified is None else _seconds(modified.strip()),
    )
    return Doomed(key, element.findtext("VersionId") or None, condition)


def _seconds(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError):
        seconds = http_seconds(text)
    if seconds is None:
        raise malformed(f"LastModifiedTime {text!r} is not a time")
    return seconds


def _outcome(one: Doomed, outcome: Deletion | Refusal, *, quiet: bool) -> Markup:
    named = (leaf("Key", one.key), leaf("VersionId", one.version_id))
    if isinstance(outcome, Refusal):
        return node("Error", *named, leaf("Code", outcome.code), leaf("Message", outcome.sentence))
    if quiet:
        return NONE
    marker = outcome.version_id if outcome.marker else None
    return node(
        "Deleted",
        *named,
        leaf("DeleteMarker", "true" if outcome.marker else None),
        leaf("DeleteMarkerVersionId", marker),
    )

"""Operations on buckets."""

from __future__ import annotations

import base64
import binascii
import re
import xml.etree.ElementTree as ET

from sagestead.domain.errors import Refusal
from sagestead.objects.refusals import BucketAlreadyOwnedByYou
from sagestead.s3.desk import Desk
from sagestead.s3.markup import NONE, Markup, answer, leaf, malformed, node, parse, text
from sagestead.s3.names import canonical_id, check_bucket_name, owner, xml_time
from sagestead.s3.refused import ABSENT, check_headers, no_configuration, not_here
from sagestead.s3.request import S3Request, argument
from sagestead.wire.http import Response

FIRST_REGION = "us-east-1"
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}")
_MOST_BUCKETS = 10_000
_EMPTY_ANSWERS = {
    "logging": "BucketLoggingStatus",
    "notification": "NotificationConfiguration",
    "accelerate": "AccelerateConfiguration",
}


def list_buckets(desk: Desk, request: S3Request) -> Response:
    """ListBuckets."""
    limit = request.number("max-buckets", _MOST_BUCKETS, 1, _MOST_BUCKETS)
    prefix = request.query.get("prefix", "")
    token = request.query.get("continuation-token")
    after = "" if token is None else read_token(token)
    found = desk.store.buckets.page(request.account, prefix, after, limit + 1)
    shown = found[:limit]
    more = leaf("ContinuationToken", make_token(shown[-1].name)) if len(found) > limit else NONE
    entries = [
        node(
            "Bucket",
            leaf("Name", bucket.name),
            leaf("CreationDate", xml_time(bucket.created_at)),
            leaf("BucketRegion", bucket.region),
        )
        for bucket in shown
    ]
    return answer(
        "ListAllMyBucketsResult",
        owner(request.account),
        node("Buckets", *entries),
        more,
        leaf("Prefix", request.query.get("prefix")),
    )


def create_bucket(desk: Desk, request: S3Request, document: bytes) -> Response:
    """CreateBucket; the bucket belongs to the region of the signature, or of the location constraint."""
    check_bucket_name(request.bucket)
    check_headers(request)
    region = _region_of(request, parse(document, "CreateBucketConfiguration") if document.strip() else None)
    try:
        desk.store.buckets.create(request.account, request.bucket, region)
    except BucketAlreadyOwnedByYou:
        existing = desk.store.buckets.get(request.account, request.bucket)
        if not region == existing.region == FIRST_REGION:
            raise
    return Response(200, [("Location", f"/{request.bucket}")])


def head_bucket(desk: Desk, request: S3Request) -> Response:
    """HeadBucket."""
    bucket = desk.bucket(request)
    return Response(200, [("x-amz-bucket-region", bucket.region), ("x-amz-access-point-alias", "false")])


def delete_bucket(desk: Desk, request: S3Request) -> Response:
    """DeleteBucket; uploads under way go with it."""
    desk.store.blobs.remove(desk.store.buckets.delete(desk.bucket(request)))
    return Response(204)


def get_location(desk: Desk, request: S3Request) -> Response:
    """GetBucketLocation; the first region has an empty constraint."""
    region = desk.bucket(request).region
    return answer("LocationConstraint", text("" if region == FIRST_REGION else region))


def get_versioning(desk: Desk, request: S3Request) -> Response:
    """GetBucketVersioning; a bucket that never had versions answers no status."""
    return answer("VersioningConfiguration", leaf("Status", desk.bucket(request).versioning or None))


def put_versioning(desk: Desk, request: S3Request, document: bytes) -> Response:
    """PutBucketVersioning."""
    bucket = desk.bucket(request)
    root = parse(document, "VersioningConfiguration")
    if root.findtext("MfaDelete") == "Enabled" or request.header("x-amz-mfa") is not None:
        raise not_here("MfaDelete")
    status = root.findtext("Status")
    if status == "Enabled":
        desk.store.buckets.set_versioning(bucket, "Enabled")
    elif status == "Suspended":
        desk.store.buckets.set_versioning(bucket, "Suspended")
    else:
        raise malformed(f"Status {status!r} is neither Enabled nor Suspended")
    return Response()


def get_acl(desk: Desk, request: S3Request) -> Response:
    """GetBucketAcl and GetObjectAcl: the owner has full control, and nobody else any."""
    bucket = desk.bucket(request)
    if request.key:
        desk.store.versions.find(bucket, request.key, request.version_id)
    grantee = (
        '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">'
        f"{leaf('ID', canonical_id(request.account))}{leaf('DisplayName', request.account)}</Grantee>"
    )
    grant = node("Grant", Markup(grantee), leaf("Permission", "FULL_CONTROL"))
    return answer("AccessControlPolicy", owner(request.account), node("AccessControlList", grant))


def get_nothing(desk: Desk, request: S3Request) -> Response:
    """Answer that a configuration which cannot be made is not there."""
    bucket = desk.bucket(request)
    if request.key:
        desk.store.versions.find(bucket, request.key, request.version_id)
    name = next(name for name in request.query if name in ABSENT)
    raise no_configuration(name)


def get_default(desk: Desk, request: S3Request) -> Response:
    """Answer the default of a configuration whose default is an empty document."""
    desk.bucket(request)
    return answer(next(root for name, root in _EMPTY_ANSWERS.items() if name in request.query))


def get_payer(desk: Desk, request: S3Request) -> Response:
    """GetBucketRequestPayment."""
    desk.bucket(request)
    return answer("RequestPaymentConfiguration", leaf("Payer", "BucketOwner"))


def make_token(position: str) -> str:
    """Return an opaque token for a position in a listing."""
    return base64.urlsafe_b64encode(position.encode()).decode()


def read_token(token: str) -> str:
    """Return the position in a token, or refuse the token."""
    try:
        position = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        position = ""
    if not position:
        raise argument("continuation-token", token, "a token that a listing has answered")
    return position


def _region_of(request: S3Request, configuration: ET.Element | None) -> str:
    scope = request.call.principal.region
    if configuration is None:
        return scope
    for child in configuration:
        if child.tag != "LocationConstraint":
            raise not_here(f"{child.tag} in CreateBucketConfiguration")
    region = (configuration.findtext("LocationConstraint") or scope).strip()
    if not _REGION.fullmatch(region):
        raise Refusal(
            f"The specified location constraint {region!r} is not valid: name a region such as eu-west-1.",
            code="InvalidLocationConstraint",
        )
    if region != scope != FIRST_REGION:
        raise Refusal(
            f"The {region} location constraint is incompatible for the region {scope} of the signature.",
            code="IllegalLocationConstraintException",
        )
    return region

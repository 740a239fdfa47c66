"""What this server does not carry out: refused by name, never ignored.

Rule: reading a configuration that nobody can have made answers that there is none, as S3 does; making one is
refused with the name of the sub-resource, parameter or header.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sagestead.domain.errors import Refusal
from sagestead.s3.request import S3Request, argument

ABSENT: Mapping[str, str] = MappingProxyType(
    {
        "policy": "NoSuchBucketPolicy",
        "policyStatus": "NoSuchBucketPolicy",
        "cors": "NoSuchCORSConfiguration",
        "lifecycle": "NoSuchLifecycleConfiguration",
        "encryption": "ServerSideEncryptionConfigurationNotFoundError",
        "website": "NoSuchWebsiteConfiguration",
        "replication": "ReplicationConfigurationNotFoundError",
        "object-lock": "ObjectLockConfigurationNotFoundError",
        "publicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
        "ownershipControls": "OwnershipControlsNotFoundError",
        "intelligent-tiering": "NoSuchConfiguration",
        "inventory": "NoSuchConfiguration",
        "analytics": "NoSuchConfiguration",
        "metrics": "NoSuchConfiguration",
        "retention": "NoSuchObjectLockConfiguration",
        "legal-hold": "NoSuchObjectLockConfiguration",
    }
)

_ACLS = frozenset({"private", "bucket-owner-full-control"})
_OTHER_ACLS = frozenset(
    {
        "public-read",
        "public-read-write",
        "authenticated-read",
        "aws-exec-read",
        "bucket-owner-read",
        "log-delivery-write",
    }
)
_HEADER_FAMILIES = (
    "x-amz-grant-",
    "x-amz-object-lock-",
    "x-amz-bucket-object-lock-",
    "x-amz-server-side-encryption-customer-",
    "x-amz-copy-source-server-side-encryption-customer-",
    "x-amz-write-offset-",
)


def not_here(what: str) -> Refusal:
    """Return the refusal of something that this server does not do.

    Its status is 400 where S3 answers 501: many clients send a request again and again after any 5xx.
    """
    return Refusal(
        f"{what} is not implemented by this server; docs/compatibility.md lists what is.",
        code="NotImplemented",
    )


def no_configuration(name: str) -> Refusal:
    """Return the answer that there is no such configuration."""
    return Refusal(f"There is no {name} configuration.", code=ABSENT[name], status=404)


def check_headers(request: S3Request) -> None:
    """Refuse headers that ask for what is not done."""
    for family in _HEADER_FAMILIES:
        for name, value in request.headers(family):
            if (name, value.lower()) != ("x-amz-bucket-object-lock-enabled", "false"):
                raise not_here(f"The header {name}")
    acl = request.header("x-amz-acl")
    if acl is not None and acl not in _ACLS | _OTHER_ACLS:
        raise argument("x-amz-acl", acl, "private or bucket-owner-full-control")
    if acl in _OTHER_ACLS:
        raise not_here(f"The header x-amz-acl with {acl!r}")
    ownership = request.header("x-amz-object-ownership")
    if ownership not in (None, "BucketOwnerEnforced"):
        raise not_here(f"The header x-amz-object-ownership with {ownership!r}")

"""Bucket names and owners, as S3 writes them."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from email.utils import formatdate
from urllib.parse import quote

from sagestead.domain.errors import Refusal
from sagestead.s3.markup import Markup, leaf, node

_LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_BUCKET = re.compile(rf"(?=.{{3,63}}\Z){_LABEL}(\.{_LABEL})*")
_ADDRESS = re.compile(r"[0-9]+(\.[0-9]+){3}")
_RESERVED_BEGINNINGS = ("xn--", "sthree-")
_RESERVED_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def check_bucket_name(name: str) -> None:
    """Refuse a name that S3's rules for general-purpose buckets do not allow."""
    if (
        not _BUCKET.fullmatch(name)
        or _ADDRESS.fullmatch(name)
        or name.startswith(_RESERVED_BEGINNINGS)
        or name.endswith(_RESERVED_ENDS)
    ):
        raise Refusal(
            f"The bucket name {name!r} is not valid: 3 to 63 lower-case letters, digits, dots and hyphens, a "
            "letter or digit at both ends and on both sides of a dot, not like an IP address.",
            code="InvalidBucketName",
            details={"BucketName": name},
        )


def canonical_id(account: str) -> str:
    """Return the canonical user id of an account: 64 hexadecimal digits."""
    return hashlib.sha256(account.encode()).hexdigest()


def owner(account: str, element: str = "Owner") -> Markup:
    """Return the account as an owner or initiator."""
    return node(element, leaf("ID", canonical_id(account)), leaf("DisplayName", account))


def xml_time(seconds: float) -> str:
    """Return a time as S3's documents write it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def http_time(seconds: float) -> str:
    """Return a time as headers write it."""
    return formatdate(int(seconds), usegmt=True)


def quoted(etag: str) -> str:
    """Return an entity tag with its quotes."""
    return f'"{etag}"'


def url_encoded(text: str) -> str:
    """Return a key as `encoding-type=url` writes it."""
    return quote(text, safe="/*")

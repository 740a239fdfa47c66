"""Signature version 2 in the query string, for S3 only.

Rule: boto3 presigns S3 URLs so in us-east-1. That signature leaves most query parameters out; a request with
a parameter that is neither covered nor known to be harmless is refused.
Source: Amazon S3 documentation, "Signing and authenticating REST requests".
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from sagestead.wire.http import Request
from sagestead.wire.sigv4.canonical import Pairs
from sagestead.wire.sigv4.faults import Breach, Fault
from sagestead.wire.sigv4.moments import extended

_KEY, _SIGNATURE, _EXPIRES = b"AWSAccessKeyId", b"Signature", b"Expires"
_OURS = frozenset({_KEY, _SIGNATURE, _EXPIRES})
_SIGNED = frozenset(
    b"accelerate acl analytics cors defaultObjectAcl delete inventory lifecycle location logging metrics "
    b"notification object-lock partNumber policy replication requestPayment response-cache-control "
    b"response-content-disposition response-content-encoding response-content-language response-content-type "
    b"response-expires restore select select-type storageClass tagging torrent uploadId uploads versionId "
    b"versioning versions website".split()
)
_HARMLESS = frozenset(
    b"content-md5 content-type continuation-token delimiter encoding-type fetch-owner key-marker list-type "
    b"marker max-keys max-parts max-uploads part-number-marker prefix start-after upload-id-marker "
    b"version-id-marker x-id".split()
)
_TOKEN = b"x-amz-security-token"
_SECONDS = re.compile(rb"[0-9]{1,11}")


@dataclass(frozen=True, slots=True)
class Version2:
    """A version 2 query signature, and the text that it covers."""

    access_key_id: str
    token: bytes | None
    signature: bytes
    text: bytes

    def expected(self, secret: str, _payload_hash: bytes) -> bytes:
        """Return the signature that this secret gives (base64); it does not cover the payload."""
        return base64.b64encode(hmac.digest(secret.encode(), self.text, "sha1"))


def is_version2(pairs: Pairs) -> bool:
    """True when the query claims a version 2 signature."""
    return any(name in {_KEY, _SIGNATURE} for name, _ in pairs)


def parse_version2(request: Request, fields: Mapping[bytes, bytes], pairs: Pairs, now: float) -> Version2:
    """Read the signature and check its time.

    Raises:
        Breach: a parameter is missing, repeated, malformed or not covered; or the request has expired.
    """
    ours = [pair for pair in pairs if pair[0] in _OURS]
    given = dict(ours)
    if len(ours) != len(_OURS) or not all(given.get(name) for name in _OURS):
        raise Breach(
            Fault.UNSIGNED,
            "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters, "
            "each once.",
        )
    _check_covered(pairs)
    _check_time(given[_EXPIRES], now)
    amazon = _amazon_fields(fields, pairs)
    lines = [
        request.method.encode(),
        fields.get(b"content-md5", b""),
        fields.get(b"content-type", b""),
        given[_EXPIRES],
    ]
    named = b"".join(b"%b:%b\n" % (name, amazon[name]) for name in sorted(amazon))
    text = b"\n".join([*lines, named + _resource(request.raw_path, pairs)])
    key = given[_KEY].decode("latin-1")
    return Version2(key, amazon.get(_TOKEN), given[_SIGNATURE], text)


def _check_covered(pairs: Pairs) -> None:
    for name, _ in pairs:
        known = name in _OURS or name in _SIGNED or name in _HARMLESS
        if not known and not name.lower().startswith(b"x-amz-"):
            raise Breach(
                Fault.SYNTAX,
                f"Signature version 2 does not cover the query parameter '{name[:64].decode('latin-1')}'; "
                "sign the URL with version 4.",
                in_query=True,
            )


def _check_time(expires: bytes, now: float) -> None:
    if not _SECONDS.fullmatch(expires):
        raise Breach(Fault.UNSIGNED, "Invalid date (should be seconds since epoch)")
    if now > int(expires):
        details = {"Expires": extended(int(expires)), "ServerTime": extended(now)}
        raise Breach(Fault.EXPIRED, details=details, in_query=True)


def _amazon_fields(fields: Mapping[bytes, bytes], pairs: Pairs) -> dict[bytes, bytes]:
    """Return the x-amz- fields; a presigner moves headers into the query, where they count as headers."""
    found = {name.lower(): value for name, value in pairs if name.lower().startswith(b"x-amz-")}
    found.update({name: value for name, value in fields.items() if name.startswith(b"x-amz-")})
    return found


def _resource(raw_path: bytes, pairs: Pairs) -> bytes:
    covered = sorted((name, value) for name, value in pairs if name in _SIGNED)
    parts = [b"%b=%b" % pair if pair[1] else pair[0] for pair in covered]
    return raw_path + (b"?" + b"&".join(parts) if parts else b"")

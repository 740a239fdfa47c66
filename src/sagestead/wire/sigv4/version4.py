"""What a version 4 signature covers."""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from sagestead.wire.sigv4.keys import seal


class Version4(NamedTuple):
    """The signed text in its parts.

    Attributes:
        stamp: time of signing.
        scope: date/region/service/aws4_request.
        head: the canonical request up to the payload's hash.
    """

    stamp: bytes
    scope: bytes
    head: bytes

    def text(self, payload_hash: bytes) -> bytes:
        """Return the string to sign."""
        digest = sha256(self.head + payload_hash).hexdigest().encode()
        return b"\n".join((b"AWS4-HMAC-SHA256", self.stamp, self.scope, digest))

    def expected(self, secret: str, payload_hash: bytes) -> bytes:
        """Return the signature that this secret gives (hex)."""
        return seal(secret, self.scope).sign(self.text(payload_hash))

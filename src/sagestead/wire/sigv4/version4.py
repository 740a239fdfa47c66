"""What a version 4 signature covers."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from sagestead.wire.sigv4.keys import signing_key


@dataclass(frozen=True, slots=True)
class Version4:
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
        digest = hashlib.sha256(self.head + payload_hash).hexdigest().encode()
        return b"AWS4-HMAC-SHA256\n%b\n%b\n%b" % (self.stamp, self.scope, digest)

    def expected(self, secret: str, payload_hash: bytes) -> bytes:
        """Return the signature that this secret gives (hex)."""
        key = signing_key(secret, self.scope)
        return hmac.digest(key, self.text(payload_hash), "sha256").hex().encode()

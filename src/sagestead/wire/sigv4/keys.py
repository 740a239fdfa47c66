"""Signing keys, derived once for each secret and scope.

Rule: what is cached is bounded and keyed by the secret itself, so that a rotated secret never meets an old
key; whether a credential is still good is never cached here.
"""

from __future__ import annotations

import hmac
from functools import lru_cache

PLACEHOLDER_SECRET = "no such key, and the same work"  # noqa: S105 - signs nothing that is ever accepted


@lru_cache(maxsize=1024)
def signing_key(secret: str, scope: bytes) -> bytes:
    """Return the key of a secret for `date/region/service/aws4_request` (32 bytes)."""
    key = b"AWS4" + secret.encode()
    for part in scope.split(b"/"):
        key = hmac.digest(key, part, "sha256")
    return key

"""Signing keys, and what signs with them, derived once for each secret and scope.

Rule: what is cached is bounded and keyed by the secret itself, so that a rotated secret never meets an old
key; whether a credential is still good is never cached here.
"""

from __future__ import annotations

import hmac
from binascii import hexlify
from functools import lru_cache
from hashlib import sha256

PLACEHOLDER_SECRET = "no such key, and the same work"  # noqa: S105 - signs nothing that is ever accepted


_BLOCK = 64
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


class Seal:
    """HMAC-SHA256 (RFC 2104) with one key, whose two blocks are hashed once and not for every text."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = key.ljust(_BLOCK, b"\0")
        self._inner = sha256(block.translate(_INNER))
        self._outer = sha256(block.translate(_OUTER))

    def sign(self, text: bytes) -> bytes:
        """Return the signature of a text in hex."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return hexlify(outer.digest())


@lru_cache(maxsize=1024)
def seal(secret: str, scope: bytes) -> Seal:
    """Return what signs for a secret and `date/region/service/aws4_request`."""
    return Seal(signing_key(secret, scope))


@lru_cache(maxsize=1024)
def signing_key(secret: str, scope: bytes) -> bytes:
    """Return the key of a secret for `date/region/service/aws4_request` (32 bytes)."""
    key = b"AWS4" + secret.encode()
    for part in scope.split(b"/"):
        key = hmac.digest(key, part, "sha256")
    return key

"""S3's five checksums: computed as bytes pass by, and combined from those of parts.

Rule: names are S3's in lower case (`crc32`, `crc32c`, `crc64nvme`, `sha1`, `sha256`); values are base64 of
the big-endian digest, as S3 writes them.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from awscrt import checksums as crt


class Digest(Protocol):
    """What hashlib's objects can do."""

    def update(self, data: bytes, /) -> None:
        """Take in more bytes."""
        ...

    def digest(self) -> bytes:
        """Return the digest of the bytes so far."""
        ...


class _Crc:
    def __init__(self, function: Callable[[bytes, int], int], width: int) -> None:
        self._function = function
        self._width = width
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._width, "big")


_NEW: Mapping[str, Callable[[], Digest]] = MappingProxyType(
    {
        "crc32": lambda: _Crc(zlib.crc32, 4),
        "crc32c": lambda: _Crc(crt.crc32c, 4),
        "crc64nvme": lambda: _Crc(crt.crc64nvme, 8),
        "sha1": lambda: hashlib.sha1(usedforsecurity=False),
        "sha256": hashlib.sha256,
    }
)
_COMBINE: Mapping[str, Callable[[int, int, int], int]] = MappingProxyType(
    {"crc32": crt.combine_crc32, "crc32c": crt.combine_crc32c, "crc64nvme": crt.combine_crc64nvme}
)
_WIDTH: Mapping[str, int] = MappingProxyType(
    {"crc32": 4, "crc32c": 4, "crc64nvme": 8, "sha1": 20, "sha256": 32}
)

ALGORITHMS = tuple(_NEW)
COMBINABLE = frozenset(_COMBINE)


def new_digest(algorithm: str) -> Digest:
    """Return an empty digest of one of `ALGORITHMS`."""
    return _NEW[algorithm]()


def encode(digest: bytes) -> str:
    """Return a digest as S3 writes it."""
    return base64.b64encode(digest).decode()


def is_value(algorithm: str, value: str) -> bool:
    """True when `value` is base64 of a digest of the right width."""
    try:
        return len(base64.b64decode(value, validate=True)) == _WIDTH[algorithm]
    except ValueError:
        return False


def composite(algorithm: str, parts: Sequence[str]) -> str:
    """Return the checksum of the parts' checksums, followed by `-` and their number."""
    digest = new_digest(algorithm)
    for part in parts:
        digest.update(base64.b64decode(part))
    return f"{encode(digest.digest())}-{len(parts)}"


def full_object(algorithm: str, parts: Iterable[tuple[str, int]]) -> str:
    """Return the checksum of the whole from (checksum, size in bytes) of each part; CRCs only."""
    combine = _COMBINE[algorithm]
    value = 0
    for part, size in parts:
        value = combine(value, int.from_bytes(base64.b64decode(part), "big"), size)
    return encode(value.to_bytes(_WIDTH[algorithm], "big"))

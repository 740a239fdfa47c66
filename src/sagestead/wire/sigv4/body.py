"""Bodies that handlers may trust.

Rule: reading to the end without an exception means that every byte was verified; a handler makes nothing
visible before that.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Protocol

from sagestead.domain.errors import Refusal
from sagestead.wire.http import Body

_NO_TRAILERS: dict[str, str] = {}


class Sieve(Protocol):
    """Checks and decodes a body on its way."""

    @property
    def trailers(self) -> dict[str, str]:
        """Trailers by lower-case name, complete after `finish`."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Return what the next bytes decode to."""
        ...

    def finish(self) -> None:
        """Raise a Refusal unless the body was whole and right."""
        ...


class WholeCheck:
    """A body without chunks: length and SHA-256 are checked at its end.

    Args:
        digest: SHA-256 in hex; None for an unsigned payload.
        length: declared length in bytes; None when it was not declared.
    """

    def __init__(self, digest: bytes | None, length: int | None) -> None:
        self._digest = digest
        self._length = length
        self._seen = 0
        self._hash = hashlib.sha256()

    @property
    def trailers(self) -> dict[str, str]:
        """Always empty."""
        return _NO_TRAILERS

    def feed(self, data: bytes) -> bytes:
        """Count and hash."""
        self._seen += len(data)
        if self._digest is not None:
            self._hash.update(data)
        return data

    def finish(self) -> None:
        """Compare.

        Raises:
            Refusal: `IncompleteBody` or `XAmzContentSHA256Mismatch`.
        """
        if self._length is not None and self._seen != self._length:
            raise Refusal(
                "You did not provide the number of bytes specified by the Content-Length HTTP header.",
                code="IncompleteBody",
            )
        computed = self._hash.hexdigest()
        if self._digest is not None and computed.encode() != self._digest:
            raise Refusal(
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
                code="XAmzContentSHA256Mismatch",
                details={
                    "ClientComputedContentSHA256": self._digest.decode(),
                    "S3ComputedContentSHA256": computed,
                },
            )


class VerifiedBody:
    """The body of a verified S3 request, decoded and checked while it is read."""

    def __init__(self, source: Body, sieve: Sieve) -> None:
        self._source = source
        self._sieve = sieve

    @property
    def trailers(self) -> dict[str, str]:
        """Trailers that x-amz-trailer announced, by lower-case name; complete once the body was read."""
        return self._sieve.trailers

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the decoded bytes as they arrive.

        Raises:
            Refusal: at the latest at the end, when anything about the body is wrong.
        """
        async for data in self._source.chunks():
            decoded = self._sieve.feed(data)
            if decoded:
                yield decoded
        self._sieve.finish()

    async def read(self, limit: int) -> bytes:
        """Return the whole body.

        Raises:
            Refusal: 413 beyond `limit` bytes, and whatever `chunks` raises.
        """
        whole = bytearray()
        async for data in self.chunks():
            whole += data
            if len(whole) > limit:
                raise Refusal(
                    f"Your request was too big: at most {limit} bytes are read here.",
                    code="MaxMessageLengthExceeded",
                    status=413,
                )
        return bytes(whole)

    def whole(self) -> None:
        """Return None: the body is verified while it is read."""


class WholeBody:
    """The body of a verified request of any other service: already read, already part of the signature."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes at once."""
        if self._data:
            yield self._data

    async def read(self, limit: int) -> bytes:
        """Return the bytes; raise a 413 Refusal beyond `limit`."""
        if len(self._data) > limit:
            raise Refusal(
                f"The body has {len(self._data)} bytes; at most {limit} are accepted here.",
                code="RequestEntityTooLarge",
                status=413,
            )
        return self._data

    def whole(self) -> bytes:
        """Return the bytes."""
        return self._data

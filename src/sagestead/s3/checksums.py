"""Checksums that a request names: which to compute, what they must be, how they are answered.

Rule: a checksum that the client names is verified before anything becomes visible, whether it came in a
header or behind the body.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from sagestead.domain.errors import Refusal
from sagestead.objects.digests import ALGORITHMS, encode, is_value, new_digest
from sagestead.objects.model import ChecksumType, Text
from sagestead.objects.refusals import BadDigest
from sagestead.s3.markup import Markup, leaf
from sagestead.s3.refused import not_here
from sagestead.s3.request import S3Request

PREFIX = "x-amz-checksum-"
_NOT_VALUES = frozenset({"x-amz-checksum-mode", "x-amz-checksum-type", "x-amz-checksum-algorithm"})


@dataclass(frozen=True, slots=True)
class Declared:
    """What a request says of its body.

    Attributes:
        md5: raw, from Content-MD5.
        values: algorithm -> value; None: it follows behind the body.
    """

    md5: bytes | None
    values: Mapping[str, str | None]

    @property
    def algorithms(self) -> frozenset[str]:
        """What must be computed."""
        return frozenset(self.values)

    def check(self, md5: bytes, checksums: Text, trailers: Text) -> None:
        """Compare with what the body really has."""
        if self.md5 is not None and self.md5 != md5:
            raise BadDigest("The Content-MD5 you specified did not match what we received.")
        for algorithm, value in self.values.items():
            wanted = trailers.get(PREFIX + algorithm, "") if value is None else value
            if checksums[algorithm] != wanted.strip():
                raise BadDigest(
                    f"The {algorithm.upper()} you specified did not match the calculated checksum."
                )

    def check_document(self, body: bytes, trailers: Text) -> None:
        """Compare with a body that is in memory."""
        made = {}
        for algorithm in self.values:
            digest = new_digest(algorithm)
            digest.update(body)
            made[algorithm] = encode(digest.digest())
        self.check(hashlib.md5(body, usedforsecurity=False).digest(), made, trailers)


def declared(request: S3Request) -> Declared:
    """Read the checksums that a request names."""
    values: dict[str, str | None] = {}
    for name, value in request.headers(PREFIX):
        if name in _NOT_VALUES:
            continue
        algorithm = algorithm_of(name.removeprefix(PREFIX))
        if not is_value(algorithm, value):
            raise _invalid(f"Value for {name} header is invalid: {value!r} is not its base64.")
        values[algorithm] = value
    for name in (request.header("x-amz-trailer") or "").lower().split(","):
        if name.strip().startswith(PREFIX):
            values[algorithm_of(name.strip().removeprefix(PREFIX))] = None
    if len(values) > 1:
        raise _invalid("Expecting a single x-amz-checksum- header. Multiple checksum types are not allowed.")
    wanted = request.header("x-amz-sdk-checksum-algorithm")
    if wanted and algorithm_of(wanted) not in values and request.header("content-md5") is None:
        raise _invalid(
            f"x-amz-sdk-checksum-algorithm says {wanted!r}, but no corresponding x-amz-checksum-* or "
            "x-amz-trailer header was found."
        )
    return Declared(_content_md5(request), values)


def algorithm_of(text: str) -> str:
    """Return an algorithm's name in lower case, or refuse it."""
    if text.lower() not in ALGORITHMS:
        raise not_here(f"The checksum algorithm {text!r}")
    return text.lower()


def headers_of(checksums: Text, checksum_type: ChecksumType) -> list[tuple[str, str]]:
    """Return an object's checksums as headers."""
    headers = [(PREFIX + algorithm, value) for algorithm, value in checksums.items()]
    return [*headers, ("x-amz-checksum-type", checksum_type)] if headers and checksum_type else headers


def elements_of(checksums: Text, checksum_type: ChecksumType = "") -> Markup:
    """Return checksums as elements."""
    elements = [leaf(f"Checksum{algorithm.upper()}", value) for algorithm, value in checksums.items()]
    return Markup("".join([*elements, leaf("ChecksumType", (checksums and checksum_type) or None)]))


def _content_md5(request: S3Request) -> bytes | None:
    text = request.header("content-md5")
    if text is None:
        return None
    try:
        digest = base64.b64decode(text, validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != hashlib.md5(usedforsecurity=False).digest_size:
        raise Refusal(f"The Content-MD5 {text!r} is not base64 of 16 bytes.", code="InvalidDigest")
    return digest


def _invalid(sentence: str) -> Refusal:
    return Refusal(sentence, code="InvalidRequest")

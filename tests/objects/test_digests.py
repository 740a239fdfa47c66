"""Checksums: published check values, and combination equal to computation."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagestead.objects.digests import COMBINABLE, encode, full_object, is_value, new_digest


def checksum(algorithm: str, data: bytes) -> str:
    digest = new_digest(algorithm)
    digest.update(data)
    return encode(digest.digest())


@pytest.mark.parametrize(
    ("algorithm", "value"),
    [
        ("crc32", "cbf43926"),
        ("crc32c", "e3069283"),
        ("crc64nvme", "ae8b14860a799888"),
        ("sha1", "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
        ("sha256", "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
    ],
)
def test_check_values_of_123456789(algorithm: str, value: str) -> None:
    assert base64.b64decode(checksum(algorithm, b"123456789")).hex() == value


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5), st.sampled_from(sorted(COMBINABLE)))
def test_the_checksum_of_the_whole_follows_from_those_of_the_parts(
    parts: list[bytes], algorithm: str
) -> None:
    combined = full_object(algorithm, [(checksum(algorithm, part), len(part)) for part in parts])
    assert combined == checksum(algorithm, b"".join(parts))


@pytest.mark.parametrize("value", ["", "AAAA", "AAAAAA==x", "ÄÄÄÄÄÄ==", "AAAAAAAA"])
def test_what_is_no_crc32(value: str) -> None:
    assert not is_value("crc32", value)

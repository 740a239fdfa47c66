"""Signature version 4 in the query string: presigned requests.

Rule: the six parameters are there exactly once; the lifetime is between one second and seven days.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sagestead.wire.sigv4.canonical import Pairs
from sagestead.wire.sigv4.faults import Breach, Fault
from sagestead.wire.sigv4.header import ALGORITHM, VERSION_4A, Signer, signed_headers
from sagestead.wire.sigv4.moments import seconds

SIGNATURE = b"X-Amz-Signature"
TOKEN = b"X-Amz-Security-Token"
DIGEST = b"X-Amz-Content-Sha256"

_NEEDED = (
    b"X-Amz-Algorithm",
    b"X-Amz-Credential",
    b"X-Amz-Date",
    b"X-Amz-Expires",
    b"X-Amz-SignedHeaders",
    SIGNATURE,
)
_OURS = frozenset({*_NEEDED, TOKEN, DIGEST})
_MARKS = frozenset({b"X-Amz-Algorithm", b"X-Amz-Credential", SIGNATURE})
_DIGITS = re.compile(rb"[0-9]{1,12}")
_WEEK = 604_800
_ALL_SIX = (
    "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
    "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
)


@dataclass(frozen=True, slots=True)
class Presigned:
    """A query signature. `lifetime` in seconds; `token` None when there is none."""

    signer: Signer
    stamp: bytes
    lifetime: int
    signature: bytes
    token: bytes | None


def is_presigned(pairs: Pairs) -> bool:
    """True when the query claims a version 4 signature."""
    return any(name in _MARKS for name, _ in pairs)


def parse_presigned(pairs: Pairs) -> Presigned:
    """Read the signature from decoded query pairs.

    Raises:
        Breach: a parameter is missing, repeated or malformed.
    """
    given: dict[bytes, bytes] = {}
    for name, value in pairs:
        if name in _OURS:
            if name in given:
                raise _wrong(f"The query gives {name.decode()} more than once.")
            given[name] = value
    if not all(given.get(name) for name in _NEEDED):
        raise _wrong(_ALL_SIX)
    _check_algorithm(given[b"X-Amz-Algorithm"])
    try:
        signer = Signer(given[b"X-Amz-Credential"], signed_headers(given[b"X-Amz-SignedHeaders"]))
        seconds(given[b"X-Amz-Date"])
    except Breach as breach:
        raise Breach(breach.fault, breach.sentence, in_query=True) from None
    lifetime = _lifetime(given[b"X-Amz-Expires"])
    return Presigned(signer, given[b"X-Amz-Date"], lifetime, given[SIGNATURE], given.get(TOKEN))


def _check_algorithm(algorithm: bytes) -> None:
    if algorithm == ALGORITHM:
        return
    named = " (signature version 4a is not accepted here)" if algorithm == VERSION_4A else ""
    raise _wrong(f'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"{named}')


def _lifetime(text: bytes) -> int:
    if text.startswith(b"-") and _DIGITS.fullmatch(text[1:]):
        raise _wrong("X-Amz-Expires must be non-negative")
    if text.isdigit() and int(text[:13]) > _WEEK:
        raise _wrong(
            "X-Amz-Expires must be less than a week (in seconds); "
            f"that is, the given X-Amz-Expires must be less than {_WEEK} seconds"
        )
    if not _DIGITS.fullmatch(text):
        raise _wrong("X-Amz-Expires should be a number")
    if int(text) == 0:
        raise _wrong("X-Amz-Expires must be at least one second")
    return int(text)


def _wrong(sentence: str) -> Breach:
    return Breach(Fault.SYNTAX, sentence, in_query=True)

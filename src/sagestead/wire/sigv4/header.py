"""The Authorization header of signature version 4.

Rule: three parameters, each exactly once; unknown ones are passed over, everything else that does not read
as `key=value` is refused. No value of the header is repeated in an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from sagestead.wire.sigv4.canonical import SignedHeaders
from sagestead.wire.sigv4.faults import Breach, Fault

ALGORITHM = b"AWS4-HMAC-SHA256"
VERSION_4A = b"AWS4-ECDSA-P256-SHA256"

_LONGEST = 8192
_CACHED_LENGTH = 1024
_SIGNATURE = b"Signature="
_ANY = b"-"
_HEX = 64
_NAMES = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+(;[a-z0-9!#$%&'*+.^_`|~-]+)*")
_WORD = re.compile(rb"[A-Za-z0-9-]{1,32}")
_EQUAL = "Authorization header holds a part that is not a valid key=value pair (missing equal-sign)."


@dataclass(frozen=True, slots=True)
class Signer:
    """What a signature says of itself: who signed, and which headers."""

    credential: bytes
    headers: SignedHeaders


def parse_authorization(value: bytes) -> tuple[Signer, bytes]:
    """Return the signer and the signature.

    Raises:
        Breach: the header is not a well-formed AWS4-HMAC-SHA256 authorization.
    """
    tail = value[-_HEX:]
    if len(value) <= _CACHED_LENGTH and tail.isalnum():
        signer = _cached(value[:-_HEX])
        if signer is not None:
            return signer, tail
    if len(value) > _LONGEST:
        raise Breach(Fault.SYNTAX, f"Authorization header is longer than {_LONGEST} bytes.")
    return _parse(value)


@lru_cache(maxsize=1024)
def _cached(prefix: bytes) -> Signer | None:
    """Return the signer of a header that goes on with the signature and nothing else; None if it does not."""
    if not prefix.endswith(_SIGNATURE):
        return None
    signer, what_follows = _parse(prefix + _ANY)
    return signer if what_follows == _ANY else None


def _parse(value: bytes) -> tuple[Signer, bytes]:
    algorithm, parameters = _split(value)
    if algorithm != ALGORITHM:
        raise unsupported(algorithm)
    needed = (b"Credential", b"Signature", b"SignedHeaders")
    missing = [name.decode() for name in needed if not parameters.get(name)]
    if missing:
        sentences = [f"Authorization header requires '{name}' parameter." for name in missing]
        raise Breach(Fault.SYNTAX, " ".join([*sentences, f"Authorization={ALGORITHM.decode()}"]))
    signer = Signer(parameters[b"Credential"], signed_headers(parameters[b"SignedHeaders"]))
    return signer, parameters[b"Signature"]


def _split(value: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    if not value.isascii():
        raise Breach(Fault.SYNTAX, "Authorization header holds bytes outside of ASCII.")
    algorithm, _, rest = value.replace(b"\t", b" ").strip().partition(b" ")
    parameters: dict[bytes, bytes] = {}
    if algorithm == b"AWS":
        raise unsupported(algorithm)
    for part in rest.split(b",") if rest.strip() else ():
        name, equal, text = part.strip().partition(b"=")
        if not equal:
            raise Breach(Fault.SYNTAX, _EQUAL)
        if b"=" in text:
            raise Breach(Fault.SYNTAX, "Authorization header holds a part with more than one equal-sign.")
        if name in parameters:
            raise Breach(Fault.SYNTAX, "Authorization header gives a parameter more than once.")
        parameters[name] = text
    return algorithm, parameters


def signed_headers(signed: bytes) -> SignedHeaders:
    """Return what a SignedHeaders list asks for.

    Raises:
        Breach: as `header_names`.
    """
    read = _listed if len(signed) <= _CACHED_LENGTH else _listed.__wrapped__
    return read(signed)


@lru_cache(maxsize=256)
def _listed(signed: bytes) -> SignedHeaders:
    return SignedHeaders(signed, header_names(signed))


def header_names(signed: bytes) -> tuple[bytes, ...]:
    """Return the names of a SignedHeaders list.

    Raises:
        Breach: a name is malformed, in upper case, repeated or out of order, or `host` is missing.
    """
    names = tuple(signed.split(b";"))
    if not _NAMES.fullmatch(signed) or list(names) != sorted(set(names)):
        raise Breach(
            Fault.SYNTAX,
            "SignedHeaders must hold header names in lower case, sorted, each once, joined by ';'.",
        )
    if b"host" not in names:
        raise Breach(
            Fault.SYNTAX, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
        )
    return names


def unsupported(algorithm: bytes) -> Breach:
    """Return the breach that names an algorithm which is not accepted."""
    if algorithm == VERSION_4A:
        return Breach(
            Fault.ALGORITHM,
            f"Unsupported AWS 'algorithm': '{VERSION_4A.decode()}' (signature version 4a). "
            "Please use AWS4-HMAC-SHA256.",
        )
    if algorithm == b"AWS":
        return Breach(
            Fault.ALGORITHM,
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256 "
            "instead of signature version 2.",
        )
    word = f": '{algorithm.decode()}'" if _WORD.fullmatch(algorithm) else ""
    return Breach(Fault.ALGORITHM, f"Unsupported AWS 'algorithm'{word}. Please use AWS4-HMAC-SHA256.")

"""How the payload of an S3 request is covered by its signature.

Rule: x-amz-content-sha256 is read once, here, into a closed enumeration; nobody looks at the text again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from sagestead.wire.sigv4.faults import Breach, Fault

EMPTY_SHA256 = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

_SHA256 = re.compile(rb"[0-9a-f]{64}")


class Mode(Enum):
    """What the signature says about the body; the value is the header's text, except for `SIGNED`."""

    SIGNED = b"<sha256>"
    UNSIGNED = b"UNSIGNED-PAYLOAD"
    CHUNKS = b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    CHUNKS_TRAILER = b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
    UNSIGNED_CHUNKS_TRAILER = b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"


CHUNKED = frozenset({Mode.CHUNKS, Mode.CHUNKS_TRAILER, Mode.UNSIGNED_CHUNKS_TRAILER})
_BY_TEXT = {mode.value: mode for mode in Mode if mode is not Mode.SIGNED}


@dataclass(frozen=True, slots=True)
class Payload:
    """The mode, and the text that stands in the canonical request."""

    mode: Mode
    text: bytes


def parse_payload(text: bytes | None) -> Payload:
    """Read x-amz-content-sha256 of a header-signed S3 request.

    Raises:
        Breach: it is missing, malformed, or a mode that is not served.
    """
    if text is None:
        raise Breach(
            Fault.PAYLOAD,
            "Missing required header for this request: x-amz-content-sha256",
            code="InvalidRequest",
        )
    if _SHA256.fullmatch(text):
        return Payload(Mode.SIGNED, text)
    mode = _BY_TEXT.get(text)
    if mode is not None:
        return Payload(mode, text)
    if text.startswith(b"STREAMING-AWS4-ECDSA-"):
        raise Breach(
            Fault.PAYLOAD,
            "x-amz-content-sha256 asks for STREAMING-AWS4-ECDSA-P256-SHA256 (signature version 4a), which is "
            "not accepted here: sign chunks with STREAMING-AWS4-HMAC-SHA256-PAYLOAD.",
            code="InvalidRequest",
        )
    accepted = ", ".join(known.decode() for known in _BY_TEXT)
    raise Breach(Fault.PAYLOAD, f"x-amz-content-sha256 must be {accepted}, or a valid sha256 value.")


def check_transport(payload: Payload, *, secure: bool, presigned: bool) -> None:
    """Refuse an unsigned payload where the transport does not protect it, and chunks in a presigned request.

    Raises:
        Breach: with the remedy.
    """
    if presigned and payload.mode in CHUNKED:
        name = payload.text.decode()
        raise Breach(Fault.PAYLOAD, f"x-amz-content-sha256 {name} is not accepted in a presigned request.")
    if payload.mode is Mode.UNSIGNED and not presigned and not secure:
        raise Breach(
            Fault.PAYLOAD,
            "UNSIGNED-PAYLOAD is accepted over https only; over http sign the payload's SHA-256.",
            code="InvalidRequest",
        )

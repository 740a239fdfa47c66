"""The comparison: from a claim and a credential to a principal and a trusted body.

Rule: only `identify` makes a principal, of a signature that was found right. Whether the key is unknown,
disabled or merely wrong, the same work is done before the answer; secrets are compared in constant time.
"""

from __future__ import annotations

import hmac
import re
from functools import lru_cache

from sagestead.domain.errors import Refusal
from sagestead.domain.identity import Credential, Principal
from sagestead.wire.http import Request
from sagestead.wire.sigv4.body import Sieve, VerifiedBody, WholeCheck
from sagestead.wire.sigv4.chunked import ChunkDecoder, ChunkSigner, Framing, announced
from sagestead.wire.sigv4.claims import Claim
from sagestead.wire.sigv4.faults import Breach, Fault
from sagestead.wire.sigv4.keys import PLACEHOLDER_SECRET, signing_key
from sagestead.wire.sigv4.payload import CHUNKED, Mode
from sagestead.wire.sigv4.version4 import Version4

_DIGITS = re.compile(r"[0-9]{1,16}")

_principal = lru_cache(maxsize=1024)(Principal)


def settle(claim: Claim, credential: Credential | None, payload_hash: bytes, now: float) -> Principal:
    """Compare the signature and return who signed.

    Args:
        claim: from `read_claim`.
        credential: what the store holds for `claim.access_key_id`.
        payload_hash: S3: the text of x-amz-content-sha256; other services: SHA-256 of the body in hex.
        now: seconds since the epoch.

    Raises:
        Breach: the key is unknown or disabled, its token is missing, foreign or expired, or the signature
            differs.
    """
    known = credential is not None and credential.enabled
    secret = credential.secret if credential is not None and known else PLACEHOLDER_SECRET
    same = hmac.compare_digest(claim.proof.expected(secret, payload_hash), claim.signature)
    if credential is None or not known:
        raise Breach(Fault.KEY, details={"AWSAccessKeyId": claim.access_key_id[:128]})
    _check_token(claim.token, credential, now)
    if not same or (claim.declared is not None and claim.declared != payload_hash):
        raise Breach(Fault.MISMATCH, details=_what_was_signed(claim, payload_hash))
    return identify(claim, credential, now)


def identify(claim: Claim, credential: Credential, now: float) -> Principal:
    """Return whose a right signature is.

    Raises:
        Breach: the key is disabled, or its token is missing, foreign or expired.
    """
    if not credential.enabled:
        raise Breach(Fault.KEY)
    _check_token(claim.token, credential, now)
    return _principal(
        credential.account, credential.arn, credential.access_key_id, claim.region, claim.service
    )


def _check_token(token: bytes | None, credential: Credential, now: float) -> None:
    if credential.session_token is None:
        if token is not None:
            raise Breach(Fault.TOKEN)
        return
    if token is None or not hmac.compare_digest(token, credential.session_token.encode()):
        raise Breach(Fault.KEY if token is None else Fault.TOKEN)
    if credential.expires_at is not None and credential.expires_at <= now:
        raise Breach(Fault.EXPIRED_TOKEN)


def _what_was_signed(claim: Claim, payload_hash: bytes) -> dict[str, str]:
    """Return what a client needs to find its mistake; never a token."""
    details = {"AWSAccessKeyId": claim.access_key_id, "SignatureProvided": claim.signature.decode("latin-1")}
    proof = claim.proof
    if isinstance(proof, Version4):
        details["StringToSign"] = proof.text(payload_hash).decode()
        if claim.token is None:
            details["CanonicalRequest"] = (proof.head + payload_hash).decode("utf-8", "replace")
    return details


def verified_body(request: Request, claim: Claim, credential: Credential) -> tuple[VerifiedBody, int | None]:
    """Return the body of a settled S3 request, and the length of what it decodes to.

    Raises:
        Refusal: 411 when chunks are announced without x-amz-decoded-content-length.
    """
    payload = claim.payload
    if payload is None or payload.mode not in CHUNKED:
        digest = payload.text if payload is not None and payload.mode is Mode.SIGNED else None
        return VerifiedBody(request.body, WholeCheck(digest, request.content_length)), request.content_length
    length = _decoded_length(request)
    trailers = announced(request.headers.get("x-amz-trailer"))
    if (payload.mode is not Mode.CHUNKS) != bool(trailers):
        raise Refusal(
            "x-amz-trailer must name the trailers of a body that has them, and no other.",
            code="InvalidRequest",
        )
    signer = None if payload.mode is Mode.UNSIGNED_CHUNKS_TRAILER else _chunk_signer(claim, credential)
    sieve: Sieve = ChunkDecoder(Framing(length, trailers, signer, payload.mode is Mode.CHUNKS_TRAILER))
    return VerifiedBody(request.body, sieve), length


def _chunk_signer(claim: Claim, credential: Credential) -> ChunkSigner:
    proof = claim.proof
    if not isinstance(proof, Version4):
        raise Breach(Fault.PAYLOAD)
    key = signing_key(credential.secret, proof.scope)
    return ChunkSigner(key, proof.stamp, proof.scope, claim.signature)


def _decoded_length(request: Request) -> int:
    declared = request.headers.get("x-amz-decoded-content-length")
    if declared is None or not _DIGITS.fullmatch(declared):
        raise Refusal(
            "You must provide the x-amz-decoded-content-length HTTP header: the bytes without the chunking.",
            code="MissingContentLength",
            status=411,
        )
    return int(declared)

"""What a request claims: its signature read, and everything checked that its head can decide.

Rule: pure, and done before a byte of the body is read. The first rule that fails answers, in AWS's order:
target, presence, host, syntax, signed headers, time, scope, payload mode.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from sagestead.wire.errors import Protocol
from sagestead.wire.http import Request
from sagestead.wire.sigv4 import canonical, moments
from sagestead.wire.sigv4.faults import Breach, Fault
from sagestead.wire.sigv4.header import Signer, parse_authorization, unsupported
from sagestead.wire.sigv4.payload import Mode, Payload, check_transport, parse_payload
from sagestead.wire.sigv4.query import DIGEST, SIGNATURE, is_presigned, parse_presigned
from sagestead.wire.sigv4.scope import check_s3_region, check_scope, scope_of
from sagestead.wire.sigv4.version2 import Version2, is_version2, parse_version2
from sagestead.wire.sigv4.version4 import Version4

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
_SKEW: Mapping[Protocol, int] = {"json": 300, "rest-json": 300, "query": 900, "rest-xml": 900}
_TOKEN = b"x-amz-security-token"
_UNSIGNED_MODES = frozenset({Mode.UNSIGNED.value, Mode.UNSIGNED_CHUNKS_TRAILER.value})
_NO_PAIRS: canonical.Pairs = []
_LONGEST_HOST = 261


@dataclass(frozen=True, slots=True)
class Rules:
    """What a service demands of a signature.

    Attributes:
        protocol: decides path canonicalisation, clock skew and the error form; `rest-xml` is S3.
        signing_names: services that a scope may name; None: any.
        region: region of principals whose signature names none (version 2).
        unsigned_over_http: accept header-signed UNSIGNED-PAYLOAD without TLS.
        s3: S3's rules, from the protocol.
        skew: seconds that the client's clock may be off, from the protocol.
    """

    protocol: Protocol
    signing_names: frozenset[str] | None
    region: str
    unsigned_over_http: bool = False
    s3: bool = field(init=False, repr=False, compare=False)
    skew: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "s3", self.protocol == "rest-xml")
        object.__setattr__(self, "skew", _SKEW[self.protocol])


class Claim(NamedTuple):
    """A well-formed, timely signature that is not yet compared.

    Attributes:
        access_key_id: the key that it claims.
        token: session token, if one came along.
        region, service: from the scope.
        signature: as given.
        payload: S3: how the body is covered.
        declared: other services: x-amz-content-sha256, if it was sent.
        proof: what was signed.
    """

    access_key_id: str
    token: bytes | None
    region: str
    service: str
    signature: bytes
    payload: Payload | None
    declared: bytes | None
    proof: Version4 | Version2


def read_claim(request: Request, rules: Rules, now: float) -> Claim:
    """Read the signature of a request and check everything but the signature itself.

    Raises:
        Breach: the first rule that fails, in AWS's order.
    """
    fields = request.headers.joined
    path = canonical.canonical_path(request.raw_path, s3=rules.s3)
    pairs = canonical.query_pairs(request.raw_query) if request.raw_query else _NO_PAIRS
    authorization = fields.get(b"authorization")
    version2 = _check_mechanism(authorization, pairs) if pairs or authorization is None else False
    if not _is_host(fields.get(b"host", b"")):
        raise Breach(Fault.HOST)
    if version2 and not rules.s3:
        raise unsupported(b"AWS")
    if version2:
        return _version2_claim(request, fields, pairs, (rules, now))
    head = _Head(request, rules, now, fields, pairs, path)
    return _presigned_claim(head) if authorization is None else _header_claim(head, authorization)


def _check_mechanism(authorization: bytes | None, pairs: canonical.Pairs) -> bool:
    """Check that a request is signed in exactly one way; return True for signature version 2."""
    presigned, version2 = is_presigned(pairs), is_version2(pairs)
    if authorization is None and not presigned and not version2:
        raise Breach(Fault.UNSIGNED)
    if (authorization is not None) + presigned + version2 > 1:
        raise Breach(
            Fault.TWICE,
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query "
            "string parameter or the Authorization header should be specified",
        )
    return version2


def _is_host(host: bytes) -> bool:
    return _matches(host) if len(host) <= _LONGEST_HOST else _matches.__wrapped__(host)


@lru_cache(maxsize=256)
def _matches(host: bytes) -> bool:
    return _HOST.fullmatch(host) is not None


class _Head(NamedTuple):
    request: Request
    rules: Rules
    now: float
    fields: Mapping[bytes, bytes]
    pairs: canonical.Pairs
    path: bytes

    def build(self, signer: Signer, signature: bytes, stamp: bytes, token: bytes | None) -> Claim:
        scope = scope_of(signer.credential)
        rules = self.rules
        if rules.s3:
            check_s3_region(scope, rules.region)
        check_scope(scope, stamp, rules.signing_names)
        payload, declared = self._payload()
        pairs = [pair for pair in self.pairs if pair[0] != SIGNATURE] if self.pairs else _NO_PAIRS
        parts = (self.request.method.encode(), self.path, canonical.canonical_query(pairs))
        head = b"%b\n%b\n%b\n%b" % (*parts, signer.headers.block(self.fields))
        return Claim(
            scope.access_key_id,
            token,
            scope.region,
            scope.service,
            signature,
            payload,
            declared,
            Version4(stamp, scope.line, head),
        )

    def _payload(self) -> tuple[Payload | None, bytes | None]:
        declared = self.fields.get(b"x-amz-content-sha256")
        if not self.rules.s3:
            if declared in _UNSIGNED_MODES:
                raise Breach(
                    Fault.PAYLOAD,
                    "x-amz-content-sha256 must be the SHA-256 of the body: this service signs it.",
                )
            return None, declared
        presigned = b"authorization" not in self.fields
        if presigned and declared is None:
            declared = next((value for name, value in self.pairs if name == DIGEST), None)
        unsigned = presigned and declared is None
        payload = Payload(Mode.UNSIGNED, Mode.UNSIGNED.value) if unsigned else parse_payload(declared)
        secure = self.request.secure or self.rules.unsigned_over_http
        check_transport(payload, secure=secure, presigned=presigned)
        return payload, None


def _header_claim(head: _Head, authorization: bytes) -> Claim:
    signer, signature = parse_authorization(authorization)
    _check_signed(head, signer, in_query=False)
    stamp = moments.header_stamp(head.fields)
    moments.check_window(stamp, head.now, head.rules.skew)
    if head.pairs and any(name.lower() == _TOKEN for name, _ in head.pairs):
        raise Breach(Fault.TOKEN)
    return head.build(signer, signature, stamp, head.fields.get(_TOKEN))


def _presigned_claim(head: _Head) -> Claim:
    presigned = parse_presigned(head.pairs)
    _check_signed(head, presigned.signer, in_query=True)
    moments.check_not_ahead(presigned.stamp, head.now, head.rules.skew)
    moments.check_expiry(presigned.stamp, presigned.lifetime, head.now)
    if _TOKEN in head.fields:
        raise Breach(Fault.TOKEN)
    try:
        return head.build(presigned.signer, presigned.signature, presigned.stamp, presigned.token)
    except Breach as breach:
        breach.in_query = True
        raise


def _check_signed(head: _Head, signer: Signer, *, in_query: bool) -> None:
    """Every header that decides what a request means must be among the signed ones."""
    names = signer.headers.names
    if head.rules.s3:
        unsigned = [name.decode() for name in head.fields if name.startswith(b"x-amz-") and name not in names]
        if unsigned:
            details = {"HeadersNotSigned": ", ".join(unsigned)}
            raise Breach(Fault.UNSIGNED_HEADERS, details=details, in_query=in_query)
    elif b"x-amz-target" in head.fields and b"x-amz-target" not in names:
        sentence = "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization."
        raise Breach(Fault.UNSIGNED_HEADERS, sentence, in_query=in_query)


def _version2_claim(
    request: Request, fields: Mapping[bytes, bytes], pairs: canonical.Pairs, terms: tuple[Rules, float]
) -> Claim:
    rules, now = terms
    signed = parse_version2(request, fields, pairs, now)
    declared = fields.get(b"x-amz-content-sha256")
    payload = Payload(Mode.UNSIGNED, Mode.UNSIGNED.value) if declared is None else parse_payload(declared)
    check_transport(payload, secure=request.secure, presigned=True)
    return Claim(
        access_key_id=signed.access_key_id,
        token=signed.token,
        region=rules.region,
        service="s3",
        signature=signed.signature,
        payload=payload,
        declared=None,
        proof=signed,
    )

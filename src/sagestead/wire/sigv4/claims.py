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

_Signed = tuple[Signer, bytes, bytes, bytes | None]
"""Who signed which headers, the signature, the time of signing, the session token."""


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
    if authorization is None:
        signed = _read_query(request, rules, now, pairs)
    else:
        signed = _read_header(authorization, request, rules, now, pairs)
    try:
        return _claim(request, rules, signed, path, pairs)
    except Breach as breach:
        breach.in_query = authorization is None
        raise


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


def _read_header(
    authorization: bytes, request: Request, rules: Rules, now: float, pairs: canonical.Pairs
) -> _Signed:
    signer, signature = parse_authorization(authorization)
    fields = request.headers.joined
    _check_signed(fields, rules, signer, in_query=False)
    stamp = moments.header_stamp(fields)
    moments.check_window(stamp, now, rules.skew)
    if pairs and any(name.lower() == _TOKEN for name, _ in pairs):
        raise Breach(Fault.TOKEN)
    return signer, signature, stamp, fields.get(_TOKEN)


def _read_query(request: Request, rules: Rules, now: float, pairs: canonical.Pairs) -> _Signed:
    presigned = parse_presigned(pairs)
    fields = request.headers.joined
    _check_signed(fields, rules, presigned.signer, in_query=True)
    moments.check_not_ahead(presigned.stamp, now, rules.skew)
    moments.check_expiry(presigned.stamp, presigned.lifetime, now)
    if _TOKEN in fields:
        raise Breach(Fault.TOKEN)
    return presigned.signer, presigned.signature, presigned.stamp, presigned.token


def _check_signed(fields: Mapping[bytes, bytes], rules: Rules, signer: Signer, *, in_query: bool) -> None:
    """Every header that decides what a request means must be among the signed ones."""
    names = signer.headers.names
    if rules.s3:
        unsigned = [name for name in fields if name.startswith(b"x-amz-") and name not in names]
        if unsigned:
            details = {"HeadersNotSigned": b", ".join(unsigned).decode("latin-1")}
            raise Breach(Fault.UNSIGNED_HEADERS, details=details, in_query=in_query)
    elif b"x-amz-target" in fields and b"x-amz-target" not in names:
        sentence = "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization."
        raise Breach(Fault.UNSIGNED_HEADERS, sentence, in_query=in_query)


def _claim(request: Request, rules: Rules, signed: _Signed, path: bytes, pairs: canonical.Pairs) -> Claim:
    signer, signature, stamp, token = signed
    scope = scope_of(signer.credential)
    if rules.s3:
        check_s3_region(scope, rules.region)
    check_scope(scope, stamp, rules.signing_names)
    fields = request.headers.joined
    declared = fields.get(b"x-amz-content-sha256")
    payload = None
    if rules.s3:
        payload, declared = _payload(request, rules, declared, pairs), None
    elif declared in _UNSIGNED_MODES:
        sentence = "x-amz-content-sha256 must be the SHA-256 of the body: this service signs it."
        raise Breach(Fault.PAYLOAD, sentence)
    query = canonical.canonical_query([pair for pair in pairs if pair[0] != SIGNATURE]) if pairs else b""
    head = b"%b\n%b\n%b\n%b" % (request.method.encode(), path, query, signer.headers.block(fields))
    proof = Version4(stamp, scope.line, head)
    return Claim(scope.access_key_id, token, scope.region, scope.service, signature, payload, declared, proof)


def _payload(request: Request, rules: Rules, declared: bytes | None, pairs: canonical.Pairs) -> Payload:
    presigned = b"authorization" not in request.headers.joined
    if presigned and declared is None:
        declared = next((value for name, value in pairs if name == DIGEST), None)
    unsigned = presigned and declared is None
    payload = Payload(Mode.UNSIGNED, Mode.UNSIGNED.value) if unsigned else parse_payload(declared)
    check_transport(payload, secure=request.secure or rules.unsigned_over_http, presigned=presigned)
    return payload


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

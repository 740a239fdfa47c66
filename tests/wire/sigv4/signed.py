"""Requests written and signed by hand, and the verifier's verdict on them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import quote

from sagestead.domain.errors import Refusal
from sagestead.domain.identity import Credential, Principal
from sagestead.wire.http import Body, Headers, Request
from sagestead.wire.sigv4 import Breach, Claim, Rules, read_claim, refuse, settle, verified_body

NOW = 1795333941.0  # 2026-11-22T07:52:21Z
STAMP = "20261122T075221Z"
DAY = "20261122"
ACCOUNT = "123456789012"
KEY = Credential(
    "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root"
)
SESSION = replace(KEY, access_key_id="ASIAEXAMPLE", session_token="the+token/of=one", expires_at=NOW + 900)
EMPTY = hashlib.sha256(b"").hexdigest()

CONTROL = Rules("json", frozenset({"sagemaker"}), "us-east-1")
RUNTIME = Rules("rest-json", frozenset({"sagemaker"}), "us-east-1")
STS = Rules("query", frozenset({"sts"}), "us-east-1")
S3 = Rules("rest-xml", frozenset({"s3"}), "us-east-1")

Pairs = Sequence[tuple[str, str]]


class LiteralBody:
    """A body that arrives in the given pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces = list(pieces)
        self.taken = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.taken += len(piece)
            yield piece

    async def read(self, limit: int) -> bytes:
        whole = b"".join([piece async for piece in self.chunks()])
        if len(whole) > limit:
            raise Refusal("too large", code="RequestEntityTooLarge", status=413)
        return whole

    def whole(self) -> None:
        """Nothing is here before it is read."""


@dataclass(frozen=True)
class Draft:
    """A request that is about to be signed; every part of the signature can be set apart from it.

    `canonical_path` and `canonical_query` are what the client believes; default: the path doubly encoded
    (S3: as it is), the query sorted as it stands.
    """

    method: str = "POST"
    path: str = "/"
    query: str = ""
    headers: Pairs = (("Host", "localhost:8750"),)
    body: bytes = b"{}"
    service: str = "sagemaker"
    region: str = "us-east-1"
    key: Credential = KEY
    stamp: str = STAMP
    date: str | None = None
    terminator: str = "aws4_request"
    signed: tuple[str, ...] | None = None
    payload: str | None = None
    canonical_path: str | None = None
    canonical_query: str | None = None
    key_date: str | None = None
    send_date: bool = True
    secure: bool = False
    extra: Pairs = field(default=())

    def canonical_request(self, headers: Pairs, signed: Iterable[str], payload: str) -> str:
        path = self.canonical_path
        if path is None:
            path = self.path if self.service == "s3" else quote(self.path, safe="/-_.~")
        query = self.canonical_query
        if query is None:
            pairs = sorted((part.partition("=")[0], part.partition("=")[2]) for part in self.query.split("&"))
            query = "&".join(f"{name}={value}" for name, value in pairs) if self.query else ""
        lines = [f"{name}:{_joined(headers, name)}\n" for name in signed]
        return "\n".join([self.method, path, query, "".join(lines), ";".join(signed), payload])

    def sign_text(self, canonical_request: str) -> str:
        digest = hashlib.sha256(canonical_request.encode("latin-1")).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{self.stamp}\n{self.scope}\n{digest}"
        return hmac.digest(self.signing_key, text.encode(), "sha256").hex()

    @property
    def scope(self) -> str:
        date = self.date or self.stamp[:8]
        return f"{date}/{self.region}/{self.service}/{self.terminator}"

    @property
    def signing_key(self) -> bytes:
        key = b"AWS4" + self.key.secret.encode()
        for part in (self.key_date or self.stamp[:8], self.region, self.service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return key

    def all_headers(self) -> list[tuple[str, str]]:
        headers = list(self.headers)
        if self.send_date:
            headers.append(("X-Amz-Date", self.stamp))
        if self.key.session_token is not None:
            headers.append(("X-Amz-Security-Token", self.key.session_token))
        if self.service == "s3":
            headers.append(("x-amz-content-sha256", self.payload or hashlib.sha256(self.body).hexdigest()))
        return headers

    def seed(self) -> str:
        """The signature in the Authorization header."""
        headers = self.all_headers()
        signed = self.signed or tuple(sorted({name.lower() for name, _ in headers}))
        payload = self.payload or hashlib.sha256(self.body).hexdigest()
        return self.sign_text(self.canonical_request(headers, signed, payload))

    def authorization(self) -> str:
        signed = self.signed or tuple(sorted({name.lower() for name, _ in self.all_headers()}))
        return (
            f"AWS4-HMAC-SHA256 Credential={self.key.access_key_id}/{self.scope}, "
            f"SignedHeaders={';'.join(signed)}, Signature={self.seed()}"
        )

    def send(self, *, authorization: str | None = None, body: bytes | None = None) -> Request:
        """The request as it arrives, signed in the header; `extra` headers come after signing."""
        headers = [*self.all_headers(), ("Authorization", authorization or self.authorization()), *self.extra]
        return arrived(
            self.method,
            f"{self.path}?{self.query}",
            headers,
            body=self.body if body is None else body,
            secure=self.secure,
        )

    def presigned(
        self, expires: str = "900", *, left_out: str = "", twice: str = "", more: str = ""
    ) -> Request:
        """The same, signed in the query."""
        headers = [(name, value) for name, value in self.headers]
        signed = self.signed or tuple(sorted({name.lower() for name, _ in headers}))
        parameters = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": quote(f"{self.key.access_key_id}/{self.scope}", safe=""),
            "X-Amz-Date": self.stamp,
            "X-Amz-Expires": expires,
            "X-Amz-SignedHeaders": "%3B".join(signed),
        }
        if self.key.session_token is not None:
            parameters["X-Amz-Security-Token"] = quote(self.key.session_token, safe="")
        parameters.pop(left_out, None)
        query = "&".join(
            [*([self.query] if self.query else []), *(f"{k}={v}" for k, v in parameters.items())]
        )
        payload = "UNSIGNED-PAYLOAD" if self.service == "s3" else hashlib.sha256(self.body).hexdigest()
        payload = self.payload or payload
        text = replace(self, query=query).canonical_request(headers, signed, payload)
        if left_out != "X-Amz-Signature":
            query += f"&X-Amz-Signature={self.sign_text(text)}"
        if twice:
            query += "&" + next(part for part in query.split("&") if part.startswith(twice))
        headers += self.extra
        return arrived(self.method, f"{self.path}?{query}{more}", headers, body=self.body, secure=self.secure)


def _joined(headers: Pairs, name: str) -> str:
    return ",".join(" ".join(value.split()) for field, value in headers if field.lower() == name)


def arrived(
    method: str, target: str, headers: Pairs, *, body: bytes | Body = b"", secure: bool = False
) -> Request:
    """The request as a front door hands it on; text stands for bytes, Latin-1."""
    fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    length = len(body) if isinstance(body, bytes) else None
    source = LiteralBody([body]) if isinstance(body, bytes) else body
    path, _, query = target.encode("latin-1").partition(b"?")
    return Request(method, path, query, Headers(fields), source, length, secure, "request-1")


@dataclass(frozen=True)
class Verdict:
    """What became of a request: code `ok`, or AWS's error code."""

    code: str
    status: int = 200
    sentence: str = ""
    principal: Principal | None = None
    body: bytes = b""
    trailers: dict[str, str] = field(default_factory=dict)
    claim: Claim | None = None
    details: dict[str, str | int] = field(default_factory=dict)


def judge(
    request: Request, rules: Rules = CONTROL, *, keys: Sequence[Credential] = (KEY, SESSION), now: float = NOW
) -> Verdict:
    """Verify a request with its body, as the gate does."""
    return asyncio.run(_judge(request, rules, keys, now))


async def _judge(request: Request, rules: Rules, keys: Sequence[Credential], now: float) -> Verdict:
    try:
        claim = read_claim(request, rules, now)
        credential = next((key for key in keys if key.access_key_id == claim.access_key_id), None)
        data = b"" if claim.payload is not None else await request.body.read(1 << 20)
        digest = claim.payload.text if claim.payload else hashlib.sha256(data).hexdigest().encode()
        principal = settle(claim, credential, digest, now)
        if claim.payload is None or credential is None:
            return Verdict("ok", principal=principal, body=data, claim=claim)
        body, _ = verified_body(request, claim, credential)
        data = await body.read(1 << 26)
        return Verdict("ok", principal=principal, body=data, trailers=body.trailers, claim=claim)
    except Breach as breach:
        refusal = refuse(breach, rules.protocol)
    except Refusal as caught:
        refusal = caught
    return Verdict(refusal.code, refusal.status, refusal.sentence, details=dict(refusal.details))


Place = Literal["header", "query"]

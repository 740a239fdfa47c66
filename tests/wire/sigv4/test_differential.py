"""O8, O9: what botocore and awscrt sign verifies, and not with one thing changed; O7: all else is refused."""

from __future__ import annotations

import string
import time
from dataclasses import replace
from io import BytesIO
from typing import Any
from urllib.parse import quote

import pytest
from awscrt.auth import (
    AwsCredentialsProvider,
    AwsSignedBodyHeaderType,
    AwsSigningConfig,
    aws_sign_request,
)
from awscrt.http import HttpHeaders, HttpRequest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.wire.sigv4.signed import CONTROL, KEY, S3, SESSION, STS, LiteralBody, Pairs, arrived, judge

from sagestead.domain.identity import Credential
from sagestead.wire.http import Request
from sagestead.wire.sigv4 import Rules

HOST = "localhost:8750"
SEGMENT = st.text(min_size=1, max_size=12).filter(lambda text: text not in {".", ".."})
TOKEN = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=10)
VALUE = st.text("".join(map(chr, range(0x20, 0x7F))), max_size=20)
QUERY = st.lists(st.tuples(st.text(min_size=1, max_size=8), st.text(max_size=8)), max_size=4)
PARTS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]),
        "path": st.lists(SEGMENT.filter(str.isprintable), max_size=4),
        "query": QUERY.filter(lambda pairs: all(name.isprintable() for name, _ in pairs)),
        "headers": st.dictionaries(TOKEN.map(lambda name: f"x-{name}"), VALUE, max_size=4),
        "body": st.binary(max_size=64),
    }
)
SIX = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
SERVICES = {"control": (CONTROL, "sagemaker"), "s3": (S3, "s3"), "sts": (STS, "sts")}
SIGNERS: dict[tuple[str, bool], Any] = {
    ("s3", False): S3SigV4Auth,
    ("s3", True): S3SigV4QueryAuth,
    ("", False): SigV4Auth,
    ("", True): SigV4QueryAuth,
}


def signed(parts: dict[str, Any], service: str, *, query: bool, key: Credential = KEY) -> Request:
    """The request that botocore makes of the parts."""
    path = "/" + quote("/".join(parts["path"]), safe="/~")
    pairs = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in parts["query"]
    )
    url = f"http://{HOST}{path}" + (f"?{pairs}" if pairs else "")
    sent = AWSRequest(parts["method"], url, data=parts["body"], headers=dict(parts["headers"]))
    credentials = BotoCredentials(key.access_key_id, key.secret, key.session_token)
    signer = SIGNERS[service if service == "s3" else "", query]
    signer(credentials, service, "eu-central-1").add_auth(sent)
    headers: Pairs = [(name, str(value)) for name, value in sent.headers.items()]
    target = sent.url.removeprefix(f"http://{HOST}")
    return arrived(parts["method"], target, [*headers, ("Host", HOST)], body=parts["body"])


def verdict(request: Request, rules: Rules) -> str:
    return judge(request, rules, keys=[KEY, replace(SESSION, expires_at=None)], now=time.time()).code


@pytest.mark.parametrize("place", ["header", "query"])
@pytest.mark.parametrize("name", SERVICES)
@settings(max_examples=40)
@given(parts=PARTS, key=st.sampled_from([KEY, SESSION]), data=st.data())
def test_o8_botocore_and_one_change(
    name: str, place: str, parts: dict[str, Any], key: Credential, data: st.DataObject
) -> None:
    query = place == "query"
    rules, service = SERVICES[name]
    if query:
        parts["body"] = b""  # botocore's query signers move a body into the query
    request = signed(parts, service, query=query, key=key)
    assert verdict(request, rules) == "ok"
    assert verdict(data.draw(st.sampled_from(changes(request, parts["body"], query=query))), rules) != "ok"


def signed_by_awscrt(parts: dict[str, Any], service: str) -> Request:
    """The same request from AWS's C library."""
    path = "/" + quote("/".join(parts["path"]), safe="/~")
    pairs = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in parts["query"]
    )
    target = path + (f"?{pairs}" if pairs else "")
    fields = HttpHeaders([("Host", HOST), *parts["headers"].items()])
    sent = HttpRequest(parts["method"], target, fields, BytesIO(parts["body"]))
    kind = AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256 if service == "s3" else AwsSignedBodyHeaderType.NONE
    config = AwsSigningConfig(
        credentials_provider=AwsCredentialsProvider.new_static(KEY.access_key_id, KEY.secret),
        region="eu-central-1",
        service=service,
        use_double_uri_encode=service != "s3",
        should_normalize_uri_path=service != "s3",
        signed_body_header_type=kind,
    )
    result = aws_sign_request(sent, config).result(timeout=10)
    return arrived(result.method, result.path, list(result.headers), body=parts["body"])


@pytest.mark.parametrize("name", SERVICES)
@settings(max_examples=40)
@given(parts=PARTS, data=st.data())
def test_o9_awscrt_and_one_change(name: str, parts: dict[str, Any], data: st.DataObject) -> None:
    rules, service = SERVICES[name]
    request = signed_by_awscrt(parts, service)
    assert verdict(request, rules) == "ok"
    assert verdict(data.draw(st.sampled_from(changes(request, parts["body"], query=False))), rules) != "ok"


def changes(request: Request, body: bytes, *, query: bool) -> list[Request]:
    """The request with one thing changed, in every place that the signature covers."""
    changed = [
        replace(request, method="PATCH"),
        replace(request, raw_path=request.raw_path + b"x"),
        replace(request, raw_query=(request.raw_query + b"&" if request.raw_query else b"") + b"added=1"),
    ]
    if not (query and b"s3" in request.raw_query):
        flipped = bytes([body[0] ^ 1]) + body[1:] if body else b"x"
        changed.append(replace(request, body=LiteralBody([flipped]), content_length=len(flipped)))
    fields = request.headers.items()
    for at, (name, value) in enumerate(fields):
        if name.startswith(b"x-") or name in {b"authorization", b"host"}:
            last = b"0" if value[-1:] != b"0" else b"1"
            other = [*fields[:at], (name, value[:-1] + last), *fields[at + 1 :]]
            changed.append(replace(request, headers=type(request.headers)(other)))
    return changed


WILD = st.one_of(
    st.binary(max_size=80),
    st.sampled_from(
        [
            b"AWS4-HMAC-SHA256 Credential=a/20261122/r/s3/aws4_request,SignedHeaders=host,Signature=1",
            b"AWS a:b",
        ]
    ),
)


@pytest.mark.parametrize("rules", [CONTROL, STS, S3], ids=["control", "sts", "s3"])
@settings(max_examples=60)
@given(
    path=st.binary(max_size=30).map(lambda raw: b"/" + raw),
    query=st.one_of(
        st.binary(max_size=60),
        st.dictionaries(
            st.sampled_from(["AWSAccessKeyId", "Signature", "Expires", *(f"X-Amz-{name}" for name in SIX)]),
            st.sampled_from(
                ["AWS4-HMAC-SHA256", "host", "20261122T075221Z", "60", "a/20261122/r/s3/aws4_request"]
            ),
        ).map(lambda given: "&".join(f"{name}={value}" for name, value in given.items()).encode()),
    ),
    fields=st.dictionaries(
        st.sampled_from(
            [b"authorization", b"x-amz-date", b"date", b"x-amz-content-sha256", b"host", b"x-amz-a"]
        ),
        WILD,
    ),
)
def test_o7_whatever_arrives_is_refused_in_words(
    rules: Rules, path: bytes, query: bytes, fields: dict[bytes, bytes]
) -> None:
    headers = [(name.decode(), value.decode("latin-1")) for name, value in fields.items()]
    request = replace(arrived("PUT", "/", headers), raw_path=path, raw_query=query)
    answer = judge(request, rules)
    assert 400 <= answer.status < 500
    assert answer.sentence

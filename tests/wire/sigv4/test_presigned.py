"""K: signatures in the query string, of both versions."""

from __future__ import annotations

import base64
import hmac
from dataclasses import replace

import pytest
from tests.wire.sigv4.signed import CONTROL, KEY, NOW, RUNTIME, S3, SESSION, STS, Draft, arrived, judge

from sagestead.wire.http import Request

HOST = (("Host", "localhost:8750"),)
GOOD = Draft(service="s3", method="GET", path="/bucket/key", body=b"", headers=HOST)
PARAMETERS = "AuthorizationQueryParametersError"


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE"])
def test_k1_good(method: str) -> None:
    body = b"data" if method == "PUT" else b""
    verdict = judge(replace(GOOD, method=method, body=body).presigned(), S3)
    assert (verdict.code, verdict.body) == ("ok", body)


def test_k2_method_changed() -> None:
    request = replace(GOOD.presigned(), method="PUT")
    assert judge(request, S3).code == "SignatureDoesNotMatch"


def test_k3_expired() -> None:
    request = GOOD.presigned("1")
    assert judge(request, S3, now=NOW + 1).code == "ok"
    verdict = judge(request, S3, now=NOW + 2)
    assert (verdict.status, verdict.code) == (403, "AccessDenied")
    assert verdict.sentence == "Request has expired"
    assert verdict.details == {
        "X-Amz-Expires": "1",
        "Expires": "2026-11-22T07:52:22Z",
        "ServerTime": "2026-11-22T07:52:23Z",
    }


def test_k4_a_week() -> None:
    assert judge(GOOD.presigned("604800"), S3, now=NOW + 604_800).code == "ok"


@pytest.mark.parametrize(
    ("expires", "sentence"),
    [
        pytest.param("604801", "must be less than a week", id="K5"),
        pytest.param("0", "at least one second", id="K6-zero"),
        pytest.param("-1", "must be non-negative", id="K6-negative"),
        pytest.param("soon", "should be a number", id="K6-text"),
        pytest.param("", "requires the X-Amz-Algorithm", id="K6-empty"),
        pytest.param("1" + "0" * 20, "must be less than a week", id="K6-huge"),
        pytest.param("9" * 5000, "must be less than a week", id="K6-very-long"),
        pytest.param("1.5", "should be a number", id="K6-fraction"),
        pytest.param("%C2%B2", "should be a number", id="K6-unicode-digit"),
    ],
)
def test_k5_k6_expires(expires: str, sentence: str) -> None:
    verdict = judge(GOOD.presigned(expires), S3)
    assert (verdict.status, verdict.code) == (400, PARAMETERS)
    assert sentence in verdict.sentence


def test_k7_signed_in_the_future() -> None:
    assert judge(GOOD.presigned(), S3, now=NOW - 899).code == "ok"
    assert judge(GOOD.presigned(), S3, now=NOW - 901).code == "RequestTimeTooSkewed"


def test_k8_parameter_added() -> None:
    assert judge(GOOD.presigned(more="&versionId=1"), S3).code == "SignatureDoesNotMatch"


def test_k9_override_removed() -> None:
    request = replace(GOOD, query="response-content-type=text%2Fplain").presigned()
    assert judge(request, S3).code == "ok"
    shorter = replace(request, raw_query=request.raw_query.partition(b"&")[2])
    assert judge(shorter, S3).code == "SignatureDoesNotMatch"


def test_k10_signed_header_missing() -> None:
    draft = replace(GOOD, headers=(*HOST, ("x-amz-meta-colour", "blue")))
    request = draft.presigned()
    assert judge(request, S3).code == "ok"
    assert judge(replace(request, headers=GOOD.presigned().headers), S3).status == 400


def test_k11_amazon_header_added() -> None:
    verdict = judge(replace(GOOD, extra=[("x-amz-acl", "public-read")]).presigned(), S3)
    assert (verdict.status, verdict.code) == (403, "AccessDenied")


@pytest.mark.parametrize("name", ["X-Amz-Signature", "X-Amz-Credential", "X-Amz-Expires"])
def test_k12_twice(name: str) -> None:
    assert judge(GOOD.presigned(twice=name), S3).code == PARAMETERS


SIX = ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"]


@pytest.mark.parametrize("name", SIX)
def test_k13_missing(name: str) -> None:
    verdict = judge(GOOD.presigned(left_out=f"X-Amz-{name}"), S3)
    assert (verdict.status, verdict.code) == (400, PARAMETERS)
    assert "Query-string authentication version 4 requires" in verdict.sentence


MALFORMED = {
    "date": replace(GOOD, stamp="20261122", date="20261122"),
    "month": replace(GOOD, stamp="20261322T075221Z"),
    "host-not-signed": replace(GOOD, headers=(*HOST, ("x-amz-meta-a", "b")), signed=("x-amz-meta-a",)),
    "unsorted": replace(GOOD, headers=(*HOST, ("a", "b")), signed=("host", "a")),
    "four-parts": replace(GOOD, terminator=""),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_k_malformed_parameters(case: str) -> None:
    verdict = judge(MALFORMED[case].presigned(), S3)
    assert (verdict.status, verdict.code) == (400, PARAMETERS)


def test_k14_session_token() -> None:
    draft = replace(GOOD, key=SESSION)
    assert judge(draft.presigned(), S3).code == "ok"
    assert judge(draft.presigned(left_out="X-Amz-Security-Token"), S3).code == "InvalidAccessKeyId"
    other = replace(SESSION, session_token="another")
    assert judge(draft.presigned(), S3, keys=[other]).code == "InvalidToken"


def test_k15_key_disabled_later() -> None:
    assert judge(GOOD.presigned(), S3, keys=[replace(KEY, enabled=False)]).code == "InvalidAccessKeyId"
    assert judge(GOOD.presigned(), S3, keys=[]).code == "InvalidAccessKeyId"


def test_k16_session_ends_before_the_url() -> None:
    verdict = judge(replace(GOOD, key=SESSION).presigned("3600"), S3, now=NOW + 900)
    assert (verdict.status, verdict.code) == (400, "ExpiredToken")


def test_k17_range_is_free() -> None:
    assert judge(replace(GOOD, extra=[("Range", "bytes=0-9")]).presigned(), S3).code == "ok"


def test_k18_control_services_accept_query_signatures() -> None:
    invoke = Draft(path="/endpoints/e/invocations", body=b"1,2", headers=HOST)
    assert judge(invoke.presigned(), RUNTIME).code == "ok"
    changed = replace(invoke.presigned(), body=replace(invoke, body=b"1,3").send().body)
    assert judge(changed, RUNTIME).code == "InvalidSignatureException"
    form = Draft(service="sts", method="GET", query="Action=GetCallerIdentity", body=b"", headers=HOST)
    assert judge(form.presigned(), STS).code == "ok"
    late = judge(form.presigned("60"), STS, now=NOW + 61)
    assert (late.status, late.code) == (403, "SignatureDoesNotMatch")
    assert late.sentence.startswith("Signature expired: ")


def test_k18_target_must_be_signed_in_the_query_too() -> None:
    draft = Draft(headers=(*HOST, ("X-Amz-Target", "SageMaker.ListModels")), signed=("host",))
    assert "X-Amz-Target" in judge(draft.presigned(), CONTROL).sentence


def test_k20_plus_for_space_is_a_mismatch() -> None:
    draft = replace(GOOD, query="response-content-disposition=a%20b")
    request = draft.presigned()
    changed = replace(request, raw_query=request.raw_query.replace(b"a%20b", b"a+b"))
    assert judge(changed, S3).code == "SignatureDoesNotMatch"


def test_k_algorithms_and_scopes() -> None:
    request = GOOD.presigned()
    for wrong in (b"AWS4-ECDSA-P256-SHA256", b"AWS4-HMAC-SHA512"):
        query = request.raw_query.replace(b"AWS4-HMAC-SHA256", wrong)
        assert judge(replace(request, raw_query=query), S3).code == PARAMETERS
    verdict = judge(replace(GOOD, service="sagemaker").presigned(), S3)
    assert (verdict.status, verdict.code) == (400, PARAMETERS)


def test_k_signed_payload_of_a_presigned_request_is_checked() -> None:
    digest = "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"
    headers = (*HOST, ("x-amz-content-sha256", digest))
    draft = replace(GOOD, method="PUT", body=b"data", headers=headers, payload=digest)
    assert judge(draft.presigned(), S3).code == "ok"
    other = replace(draft, body=b"Data")
    assert judge(other.presigned(), S3).code == "XAmzContentSHA256Mismatch"


def test_k_the_payloads_hash_may_stand_in_the_query() -> None:
    digest = "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"
    for text in (digest, "UNSIGNED-PAYLOAD"):
        draft = replace(GOOD, method="PUT", body=b"data", payload=text, query=f"X-Amz-Content-Sha256={text}")
        assert judge(draft.presigned(), S3).code == "ok"
        other = judge(replace(draft, body=b"Data").presigned(), S3).code
        assert other == ("XAmzContentSHA256Mismatch" if text == digest else "ok")
    twice = replace(GOOD, query="X-Amz-Content-Sha256=UNSIGNED-PAYLOAD")
    assert judge(twice.presigned(twice="X-Amz-Content-Sha256"), S3).code == PARAMETERS


@pytest.mark.parametrize("mode", ["PAYLOAD-TRAILER", "UNSIGNED-PAYLOAD-TRAILER"])
def test_j7_chunks_in_a_presigned_request_are_refused(mode: str) -> None:
    text = f"STREAMING-{'AWS4-HMAC-SHA256-' if mode[0] == 'P' else ''}{mode}"
    draft = replace(GOOD, method="PUT", headers=(*HOST, ("x-amz-content-sha256", text)), payload=text)
    verdict = judge(draft.presigned(), S3)
    assert verdict.status == 400
    assert "is not accepted in a presigned request" in verdict.sentence


def version2(
    text: str, query: str, *, path: str = "/bucket/key", expires: str = "1795334841", method: str = "GET"
) -> Request:
    signature = base64.b64encode(hmac.digest(KEY.secret.encode(), text.encode(), "sha1")).decode()
    signature = signature.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    target = f"{path}?AWSAccessKeyId={KEY.access_key_id}&Signature={signature}&Expires={expires}{query}"
    return arrived(method, target, HOST)


def test_v2_good_and_bad() -> None:
    text = "GET\n\n\n1795334841\n/bucket/key"
    request = version2(text, "")
    verdict = judge(request, S3)
    assert verdict.code == "ok"
    assert verdict.principal is not None
    assert (verdict.principal.region, verdict.principal.service) == ("us-east-1", "s3")
    assert judge(replace(request, method="PUT"), S3).code == "SignatureDoesNotMatch"
    assert judge(replace(request, raw_path=b"/bucket/other"), S3).code == "SignatureDoesNotMatch"
    assert judge(request, S3, keys=[]).code == "InvalidAccessKeyId"
    assert judge(request, S3, keys=[replace(KEY, secret="x")]).code == "SignatureDoesNotMatch"
    assert judge(request, S3, now=1795334842.0).sentence == "Request has expired"


def test_v2_subresources_are_covered_and_others_refused() -> None:
    text = "GET\n\n\n1795334841\n/bucket/key?versionId=v1"
    assert judge(version2(text, "&versionId=v1"), S3).code == "ok"
    assert judge(version2(text, "&versionId=v2"), S3).code == "SignatureDoesNotMatch"
    plain = "GET\n\n\n1795334841\n/bucket/key"
    assert judge(version2(plain, "&prefix=a"), S3).code == "ok"
    verdict = judge(version2(plain, "&attributes"), S3)
    assert (verdict.status, verdict.code) == (400, PARAMETERS)
    assert "'attributes'" in verdict.sentence


def test_v2_amazon_headers_in_the_query_count_as_headers() -> None:
    text = "GET\n\n\n1795334841\nx-amz-security-token:abc\n/bucket/key"
    assert judge(version2(text, "&x-amz-security-token=abc"), S3).code == "InvalidToken"
    assert judge(version2("GET\n\n\n1795334841\n/bucket/key", "&x-amz-acl=private"), S3).status == 403


@pytest.mark.parametrize("expires", ["", "soon", "-5", "1" + "0" * 20, "1.5"])
def test_v2_malformed_time(expires: str) -> None:
    verdict = judge(version2(f"GET\n\n\n{expires}\n/bucket/key", "", expires=expires), S3)
    assert (verdict.status, verdict.code) == (403, "AccessDenied")


@pytest.mark.parametrize(
    "query", ["AWSAccessKeyId=A&Expires=1", "Signature=x", "AWSAccessKeyId=A&Signature=x"]
)
def test_v2_incomplete(query: str) -> None:
    verdict = judge(arrived("GET", f"/b/k?{query}", HOST), S3)
    assert (verdict.status, verdict.code) == (403, "AccessDenied")

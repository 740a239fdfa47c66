"""Which service a request is for, before anything is verified."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.sigv4.signed import arrived

from sagestead.frontdoor import dispatch
from sagestead.wire.http import Request

HOST = ("Host", "localhost:8750")


def scoped(
    service: str, *, method: str = "POST", target: str = "/", headers: tuple[tuple[str, str], ...] = ()
) -> Request:
    credential = (
        f"AWS4-HMAC-SHA256 Credential=AKID/20261122/us-east-1/{service}/aws4_request, SignedHeaders=host"
    )
    return arrived(method, target, [HOST, ("Authorization", credential), *headers])


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (scoped("sagemaker"), "sagemaker"),
        (scoped("application-autoscaling"), "application-autoscaling"),
        (arrived("GET", "/b/k?X-Amz-Credential=A%2F20261122%2Fr%2Fs3%2Faws4_request", [HOST]), "s3"),
        (arrived("GET", "/b/k?a=1&X-Amz-Credential=A/20261122/r/sts/aws4_request", [HOST]), "sts"),
        (arrived("GET", "/b/k", [HOST]), None),
        (arrived("GET", "/b/k", [HOST, ("Authorization", "Basic x")]), None),
        (arrived("GET", "/b/k", [HOST, ("Authorization", "AWS A:s")]), None),
        (arrived("GET", "/", [HOST, ("Authorization", "AWS4-HMAC-SHA256 Credential=A")]), None),
        (scoped("NOT_A_NAME"), None),
        (scoped("n" * 65), None),
    ],
)
def test_signing_name(request_: Request, name: str | None) -> None:
    assert dispatch.signing_name(request_) == name


@pytest.mark.parametrize("operation", ["invocations", "async-invocations", "invocations-response-stream"])
def test_runtime_paths(operation: str) -> None:
    assert dispatch.is_runtime(scoped("sagemaker", target=f"/endpoints/e/{operation}"))
    assert not dispatch.is_runtime(scoped("s3", target=f"/endpoints/e/{operation}"))
    assert not dispatch.is_runtime(scoped("sagemaker", target=f"/endpoints/e/f/{operation}"))
    assert not dispatch.is_runtime(scoped("sagemaker", target=f"/x/../endpoints/e/{operation}"))
    target = (("X-Amz-Target", "SageMaker.DeleteModel"),)
    assert not dispatch.is_runtime(scoped("sagemaker", target=f"/endpoints/e/{operation}", headers=target))


def test_an_s3_key_may_look_like_an_invocation() -> None:
    assert dispatch.is_s3(scoped("s3", method="PUT", target="/endpoints/e/invocations"))


def test_targets_and_signing_names() -> None:
    control = dispatch.by_target("SageMaker.")
    request = scoped("sagemaker", headers=(("X-Amz-Target", "SageMaker.ListModels"),))
    assert control(request)
    assert not control(scoped("sagemaker"))
    assert not control(scoped("sagemaker", headers=(("X-Amz-Target", "sagemaker.ListModels"),)))
    assert not dispatch.is_s3(request)
    named = dispatch.by_signing_name("sts", "iam")
    assert named(scoped("sts"))
    assert named(scoped("iam"))
    assert not named(scoped("s3"))
    assert not named(scoped("sts", headers=(("X-Amz-Target", "SageMaker.ListModels"),)))


def test_s3_takes_what_names_no_service() -> None:
    assert dispatch.is_s3(arrived("GET", "/bucket/key", [HOST]))
    assert dispatch.is_s3(arrived("GET", "/bucket/key?AWSAccessKeyId=A&Signature=s&Expires=1", [HOST]))
    assert not dispatch.is_s3(scoped("ecr"))
    form = [HOST, ("Content-Type", "application/x-www-form-urlencoded")]
    assert dispatch.is_s3(arrived("PUT", "/bucket/key", form))
    assert not dispatch.is_s3(arrived("POST", "/", form))


@pytest.mark.parametrize(
    ("headers", "protocol"),
    [
        ((("X-Amz-Target", "Other.Thing"),), "json"),
        ((("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),), "query"),
        ((), "rest-json"),
    ],
)
def test_likely_protocol(headers: tuple[tuple[str, str], ...], protocol: str) -> None:
    assert dispatch.likely_protocol(scoped("ecr", headers=headers)) == protocol


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_nothing_that_arrives_breaks_it(authorization: bytes, query: bytes) -> None:
    text = query.decode("latin-1").replace("?", "")
    request = arrived("GET", f"/?{text}", [HOST, ("Authorization", authorization.decode("latin-1"))])
    name = dispatch.signing_name(request)
    assert name is None or name.isascii()

"""The gate, driven by requests that real botocore clients signed."""

from __future__ import annotations

import contextlib
import functools
import time
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import botocore.awsrequest
import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.client import Config
from botocore.credentials import Credentials as BotoCredentials
from tests.frontdoor.test_gate import HOST, PASSED, Keys, ask, header, said, services
from tests.wire.sigv4.signed import KEY, SESSION, arrived

from sagestead.domain.identity import Credential
from sagestead.frontdoor.gate import Gate
from sagestead.wire.http import Request

URL = "http://localhost:8750"


def captured(service: str, operation: str, *, tls: bool = False, **parameters: Any) -> Request:
    """What a real botocore client would send, caught before the socket; its clock is the machine's."""
    client = client_of(service, tls=tls)
    caught: list[Any] = []

    def catch(request: Any, **_: Any) -> Any:
        caught.append(request)
        return botocore.awsrequest.AWSResponse(request.url, 200, {}, None)

    client.meta.events.register("before-send", catch, unique_id="caught")
    with contextlib.suppress(Exception):  # the empty answer is of no interest
        getattr(client, operation)(**parameters)
    client.meta.events.unregister("before-send", unique_id="caught")
    prepared = caught[0]
    data = _bytes(prepared.body or b"")
    target = "/" + prepared.url.partition("://")[2].partition("/")[2]
    headers = [(name, _text(value)) for name, value in prepared.headers.items() if name.lower() != "host"]
    request = arrived(prepared.method, target, [*headers, HOST], body=data, secure=tls)
    return replace(request, content_length=None if "transfer-encoding" in request.headers else len(data))


def _bytes(body: Any) -> bytes:
    if hasattr(body, "read"):
        body = body.read()
    return body.encode() if isinstance(body, str) else bytes(body)


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


@functools.cache
def client_of(service: str, *, tls: bool = False, region: str = "us-east-1", key: Credential = KEY) -> Any:
    session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    return session.create_client(
        service,
        region_name=region,
        endpoint_url=URL.replace("http", "https") if tls else URL,
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret,
        aws_session_token=key.session_token,
        config=Config(retries={"max_attempts": 0}),
    )


def now_gate(keys: Keys | None = None) -> Gate:
    return Gate(keys or Keys(), services(), time.time, "us-east-1")


CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "control": ("sagemaker", "describe_endpoint", {"EndpointName": "e"}),
    "runtime": ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "e", "Body": b"1,2"}),
    "sts": ("sts", "get_caller_identity", {}),
    "iam": ("iam", "get_role", {"RoleName": "r"}),
    "logs": ("logs", "describe_log_streams", {"logGroupName": "/aws/sagemaker/TrainingJobs"}),
    "s3": ("s3", "put_object", {"Bucket": "b", "Key": "a b/é+*~'()", "Body": b"data"}),
}


@pytest.mark.parametrize("name", CALLS)
def test_botocore_clients_pass(name: str) -> None:
    service, operation, parameters = CALLS[name]
    response = ask(captured(service, operation, **parameters), now_gate())
    assert (response.status, header(response, PASSED)) == (200, name)


def test_botocore_uploads_over_tls_in_chunks_with_a_trailer() -> None:
    request = captured("s3", "put_object", tls=True, Bucket="b", Key="k", Body=b"hello")
    assert request.headers.get("x-amz-content-sha256") == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    answer = said(ask(request, now_gate()))
    assert (answer["body"], answer["length"]) == ("hello", 5)


@pytest.mark.parametrize(("region", "version"), [("us-east-1", 2), ("eu-central-1", 4)])
@pytest.mark.parametrize(
    "operation", ["get_object", "put_object", "head_object", "delete_object", "upload_part"]
)
def test_botocore_presigned_urls(region: str, version: int, operation: str) -> None:
    client = client_of("s3", region=region)
    parameters: dict[str, Any] = {"Bucket": "b", "Key": "a b/é+k"}
    if operation == "get_object":
        parameters |= {"VersionId": "v1", "ResponseContentType": "text/plain; charset=x"}
    if operation == "upload_part":
        parameters |= {"UploadId": "u/1", "PartNumber": 3}
    url = client.generate_presigned_url(operation, parameters, ExpiresIn=60)
    assert ("AWSAccessKeyId" in url) == (version == 2)
    method = {"get": "GET", "put": "PUT", "head": "HEAD", "delete": "DELETE", "upload": "PUT"}
    verb = method[operation.partition("_")[0]]
    request = arrived(verb, url.removeprefix(URL), [HOST], body=b"data" if verb == "PUT" else b"")
    response = ask(request, now_gate())
    assert (response.status, header(response, PASSED)) == (200, "s3")
    assert said(response)["region"] == region
    damaged = replace(request, raw_path=request.raw_path + b"x")
    assert ask(damaged, now_gate()).status == 403


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_botocore_presigned_upload_with_headers(region: str) -> None:
    parameters = {"Bucket": "b", "Key": "k", "ContentType": "text/csv", "Metadata": {"colour": "blue"}}
    url = client_of("s3", region=region).generate_presigned_url("put_object", parameters, ExpiresIn=60)
    fields = [HOST, ("Content-Type", "text/csv"), ("x-amz-meta-colour", "blue")]
    target = url.removeprefix(URL)
    assert ask(arrived("PUT", target, fields, body=b"1"), now_gate()).status == 200
    for wrong in (("Content-Type", "text/plain"), ("x-amz-meta-colour", "red")):
        changed = [wrong if name == wrong[0] else (name, value) for name, value in fields]
        assert ask(arrived("PUT", target, changed, body=b"1"), now_gate()).status == 403


def test_botocore_presigned_url_of_a_session() -> None:
    url = client_of("s3", key=SESSION).generate_presigned_url(
        "get_object", {"Bucket": "b", "Key": "k"}, ExpiresIn=60
    )
    keys = Keys([replace(SESSION, expires_at=None)])
    request = arrived("GET", url.removeprefix(URL), [HOST])
    assert header(ask(request, now_gate(keys)), PASSED) == "s3"
    assert ask(request, now_gate(Keys([replace(SESSION, session_token="x")]))).status == 400


def test_botocore_signs_with_the_date_header() -> None:
    sent = botocore.awsrequest.AWSRequest(
        "POST", URL + "/", data=b"{}", headers={"X-Amz-Target": "SageMaker.ListModels"}
    )
    sent.headers["Date"] = formatdate(time.time(), usegmt=True)
    SigV4Auth(BotoCredentials(KEY.access_key_id, KEY.secret), "sagemaker", "us-east-1").add_auth(sent)
    headers = [*((name, _text(value)) for name, value in sent.headers.items()), HOST]
    assert ask(arrived("POST", "/", headers, body=b"{}"), now_gate()).status == 200

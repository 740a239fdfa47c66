"""Every refusal in every protocol's form, read back by botocore's own parsers."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any

import botocore.parsers
import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagestead.domain.errors import InUse, Invalid, Refusal
from sagestead.wire.errors import Protocol, render
from sagestead.wire.http import Response

SERVICES: dict[Protocol, tuple[str, str]] = {
    "json": ("sagemaker", "DescribeModel"),
    "rest-json": ("sagemaker-runtime", "InvokeEndpoint"),
    "query": ("sts", "GetCallerIdentity"),
    "rest-xml": ("s3", "PutObject"),
}
REFUSAL = Refusal(
    "Value 'é <&>' at 'x' is wrong.", code="SomeException", status=409, details={"Bucket": "a&b", "Part": "3"}
)


def parsed(response: Response, protocol: Protocol) -> dict[str, Any]:
    service, operation = SERVICES[protocol]
    model = botocore.session.get_session().get_service_model(service)
    parser = botocore.parsers.create_parser(protocol)
    answer = {
        "status_code": response.status,
        "headers": {
            **({"x-amzn-requestid": response.request_id} if response.request_id else {}),
            **{name.lower(): value for name, value in response.headers},
        },
        "body": response.body,
    }
    result: dict[str, Any] = parser.parse(answer, model.operation_model(operation).output_shape)
    return result


@pytest.mark.parametrize("protocol", SERVICES)
def test_botocore_reads_code_sentence_and_request_id(protocol: Protocol) -> None:
    response = render(REFUSAL, protocol, "POST", "id-1")
    result = parsed(response, protocol)
    assert result["Error"]["Code"] == "SomeException"
    assert result["Error"]["Message"] == REFUSAL.sentence
    assert result["ResponseMetadata"]["RequestId"] == "id-1"
    assert response.status == 409


def test_s3_details_are_elements() -> None:
    result = parsed(render(REFUSAL, "rest-xml", "PUT", "id-1"), "rest-xml")
    assert (result["Error"]["Bucket"], result["Error"]["Part"]) == ("a&b", "3")
    assert result["ResponseMetadata"]["HostId"]


def test_json_modelled_errors_carry_message_with_a_capital() -> None:
    body = render(InUse("taken"), "json", "POST", "id-1").body
    assert json.loads(body) == {"__type": "ResourceInUse", "Message": "taken"}  # type: ignore[arg-type] # bytes here
    body = render(Invalid("wrong"), "json", "POST", "id-1").body
    assert json.loads(body) == {"__type": "ValidationException", "message": "wrong"}  # type: ignore[arg-type] # the same


def test_rest_json_details_may_bring_their_own_message() -> None:
    refusal = Refusal("said", code="ModelError", status=424, details={"Message": "m", "OriginalMessage": "o"})
    response = render(refusal, "rest-json", "POST", "id-1")
    assert json.loads(response.body) == {"Message": "m", "OriginalMessage": "o"}  # type: ignore[arg-type] # bytes here
    assert ("x-amzn-ErrorType", "ModelError") in response.headers


def test_query_says_whose_fault_it_is() -> None:
    body = render(REFUSAL, "query", "POST", "id-1").body
    assert b"<Type>Sender</Type>" in body  # type: ignore[operator] # bytes here
    body = render(Refusal("x", status=500), "query", "POST", "id-1").body
    assert b"<Type>Receiver</Type>" in body  # type: ignore[operator] # the same


@pytest.mark.parametrize("protocol", SERVICES)
def test_head_and_not_modified_have_no_body(protocol: Protocol) -> None:
    assert render(REFUSAL, protocol, "HEAD", "id-1").body == b""
    response = render(Refusal("same", status=304, headers={"ETag": '"x"'}), protocol, "GET", "id-1")
    assert response.body == b""
    assert ("ETag", '"x"') in response.headers


@given(st.text())
def test_any_text_is_well_formed(text: str) -> None:
    for protocol in SERVICES:
        body = render(Refusal(text, details={"Key": text, "not a name": text}), protocol, "POST", "id-1").body
        assert isinstance(body, bytes)
        if body.startswith(b"{"):
            json.loads(body)
        else:
            ET.fromstring(body)  # noqa: S314 - our own output

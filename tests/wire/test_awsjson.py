from __future__ import annotations

import json
from typing import Any

import botocore.model
import botocore.parsers
import botocore.serialize
import botocore.session
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.wire.shape_values import fitting

from sagestead.domain.errors import Invalid
from sagestead.wire import awsjson
from sagestead.wire.constraints import failures
from sagestead.wire.models import service_model

TUTORIAL = ("CreateModel", "CreateEndpointConfig", "CreateTransformJob", "ListTrainingJobs", "AddTags")
quick = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@pytest.fixture(scope="module")
def botocore_sagemaker() -> botocore.model.ServiceModel:
    return botocore.session.get_session().get_service_model("sagemaker")


def refused(body: bytes, operation: str = "CreateModel") -> Invalid:
    with pytest.raises(Invalid) as raised:
        awsjson.decode("sagemaker", operation, body)
    return raised.value


def test_a_request_is_read_without_nulls_and_unknown_members() -> None:
    body = b'{"ModelName": "m", "PrimaryContainer": {"Image": "i", "ModelDataUrl": null, "New": 1}, "X": [1]}'
    assert awsjson.decode("sagemaker", "CreateModel", body) == {
        "ModelName": "m",
        "PrimaryContainer": {"Image": "i"},
    }


def test_an_empty_body_is_an_empty_object() -> None:
    assert awsjson.decode("sagemaker", "ListModels", b"") == {}


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b"{", "not valid JSON"),
        (b'{"ModelName": "a", "ModelName": "b"}', "'ModelName' appears twice"),
        (b'{"ModelName": NaN}', "NaN is not a JSON number"),
        (b'{"ModelName": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"ModelName": 1e999}', "too large"),
        (b'{"ModelName": "\xff"}', "UTF-8"),
        (b'{"ModelName": "\\ud800"}', "UTF-8"),
        (b'{"ModelName": ' + b"[" * 100_000, "nested deeper than 64"),
        (b'{"ModelName": ' + b'{"a":' * 500 + b"1" + b"}" * 501, "nested deeper than 64"),
        (b'{"ModelName": 5}', "NUMBER_VALUE can not be converted to a String, at 'ModelName'."),
        (b'{"ModelName": true}', "TRUE_VALUE can not be converted to a String"),
        (b'{"ModelName": {}}', "Start of structure or map found where not expected, at 'ModelName'."),
        (b'{"ModelName": []}', "Start of list found where not expected"),
        (b'{"Containers": "x"}', "Expected list or null"),
        (b'{"PrimaryContainer": [1]}', "Start of list found where not expected"),
        (b'{"Containers": [{"Image": 1}]}', "at 'Containers[0].Image'"),
        (b"[]", "must be a JSON object, not START_ARRAY"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"MaxResults": ' + b"9" * 5000 + b"}", "is too long; send at most"),
    ],
)
def test_malformed_bodies_are_refused(body: bytes, part: str) -> None:
    refusal = refused(body)
    assert refusal.code == "SerializationException"
    assert refusal.status == 400
    assert part in refusal.sentence


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b'{"MaxResults": "5"}', "STRING_VALUE can not be converted to an Integer"),
        (b'{"MaxResults": true}', "TRUE_VALUE can not be converted to an Integer"),
        (b'{"MaxResults": 1.5}', "not a whole number"),
        (b'{"MaxResults": 99999999999}', "does not fit"),
        (b'{"CreationTimeAfter": "soon"}', "not a time"),
        (b'{"CreationTimeAfter": 1e300}', "between the years"),
        (b'{"CreationTimeAfter": false}', "FALSE_VALUE can not be converted to a Date"),
    ],
)
def test_numbers_and_times_of_the_wrong_type_are_refused(body: bytes, part: str) -> None:
    assert part in refused(body, "ListModels").sentence


def test_times_are_numbers_or_iso_8601() -> None:
    body = b'{"CreationTimeAfter": 1529870369.986, "CreationTimeBefore": "2018-06-24T19:59:29.986Z"}'
    request = awsjson.decode("sagemaker", "ListModels", body)
    assert request == {"CreationTimeAfter": 1529870369.986, "CreationTimeBefore": 1529870369.986}


def test_a_whole_float_is_an_integer() -> None:
    request = awsjson.decode("sagemaker", "ListModels", b'{"MaxResults": 5.0}')
    assert request == {"MaxResults": 5}
    assert isinstance(request["MaxResults"], int)


def test_all_broken_constraints_are_reported_together() -> None:
    body = json.dumps({"EndpointConfigName": "a" * 64, "ProductionVariants": []}).encode()
    refusal = refused(body, "CreateEndpointConfig")
    assert refusal.code == "ValidationException"
    name = f"Value '{'a' * 64}' at 'endpointConfigName' failed to satisfy constraint: Member must"
    assert refusal.sentence == (
        f"3 validation errors detected: {name} have length less than or equal to 63; "
        f"{name} satisfy regular expression pattern: ^[a-zA-Z0-9](-*[a-zA-Z0-9]){{0,62}}; "
        "Value '[]' at 'productionVariants' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1"
    )


def test_the_answer_of_an_operation_without_output_is_empty() -> None:
    assert awsjson.encode("sagemaker", "DeleteModel", {}) == b""
    assert awsjson.encode("sagemaker", "DeleteTags", {}) == b"{}"


def test_an_answer_holds_known_members_that_are_set() -> None:
    answer = {
        "ModelName": "é",
        "CreationTime": 1529870369.98649,
        "ExecutionRoleArn": None,
        "Odd": 1,
        "PrimaryContainer": {"Image": "i", "Environment": {"A": "b"}},
    }
    assert awsjson.encode("sagemaker", "DescribeModel", answer).decode() == (
        '{"ModelName":"é","PrimaryContainer":{"Image":"i","Environment":{"A":"b"}},"CreationTime":1529870369.986}'
    )
    assert awsjson.defects("sagemaker", "DescribeModel", answer) == ["unknown: Odd", "missing: ModelArn"]


def test_a_metric_that_is_not_a_number_can_be_sent() -> None:
    answer = {"FinalMetricDataList": [{"MetricName": "m", "Value": float("nan")}]}
    assert b'"Value":"NaN"' in awsjson.encode("sagemaker", "DescribeTrainingJob", answer)


@quick
@given(data=st.data(), operation=st.sampled_from(TUTORIAL))
def test_what_botocore_writes_is_read_back(
    data: st.DataObject, operation: str, botocore_sagemaker: botocore.model.ServiceModel
) -> None:
    shape = service_model("sagemaker").operation(operation).input
    assert shape is not None
    request = data.draw(fitting(shape))
    serializer = botocore.serialize.create_serializer("json", include_validation=False)
    written = serializer.serialize_to_request(request, botocore_sagemaker.operation_model(operation))
    assert awsjson.decode("sagemaker", operation, written["body"]) == request


@quick
@given(data=st.data(), operation=st.sampled_from(("ListTags", "DescribeModel", "ListEndpoints")))
def test_what_is_written_botocore_reads_back(
    data: st.DataObject, operation: str, botocore_sagemaker: botocore.model.ServiceModel
) -> None:
    shape = service_model("sagemaker").operation(operation).output
    assert shape is not None
    answer = data.draw(fitting(shape))
    body = awsjson.encode("sagemaker", operation, answer)
    parser = botocore.parsers.create_parser("json")
    model = botocore_sagemaker.operation_model(operation).output_shape
    read = parser.parse({"status_code": 200, "headers": {}, "body": body}, model)
    read.pop("ResponseMetadata")
    assert epochs(read) == answer
    assert awsjson.defects("sagemaker", operation, answer) == []


@given(
    body=st.binary(max_size=200)
    | st.text().map(str.encode)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["ModelName", "Containers", "PrimaryContainer", "Tags", "Key", "Environment"]
                ),
                inner,
            )
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode())
)
@settings(max_examples=150, deadline=None)
def test_any_body_is_read_or_refused(body: bytes) -> None:
    shape = service_model("sagemaker").operation("CreateModel").input
    assert shape is not None
    try:
        request = awsjson.decode("sagemaker", "CreateModel", body)
    except Invalid as refusal:
        refusal.sentence.encode()
        return
    assert failures(shape, request) == []


def epochs(value: Any) -> Any:
    """Return the value with times as seconds since the epoch."""
    if isinstance(value, dict):
        return {key: epochs(item) for key, item in value.items()}
    if isinstance(value, list):
        return [epochs(item) for item in value]
    return value.timestamp() if hasattr(value, "timestamp") else value

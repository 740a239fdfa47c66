from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import botocore.model
import botocore.parsers
import botocore.serialize
import botocore.session
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.wire.shape_values import fitting

from sagestead.domain.errors import Invalid
from sagestead.wire import query
from sagestead.wire.models import service_model

REQUESTS = ("iam CreateRole", "iam ListPolicies", "iam SimulatePrincipalPolicy", "sts AssumeRole")
ANSWERS = (
    "iam GetRole",
    "iam ListRoles",
    "iam SimulatePrincipalPolicy",
    "sts AssumeRole",
    "iam GetPolicyVersion",
)
quick = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@pytest.fixture(scope="module")
def models() -> dict[str, botocore.model.ServiceModel]:
    session = botocore.session.get_session()
    return {name: session.get_service_model(name) for name in ("iam", "sts")}


def refused(fields: dict[str, str], operation: str = "CreateRole") -> Invalid:
    with pytest.raises(Invalid) as raised:
        query.decode("iam", operation, fields)
    assert raised.value.code == "ValidationError"
    return raised.value


def test_a_form_is_decoded_as_utf_8() -> None:
    assert query.form(b"a=%C3%A9+b&c=&d") == {"a": "é b", "c": "", "d": ""}


@pytest.mark.parametrize("body", [b"a=%ff", b"a=1&a=2", b"&".join(b"f%d=" % n for n in range(5001))])
def test_a_bad_form_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        query.form(body)


def test_members_lists_and_structures_are_named_by_dots() -> None:
    fields = {
        "Action": "CreateRole",
        "RoleName": "r",
        "AssumeRolePolicyDocument": "{}",
        "MaxSessionDuration": "3600",
        "Tags.member.2.Key": "b",
        "Tags.member.2.Value": "2",
        "Tags.member.1.Key": "a",
        "Tags.member.1.Value": "",
        "Unknown.member.1": "x",
    }
    assert query.decode("iam", "CreateRole", fields) == {
        "RoleName": "r",
        "AssumeRolePolicyDocument": "{}",
        "MaxSessionDuration": 3600,
        "Tags": [{"Key": "a", "Value": ""}, {"Key": "b", "Value": "2"}],
    }


def test_an_index_is_not_a_size() -> None:
    fields = {"PolicySourceArn": "arn:aws:iam::1:role/r", "ActionNames.member.999999999": "s3:Get"}
    request = query.decode("iam", "SimulatePrincipalPolicy", fields)
    assert request["ActionNames"] == ["s3:Get"]


def test_broken_constraints_are_reported_with_the_code_of_query_services() -> None:
    refusal = refused({"RoleName": "", "AssumeRolePolicyDocument": "x"})
    assert refusal.sentence == (
        "2 validation errors detected: Value '' at 'roleName' failed to satisfy constraint: Member must have "
        "length greater than or equal to 1; Value '' at 'roleName' failed to satisfy constraint: Member must "
        r"satisfy regular expression pattern: [\w+=,.@-]+"
    )
    assert "Value null at 'assumeRolePolicyDocument'" in refused({"RoleName": "r"}).sentence


@pytest.mark.parametrize(
    ("field", "value", "part"),
    [
        ("MaxSessionDuration", "soon", "not a whole number"),
        ("MaxSessionDuration", "1" * 30, "not a whole number"),
        ("MaxSessionDuration", "99999999999", "does not fit"),
        ("Tags.member.0.Key", "a", "not a list index"),
        ("Tags.member.x.Key", "a", "not a list index"),
        ("Tags.member.1.Key.deeper", "a", "must be one value"),
        ("RoleName.member.1", "a", "must be one value"),
        ("Tags..Key", "a", "empty part"),
        ("", "a", "empty part"),
        (".".join("a" * 40), "a", "nested deeper"),
    ],
)
def test_fields_of_the_wrong_form_are_refused(field: str, value: str, part: str) -> None:
    assert part in refused({field: value}).sentence


def test_an_answer_without_output_has_only_metadata() -> None:
    assert query.encode("iam", "DeleteRole", {}, "id-1").decode() == (
        '<DeleteRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
        "<ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata></DeleteRoleResponse>"
    )


def test_an_answer_escapes_text_and_writes_times_as_iso_8601() -> None:
    policy = {
        "Description": "<a> & \x00\r",
        "CreateDate": 1529870369.0,
        "UpdateDate": 1529870369.986,
        "Tags": None,
    }
    text = query.encode("iam", "GetPolicy", {"Policy": policy}, "id").decode()
    assert "<Description>&lt;a&gt; &amp; \ufffd&#13;</Description>" in text
    assert "<CreateDate>2018-06-24T19:59:29Z</CreateDate>" in text
    assert "<UpdateDate>2018-06-24T19:59:29.986Z</UpdateDate>" in text
    assert "Tags" not in text


@quick
@given(data=st.data(), name=st.sampled_from(REQUESTS))
def test_what_botocore_writes_is_read_back(
    data: st.DataObject, name: str, models: dict[str, botocore.model.ServiceModel]
) -> None:
    service, operation = name.split()
    shape = service_model(service).operation(operation).input
    assert shape is not None
    request = data.draw(fitting(shape))
    serializer = botocore.serialize.create_serializer("query", include_validation=False)
    written = serializer.serialize_to_request(request, models[service].operation_model(operation))
    fields = query.form(urlencode(written["body"]).encode())
    assert fields["Action"] == operation
    assert query.decode(service, operation, fields) == (sayable(request) or {})


@quick
@given(data=st.data(), name=st.sampled_from(ANSWERS))
def test_what_is_written_botocore_reads_back(
    data: st.DataObject, name: str, models: dict[str, botocore.model.ServiceModel]
) -> None:
    service, operation = name.split()
    shape = service_model(service).operation(operation).output
    assert shape is not None
    answer = data.draw(fitting(shape))
    body = query.encode(service, operation, answer, "id")
    parser = botocore.parsers.create_parser("query")
    model = models[service].operation_model(operation).output_shape
    read = parser.parse({"status_code": 200, "headers": {}, "body": body}, model)
    assert read.pop("ResponseMetadata")["RequestId"] == "id"
    assert epochs(read) == readable(answer)


@given(
    body=st.binary(max_size=100)
    | st.lists(st.text("aTags.member1Key=&%", max_size=12)).map("&".join).map(str.encode)
)
@settings(max_examples=100, deadline=None)
def test_any_form_is_read_or_refused(body: bytes) -> None:
    try:
        query.decode("iam", "CreateRole", query.form(body))
    except Invalid as refusal:
        refusal.sentence.encode()


def sayable(value: Any) -> Any:
    """Return what a form can say; None for nothing (an empty structure; an empty list is a field)."""
    if isinstance(value, dict):
        members = {key: sayable(item) for key, item in value.items()}
        return {key: item for key, item in members.items() if item is not None} or None
    if isinstance(value, list) and value:
        return [item for item in map(sayable, value) if item is not None] or None
    return value


def epochs(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: epochs(item) for key, item in value.items()}
    if isinstance(value, list):
        return [epochs(item) for item in value]
    return value.timestamp() if hasattr(value, "timestamp") else value


def readable(value: Any) -> Any:
    """Return text as XML can hold it."""
    if isinstance(value, dict):
        return {readable(key): readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [readable(item) for item in value]
    return query._NOT_XML.sub("\ufffd", value) if isinstance(value, str) else value

from __future__ import annotations

from typing import Any

import pytest

from sagestead.wire.constraints import failures, sentence
from sagestead.wire.models import service_model
from sagestead.wire.shapes import Shape

NAME = "^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"


def shape(operation: str, service: str = "sagemaker") -> Shape:
    found = service_model(service).operation(operation).input
    assert found is not None
    return found


def told(operation: str, request: dict[str, Any]) -> list[str]:
    return [str(failure) for failure in failures(shape(operation), request, "^")]


def test_a_good_request_breaks_nothing() -> None:
    assert told("CreateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c"}) == []


def test_a_missing_member_is_null_without_quotes() -> None:
    assert sentence(failures(shape("DeleteEndpoint"), {})) == (
        "1 validation error detected: Value null at 'endpointName' failed to satisfy constraint: "
        "Member must not be null"
    )


def test_members_of_list_items_are_counted_from_one() -> None:
    variant = {"VariantName": "a_b", "ModelName": "m", "InstanceType": "ml.x", "InitialInstanceCount": 0}
    request = {"EndpointConfigName": "c", "ProductionVariants": [{"VariantName": "v"}, variant]}
    found = told("CreateEndpointConfig", request)
    at = "productionVariants.2.member"
    assert found[0] == (
        f"Value 'a_b' at '{at}.variantName' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {NAME}"
    )
    assert found[1] == (
        f"Value '0' at '{at}.initialInstanceCount' failed to satisfy constraint: "
        "Member must have value greater than or equal to 1"
    )
    assert found[2].startswith(
        f"Value 'ml.x' at '{at}.instanceType' failed to satisfy constraint: "
        "Member must satisfy enum value set: ["
    )
    assert "ml.m5.large, " in found[2]
    assert len(found) == 3


def test_a_list_of_text_reports_all_rules_of_its_items() -> None:
    vpc = {"SecurityGroupIds": ["sg-1", "sg 2"], "Subnets": ["s"]}
    (found,) = told("CreateModel", {"ModelName": "m", "VpcConfig": vpc})
    assert found == (
        "Value '[sg-1, sg 2]' at 'vpcConfig.securityGroupIds' failed to satisfy constraint: "
        "Member must satisfy constraint: [Member must have length less than or equal to 32, "
        "Member must have length greater than or equal to 0, "
        "Member must satisfy regular expression pattern: ^[-0-9a-zA-Z]+]"
    )


def test_maps_report_keys_and_values_and_environments_stay_secret() -> None:
    container = {"Image": "i", "Environment": {"A B": "secret"}}
    found = told("CreateModel", {"ModelName": "m", "PrimaryContainer": container})
    assert len(found) == 1
    assert found[0].startswith(
        "Value at 'primaryContainer.environment' failed to satisfy constraint: "
        "Map keys must satisfy constraint: [Member must have length less than or equal to 1024"
    )
    request = {"HyperParameters": {"eta": "1" * 2501}}
    value = next(one for one in told("CreateTrainingJob", request) if "hyperParameters" in one)
    assert "Map value must satisfy constraint: [Member must have length less than or equal to 2500" in value


def test_a_null_in_a_list_is_reported() -> None:
    assert "Value null at 'tags.1.member' failed to satisfy constraint: Member must not be null" in told(
        "CreateModel", {"ModelName": "m", "Tags": [None]}
    )


def test_structures_and_lists_are_written_as_java_writes_them() -> None:
    tags = [{"Key": "k", "Value": "v"}] * 51
    (found,) = told("CreateModel", {"ModelName": "m", "Tags": tags})
    assert found.startswith("Value '[Tag(Key=k, Value=v), Tag(Key=k, Value=v)")
    assert found.endswith(
        "...' at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50"
    )
    assert len(found) < 1200


def test_a_sensitive_value_is_left_out() -> None:
    secret = Shape("S", "string", maximum=3, sensitive=True)
    root = Shape(
        "R", "structure", members={"Body": secret, "All": Shape("L", "list", item=secret, maximum=0)}
    )
    found = failures(root, {"Body": "12345", "All": ["12"]})
    rule = "failed to satisfy constraint: Member must have length less than or equal to"
    assert str(found[0]) == f"Value at 'body' {rule} 3"
    assert str(found[1]) == f"Value '[***Sensitive Data Redacted***]' at 'all' {rule} 0"


def test_what_is_told_is_bounded() -> None:
    text = sentence(failures(shape("CreateModel"), {"ModelName": "m", "Tags": [None] * 50_000}))
    assert text.startswith("1000 validation errors detected: ")
    assert len(text) < 20_000


@pytest.mark.parametrize(
    ("name", "fits"),
    [("a", True), ("a" * 63, True), ("a-b", True), ("a\n", False), ("a-", False), ("é", False)],
)
def test_patterns_match_the_whole_value(name: str, *, fits: bool) -> None:
    assert (told("DeleteEndpoint", {"EndpointName": name}) == []) == fits


def test_services_other_than_sagemaker_print_patterns_unanchored() -> None:
    found = failures(shape("GetRole", "iam"), {"RoleName": "a b"})
    assert str(found[0]).endswith(r"pattern: [\w+=,.@-]+")

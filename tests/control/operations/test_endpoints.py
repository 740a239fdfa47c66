"""Endpoints: records as the reconciler finds them, answers as clients see them."""

from typing import Any

import pytest
from tests.control.operations.service import ACCOUNT, IMAGE, Service

from sagestead.control.operations.endpoints import HOLDS
from sagestead.domain.resources import Kind

ARN = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint/pets"
IN_PROGRESS = f'Cannot update in-progress endpoint "{ARN}".'
AT_ONCE = {
    "BlueGreenUpdatePolicy": {
        "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    }
}
SUMMARY = {
    "VariantName": "AllTraffic",
    "CurrentWeight": 1.0,
    "DesiredWeight": 1.0,
    "CurrentInstanceCount": 1,
    "DesiredInstanceCount": 1,
}


@pytest.fixture
def pets(service: Service) -> Service:
    """An endpoint `pets` that is in service with configuration `config`."""
    service.put("b", "model.tar.gz")
    service.model(ModelDataUrl="s3://b/model.tar.gz", Environment={"A": "1"})
    service.config(ContainerStartupHealthCheckTimeoutInSeconds=60)
    service.endpoint("pets")
    service.becomes(
        Kind.ENDPOINT, "pets", "InService", EndpointConfigName="config", ProductionVariants=[SUMMARY]
    )
    service.now += 1
    return service


def update(service: Service, config: str = "config", **members: Any) -> None:
    service.call("UpdateEndpoint", EndpointName="pets", EndpointConfigName=config, **members)


def scale(service: Service, *wanted: dict[str, Any]) -> None:
    service.call(
        "UpdateEndpointWeightsAndCapacities", EndpointName="pets", DesiredWeightsAndCapacities=wanted
    )


def desired(service: Service) -> list[tuple[str, int, float]]:
    variants = service.record(Kind.ENDPOINT, "pets").spec["ProductionVariants"]
    return [(one["VariantName"], one["DesiredInstanceCount"], one["DesiredWeight"]) for one in variants]


def test_an_endpoint_is_a_snapshot_of_its_configuration_and_models(service: Service) -> None:
    service.put("b", "model.tar.gz")
    service.model(ModelDataUrl="s3://b/model.tar.gz", Environment={"A": "1"})
    service.config(InitialInstanceCount=2, InitialVariantWeight=0.5, VolumeSizeInGB=8)
    service.call("CreateEndpoint", EndpointName="pets", EndpointConfigName="config", DeploymentConfig=AT_ONCE)
    service.call("DeleteEndpointConfig", EndpointConfigName="config")
    service.call("DeleteModel", ModelName="cats")
    record = service.record(Kind.ENDPOINT, "pets")
    assert record.spec == {
        "EndpointConfigName": "config",
        "ProductionVariants": [
            {
                "VariantName": "AllTraffic",
                "ModelName": "cats",
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 2,
                "InitialVariantWeight": 0.5,
                "DesiredInstanceCount": 2,
                "DesiredWeight": 0.5,
                "Container": {
                    "Image": IMAGE,
                    "ModelDataUrl": "s3://b/model.tar.gz",
                    "Environment": {"A": "1"},
                },
            }
        ],
        "DeploymentConfig": AT_ONCE,
    }
    assert (record.status, record.due_at, record.generation, record.detail) == (
        "Creating",
        service.now,
        1,
        {},
    )
    assert service.call("DescribeEndpoint", EndpointName="pets") == {
        "EndpointName": "pets",
        "EndpointArn": ARN,
        "EndpointConfigName": "config",
        "EndpointStatus": "Creating",
        "LastDeploymentConfig": AT_ONCE,
        "CreationTime": service.now,
        "LastModifiedTime": service.now,
    }


def test_describe_shows_what_became_of_it_and_nothing_internal(pets: Service) -> None:
    pets.becomes(Kind.ENDPOINT, "pets", "InService", _serving={"generation": 1})
    described = pets.call("DescribeEndpoint", EndpointName="pets")
    assert described == {
        "EndpointName": "pets",
        "EndpointArn": ARN,
        "EndpointConfigName": "config",
        "EndpointStatus": "InService",
        "ProductionVariants": [SUMMARY],
        "CreationTime": pets.now - 1,
        "LastModifiedTime": pets.now,
    }


def test_a_describe_waits_while_the_endpoint_changes() -> None:
    hold = HOLDS["DescribeEndpoint"]
    assert hold.member == "EndpointStatus"
    assert sorted(hold.transitional) == ["Creating", "Deleting", "Updating"]


def test_an_update_keeps_showing_what_serves_until_it_is_done(pets: Service) -> None:
    pets.config("second", InitialInstanceCount=3)
    update(pets, "second")
    record = pets.record(Kind.ENDPOINT, "pets")
    assert (record.status, record.generation, record.due_at) == ("Updating", 2, pets.now)
    assert desired(pets) == [("AllTraffic", 3, 1.0)]
    described = pets.call("DescribeEndpoint", EndpointName="pets")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("Updating", "config")
    assert described["LastModifiedTime"] == pets.now


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, [("AllTraffic", 1, 0.25), ("New", 1, 1.0)]),
        ({"RetainAllVariantProperties": True}, [("AllTraffic", 4, 7.0), ("New", 1, 1.0)]),
        (
            {
                "RetainAllVariantProperties": True,
                "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredWeight"}],
            },
            [("AllTraffic", 4, 0.25), ("New", 1, 1.0)],
        ),
        (
            {
                "RetainAllVariantProperties": True,
                "ExcludeRetainedVariantProperties": [
                    {"VariantPropertyType": "DesiredInstanceCount"},
                    {"VariantPropertyType": "DataCaptureConfig"},
                ],
            },
            [("AllTraffic", 1, 7.0), ("New", 1, 1.0)],
        ),
    ],
)
def test_an_update_may_keep_counts_and_weights(
    pets: Service, members: dict[str, Any], expected: list[tuple[str, int, float]]
) -> None:
    scale(pets, {"VariantName": "AllTraffic", "DesiredWeight": 7, "DesiredInstanceCount": 4})
    pets.becomes(Kind.ENDPOINT, "pets", "InService")
    variant = {"ModelName": "cats", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    pets.call(
        "CreateEndpointConfig",
        EndpointConfigName="second",
        ProductionVariants=[
            {**variant, "VariantName": "AllTraffic", "InitialVariantWeight": 0.25},
            {**variant, "VariantName": "New"},
        ],
    )
    update(pets, "second", **members)
    assert desired(pets) == expected


def test_an_update_may_keep_the_deployment(pets: Service) -> None:
    update(pets, DeploymentConfig=AT_ONCE)
    pets.becomes(Kind.ENDPOINT, "pets", "InService")
    update(pets, RetainDeploymentConfig=True)
    assert pets.record(Kind.ENDPOINT, "pets").spec["DeploymentConfig"] == AT_ONCE
    pets.becomes(Kind.ENDPOINT, "pets", "InService")
    update(pets)
    assert "LastDeploymentConfig" not in pets.call("DescribeEndpoint", EndpointName="pets")


def test_scaling_changes_the_same_generation(pets: Service) -> None:
    scale(pets, {"VariantName": "AllTraffic", "DesiredInstanceCount": 2})
    record = pets.record(Kind.ENDPOINT, "pets")
    assert (record.status, record.generation, record.due_at, record.modified_at) == (
        "Updating",
        1,
        pets.now,
        pets.now,
    )
    assert desired(pets) == [("AllTraffic", 2, 1.0)]


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (
            [{"VariantName": "Other"}],
            'The variant name(s) "Other" is/are not present within endpoint configuration "',
        ),
        ([{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}], "DesiredInstanceCount 0 is not"),
        ([{"VariantName": "AllTraffic"}] * 2, 'The variant name "AllTraffic" was non-unique within'),
        (
            [{"VariantName": "AllTraffic", "ServerlessUpdateConfig": {"MaxConcurrency": 1}}],
            "ServerlessUpdateConfig is not supported",
        ),
    ],
)
def test_scaling_that_cannot_be_is_refused(pets: Service, wanted: Any, sentence: str) -> None:
    code, said = pets.refusal(
        "UpdateEndpointWeightsAndCapacities", EndpointName="pets", DesiredWeightsAndCapacities=wanted
    )
    assert code == "ValidationException"
    assert sentence in said
    assert pets.record(Kind.ENDPOINT, "pets").status == "InService"


def test_deletion_returns_at_once_and_the_endpoint_is_seen_until_it_is_gone(pets: Service) -> None:
    assert pets.call("DeleteEndpoint", EndpointName="pets") is None
    record = pets.record(Kind.ENDPOINT, "pets")
    assert (record.status, record.due_at) == ("Deleting", pets.now)
    assert pets.call("DescribeEndpoint", EndpointName="pets")["EndpointStatus"] == "Deleting"
    pets.resources.delete(record)
    absent = ("ValidationException", f'Could not find endpoint "{ARN}".')
    assert pets.refusal("UpdateEndpoint", EndpointName="pets", EndpointConfigName="x") == absent
    assert pets.refusal("DescribeEndpoint", EndpointName="pets") == absent
    assert pets.refusal("DeleteEndpoint", EndpointName="pets") == absent


CALLS: dict[str, dict[str, Any]] = {
    "UpdateEndpoint": {"EndpointConfigName": "config"},
    "UpdateEndpointWeightsAndCapacities": {"DesiredWeightsAndCapacities": [{"VariantName": "AllTraffic"}]},
    "DeleteEndpoint": {},
}


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("status", ["Creating", "Updating", "Deleting"])
def test_an_endpoint_in_progress_is_not_changed(pets: Service, operation: str, status: str) -> None:
    pets.becomes(Kind.ENDPOINT, "pets", status)
    refusal = pets.refusal(operation, EndpointName="pets", **CALLS[operation])
    assert refusal == ("ValidationException", IN_PROGRESS)


def test_of_a_failed_endpoint_only_deletion_is_allowed(pets: Service) -> None:
    pets.becomes(Kind.ENDPOINT, "pets", "Failed", FailureReason="why")
    for operation in ("UpdateEndpoint", "UpdateEndpointWeightsAndCapacities"):
        code, sentence = pets.refusal(operation, EndpointName="pets", **CALLS[operation])
        assert code == "ValidationException"
        assert sentence.startswith(f'Cannot update endpoint "{ARN}" in Failed status')
    assert pets.call("DescribeEndpoint", EndpointName="pets")["FailureReason"] == "why"
    pets.call("DeleteEndpoint", EndpointName="pets")


@pytest.mark.parametrize(
    ("deployment", "sentence"),
    [
        ({"RollingUpdatePolicy": {"MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1},
                                  "WaitIntervalInSeconds": 0}}, "RollingUpdatePolicy is not supported"),
        ({"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {
            "Type": "CANARY", "WaitIntervalInSeconds": 0}}}, 'Type "CANARY" is not supported'),
        ({"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {
            "Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 60}}}, "WaitIntervalInSeconds 60 is not"),
        ({**AT_ONCE, "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}]}}, "AutoRollback"),
    ],
)  # fmt: skip
def test_a_deployment_that_is_not_carried_out_is_refused_by_name(
    pets: Service, deployment: dict[str, Any], sentence: str
) -> None:
    members = {"EndpointConfigName": "config", "DeploymentConfig": deployment}
    for operation, name in (("CreateEndpoint", "new"), ("UpdateEndpoint", "pets")):
        code, said = pets.refusal(operation, EndpointName=name, **members)
        assert code == "ValidationException"
        assert sentence in said


def test_what_is_named_must_be_there_and_names_are_unique(pets: Service) -> None:
    absent = f'Could not find endpoint configuration "{ARN.replace("endpoint/pets", "endpoint-config/x")}".'
    for operation, name in (("CreateEndpoint", "new"), ("UpdateEndpoint", "pets")):
        refusal = pets.refusal(operation, EndpointName=name, EndpointConfigName="x")
        assert refusal == ("ValidationException", absent)
    assert pets.refusal("CreateEndpoint", EndpointName="PETS", EndpointConfigName="config") == (
        "ValidationException",
        f'Cannot create already existing endpoint "{ARN}".',
    )
    pets.call("DeleteModel", ModelName="cats")
    for operation, name in (("CreateEndpoint", "new"), ("UpdateEndpoint", "pets")):
        said = pets.refusal(operation, EndpointName=name, EndpointConfigName="config")[1]
        assert said.startswith("Could not find model")


def test_an_update_that_contradicts_itself_is_refused(pets: Service) -> None:
    said = pets.refusal(
        "UpdateEndpoint",
        EndpointName="pets",
        EndpointConfigName="config",
        RetainDeploymentConfig=True,
        DeploymentConfig=AT_ONCE,
    )[1]
    assert "exclude each other" in said


def test_an_endpoint_has_at_most_a_hundred_instances_of_a_type(pets: Service) -> None:
    limit = "The account-level service limit 'ml.m5.large for endpoint usage' is 100 Instances, with current "
    pets.config("big", InitialInstanceCount=101)
    for operation, name, before in (("CreateEndpoint", "new", 0), ("UpdateEndpoint", "pets", 1)):
        code, said = pets.refusal(operation, EndpointName=name, EndpointConfigName="big")
        assert code == "ResourceLimitExceeded"
        assert said.startswith(
            f"{limit}utilization of {before} Instances and a request delta of {101 - before} Instances. "
        )
    wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 101}]
    code, said = pets.refusal(
        "UpdateEndpointWeightsAndCapacities", EndpointName="pets", DesiredWeightsAndCapacities=wanted
    )
    assert code == "ResourceLimitExceeded"
    assert said.startswith(limit)

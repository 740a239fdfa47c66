"""Endpoint configurations: what is accepted, echoed and refused."""

from typing import Any

import pytest
from tests.control.operations.service import ACCOUNT, ROLE, Service

ARN = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint-config/config"
VARIANT = {
    "VariantName": "AllTraffic",
    "ModelName": "cats",
    "InstanceType": "ml.m5.large",
    "InitialInstanceCount": 1,
}
OFF = {
    "EnableCapture": False,
    "InitialSamplingPercentage": 20,
    "DestinationS3Uri": "s3://b/c",
    "CaptureOptions": [{"CaptureMode": "Input"}],
}


def test_a_configuration_is_described_as_it_was_made(service: Service) -> None:
    service.model()
    service.role()
    answer = service.call(
        "CreateEndpointConfig",
        EndpointConfigName="config",
        ProductionVariants=[VARIANT, {**VARIANT, "VariantName": "B", "InitialVariantWeight": 0.5}],
        ExecutionRoleArn=ROLE,
        DataCaptureConfig=OFF,
        Tags=[],
    )
    assert answer == {"EndpointConfigArn": ARN}
    assert service.call("DescribeEndpointConfig", EndpointConfigName="config") == {
        "EndpointConfigName": "config",
        "EndpointConfigArn": ARN,
        "ProductionVariants": [
            {**VARIANT, "InitialVariantWeight": 1.0},
            {**VARIANT, "VariantName": "B", "InitialVariantWeight": 0.5},
        ],
        "ExecutionRoleArn": ROLE,
        "DataCaptureConfig": OFF,
        "EnableNetworkIsolation": False,
        "CreationTime": service.now,
    }


@pytest.mark.parametrize(
    ("variant", "sentence"),
    [
        ({"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}}, "ServerlessConfig is not"),
        ({"ManagedInstanceScaling": {"Status": "ENABLED"}}, "ManagedInstanceScaling is not supported"),
        ({"AcceleratorType": "ml.eia1.medium"}, 'AcceleratorType "ml.eia1.medium" is not supported'),
        ({"EnableSSMAccess": True}, "EnableSSMAccess true is not supported"),
        ({"CoreDumpConfig": {"DestinationS3Uri": "s3://b/c"}}, "CoreDumpConfig is not supported"),
        ({"RoutingConfig": {"RoutingStrategy": "RANDOM"}}, 'RoutingStrategy "RANDOM" is not supported'),
        ({"ModelName": None}, "ProductionVariants.1.ModelName is missing"),
        ({"InstanceType": None}, "ProductionVariants.1.InstanceType is missing"),
        ({"InitialInstanceCount": None}, "ProductionVariants.1.InitialInstanceCount is missing"),
        ({"ModelName": "dogs"}, f'Could not find model "arn:aws:sagemaker:us-east-1:{ACCOUNT}:model/dogs".'),
    ],
)
def test_a_variant_that_is_not_carried_out_is_refused_by_name(
    service: Service, variant: dict[str, Any], sentence: str
) -> None:
    service.model()
    code, said = service.refusal(
        "CreateEndpointConfig", EndpointConfigName="config", ProductionVariants=[{**VARIANT, **variant}]
    )
    assert code == "ValidationException"
    assert sentence in said


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"ShadowProductionVariants": [VARIANT]}, "ShadowProductionVariants is not supported"),
        ({"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://b/c"}}}, "AsyncInferenceConfig"),
        ({"ExplainerConfig": {"ClarifyExplainerConfig": {"EnableExplanations": "x"}}}, "ExplainerConfig"),
        ({"DataCaptureConfig": {**OFF, "EnableCapture": True}}, "DataCaptureConfig is not supported"),
        ({"DataCaptureConfig": {**OFF, "EnableCapture": None}}, "DataCaptureConfig is not supported"),
        ({"KmsKeyId": "key"}, 'KmsKeyId "key" is not supported'),
        ({"VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["s-1"]}}, "VpcConfig is not supported"),
        ({"EnableNetworkIsolation": True}, "EnableNetworkIsolation true is not supported"),
        ({"MetricsConfig": {"EnableEnhancedMetrics": True}}, "MetricsConfig is not supported"),
        ({"ProductionVariants": [VARIANT, VARIANT]}, "no name may appear twice"),
        ({"ExecutionRoleArn": ROLE}, "Could not assume role"),
    ],
)
def test_a_configuration_that_is_not_carried_out_is_refused_by_name(
    service: Service, request_: dict[str, Any], sentence: str
) -> None:
    service.model()
    standard: dict[str, Any] = {"EndpointConfigName": "config", "ProductionVariants": [VARIANT]}
    code, said = service.refusal("CreateEndpointConfig", **standard | request_)
    assert code == "ValidationException"
    assert sentence in said


def test_what_asks_for_nothing_is_accepted(service: Service) -> None:
    service.model()
    service.call(
        "CreateEndpointConfig",
        EndpointConfigName="config",
        ProductionVariants=[{**VARIANT, "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}}],
        KmsKeyId="",
        EnableNetworkIsolation=False,
    )
    described = service.call("DescribeEndpointConfig", EndpointConfigName="config")
    assert described["KmsKeyId"] == ""


def test_names_are_unique_and_free_again_after_deletion(service: Service) -> None:
    service.model()
    service.config("config")
    assert service.refusal(
        "CreateEndpointConfig", EndpointConfigName="CONFIG", ProductionVariants=[VARIANT]
    ) == ("ValidationException", f'Cannot create already existing endpoint configuration "{ARN}".')
    assert service.call("DeleteEndpointConfig", EndpointConfigName="config") is None
    absent = ("ValidationException", f'Could not find endpoint configuration "{ARN}".')
    assert service.refusal("DeleteEndpointConfig", EndpointConfigName="config") == absent
    assert service.refusal("DescribeEndpointConfig", EndpointConfigName="config") == absent
    service.config("config")


def test_configurations_are_listed(service: Service) -> None:
    service.model()
    service.config("config")
    assert service.call("ListEndpointConfigs") == {
        "EndpointConfigs": [
            {"EndpointConfigName": "config", "EndpointConfigArn": ARN, "CreationTime": service.now}
        ]
    }

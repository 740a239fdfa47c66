"""Every answer on the wire, at every stage of a thing's life: nothing empty, nothing required missing.

Strict clients (SDK 3.x) refuse a null or an empty structure that AWS would leave out, and miss what AWS's
shape requires.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

import pytest

BUCKET = "described"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
LIMITS: dict[str, Any] = {"MaxRuntimeInSeconds": 600}
MACHINE: dict[str, Any] = {"InstanceType": "ml.m5.large", "InstanceCount": 1}
VARIANT = {"VariantName": "AllTraffic", "ModelName": "described", "InstanceType": "ml.m5.large",
           "InitialInstanceCount": 1}  # fmt: skip
# AWS itself answers these without members; the second line is what the test sends empty, which comes back.
BARE = {"CreatedBy", "LastModifiedBy"} | {
    "Environment", "CollectionConfigurations", "IntegerParameterRanges", "CategoricalParameterRanges"
}  # fmt: skip
ENDS = {"Completed", "InService", "Failed", "Stopped"}


class Hotels(Protocol):
    train: bytes
    validation: bytes
    test: bytes


def faults(shape: Any, value: Any, path: str) -> list[str]:
    """Return what a strict client would refuse in a JSON value of a shape of botocore's."""
    if value is None:
        return [f"{path} is null"]
    if shape.type_name == "list":
        nested = [faults(shape.member, item, f"{path}.{at}") for at, item in enumerate(value)]
    elif shape.type_name == "map":
        nested = [faults(shape.value, item, f"{path}.{key}") for key, item in value.items()]
    elif shape.type_name == "structure":
        nested = [[f"{path} is empty"] if not value and path.rpartition(".")[2] not in BARE else []]
        nested += [[f"{path}.{name} is missing"] for name in shape.required_members if name not in value]
        nested += [[f"{path}.{name} is unknown"] for name in value if name not in shape.members]
        nested += [
            [f"{path}.{name} is empty"]
            for name, member in value.items()
            if member in ([], {}) and name not in shape.required_members and name not in BARE
        ]
        known = [(name, member) for name, member in value.items() if name in shape.members]
        nested += [faults(shape.members[name], member, f"{path}.{name}") for name, member in known]
    else:
        return []
    return [fault for some in nested for fault in some]


class Wire:
    """A client of SageMaker that holds every answer, as it came, against its shape."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.seen: set[str] = set()
        self.faults: set[str] = set()
        client.meta.events.register("before-parse.sagemaker.*", self.look)

    def look(self, operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
        shape = operation_model.output_shape
        if response_dict["status_code"] != 200 or shape is None:
            return
        self.seen.add(operation_model.name)
        self.faults.update(faults(shape, json.loads(response_dict["body"] or b"{}"), operation_model.name))

    def until_it_ends(self, kind: str, name: str) -> None:
        describe = getattr(self.client, f"describe_{kind}")
        subject = {"hyper_parameter_tuning_job": "HyperParameterTuningJob"}.get(
            kind, "".join(word.title() for word in kind.split("_"))
        )
        for _ in range(50):  # an answer about something under way waits for its next change
            answer = describe(**{f"{subject}Name": name})
            if answer[f"{subject}Status"] in ENDS:
                assert answer[f"{subject}Status"] in {"Completed", "InService"}, answer.get("FailureReason")
                return
        pytest.fail(f"{name} is still under way")


def test_answers_hold_nothing_empty_and_all_that_is_required(
    client: Callable[..., Any], environment: dict[str, str], hotels: Hotels
) -> None:
    s3, wire, role = client("s3"), Wire(client("sagemaker")), environment["SAGEMAKER_ROLE_ARN"]
    sagemaker = wire.client
    s3.create_bucket(Bucket=BUCKET)
    for name in ("train", "validation", "test"):
        rows = b"".join(getattr(hotels, name).splitlines(keepends=True)[:300])
        s3.put_object(Bucket=BUCKET, Key=f"{name}.csv", Body=rows)
    training: dict[str, Any] = {
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": role,
        "InputDataConfig": [channel(name) for name in ("train", "validation")],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "StoppingCondition": LIMITS,
    }
    sagemaker.create_training_job(
        TrainingJobName="described", **training, ResourceConfig={**MACHINE, "VolumeSizeInGB": 30},
        HyperParameters={"objective": "binary:logistic", "num_round": "2", "eval_metric": "auc"},
        DebugHookConfig={"S3OutputPath": f"s3://{BUCKET}/debug", "CollectionConfigurations": []},
        ProfilerConfig={"S3OutputPath": f"s3://{BUCKET}/profile", "DisableProfiler": False},
        Environment={}, Tags=[],
    )  # fmt: skip
    wire.until_it_ends("training_job", "described")
    sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="described",
        HyperParameterTuningJobConfig={
            "Strategy": "Random",
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 2},
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "validation:auc"},
            "ParameterRanges": {
                "ContinuousParameterRanges": [{"Name": "eta", "MinValue": "0.1", "MaxValue": "0.5"}],
                "IntegerParameterRanges": [],
                "CategoricalParameterRanges": [],
            },
        },
        TrainingJobDefinition={
            **training,
            "ResourceConfig": {**MACHINE, "VolumeSizeInGB": 30},
            "StaticHyperParameters": {"objective": "binary:logistic", "num_round": "2"},
        },
    )
    wire.until_it_ends("hyper_parameter_tuning_job", "described")
    artifact = f"s3://{BUCKET}/out/described/output/model.tar.gz"
    container = {"Image": IMAGE, "ModelDataUrl": artifact}
    sagemaker.create_model(
        ModelName="described", ExecutionRoleArn=role, PrimaryContainer={**container, "Environment": {}}
    )
    sagemaker.describe_model(ModelName="described")
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/test.csv"}
    sagemaker.create_transform_job(
        TransformJobName="described", ModelName="described", TransformResources=MACHINE, Environment={},
        TransformInput={"DataSource": {"S3DataSource": source}, "ContentType": "text/csv"},
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/out"},
    )  # fmt: skip
    wire.until_it_ends("transform_job", "described")
    serve(wire)
    register(wire, container)
    listed(sagemaker)
    assert not wire.faults, "\n".join(sorted(wire.faults))
    assert len(wire.seen) > 20


def channel(name: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{name}.csv"}
    return {"ChannelName": name, "ContentType": "csv", "DataSource": {"S3DataSource": source}}


def serve(wire: Wire) -> None:
    sagemaker = wire.client
    sagemaker.create_endpoint_config(EndpointConfigName="described", ProductionVariants=[VARIANT], Tags=[])
    sagemaker.describe_endpoint_config(EndpointConfigName="described")
    sagemaker.create_endpoint(EndpointName="described", EndpointConfigName="described", Tags=[])
    wire.until_it_ends("endpoint", "described")
    sagemaker.update_endpoint(EndpointName="described", EndpointConfigName="described")
    wire.until_it_ends("endpoint", "described")
    sagemaker.delete_endpoint(EndpointName="described")


def register(wire: Wire, container: dict[str, str]) -> None:
    sagemaker = wire.client
    team = [{"Key": "team", "Value": "hotels"}]
    sagemaker.create_model_package_group(ModelPackageGroupName="described", Tags=team)
    group = sagemaker.describe_model_package_group(ModelPackageGroupName="described")
    sagemaker.list_tags(ResourceArn=group["ModelPackageGroupArn"])
    arn = sagemaker.create_model_package(
        ModelPackageGroupName="described",
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )["ModelPackageArn"]
    sagemaker.describe_model_package(ModelPackageName=arn)
    sagemaker.batch_describe_model_package(ModelPackageArnList=[arn])


def listed(sagemaker: Any) -> None:
    sagemaker.list_training_jobs()
    sagemaker.list_hyper_parameter_tuning_jobs()
    sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(HyperParameterTuningJobName="described")
    sagemaker.list_transform_jobs()
    sagemaker.list_models()
    sagemaker.list_endpoint_configs()
    sagemaker.list_endpoints()
    sagemaker.list_model_packages(ModelPackageGroupName="described")
    sagemaker.list_model_package_groups()

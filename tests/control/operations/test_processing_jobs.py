"""Processing jobs: what is accepted, echoed, stored and refused."""

from copy import deepcopy
from typing import Any

import pytest
from tests.control.operations.service import ACCOUNT, ROLE, Service

from sagestead.control.operations.processing_jobs import HOLDS
from sagestead.domain.resources import Json, Kind

ARN = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:processing-job/job"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
SOURCE: Json = {"S3Uri": "s3://b/in", "LocalPath": "/opt/ml/processing/input", "S3DataType": "S3Prefix"}
TARGET: Json = {
    "S3Uri": "s3://b/out",
    "LocalPath": "/opt/ml/processing/out",
    "S3UploadMode": "EndOfJob",
}
REQUEST: Json = {
    "ProcessingJobName": "Job",
    "ProcessingInputs": [{"InputName": "rows", "S3Input": SOURCE}],
    "ProcessingOutputConfig": {"Outputs": [{"OutputName": "out", "S3Output": TARGET}]},
    "ProcessingResources": {
        "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
    },
    "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["python3", "x.py"]},
    "RoleArn": ROLE,
}


@pytest.fixture
def ready(service: Service) -> Service:
    """An account with a role and a bucket."""
    service.role()
    service.put("b", "in/rows.csv")
    return service


def changed(**members: Any) -> Json:
    """Return REQUEST with members set by path (`ProcessingInputs__0__AppManaged`)."""
    request = deepcopy(REQUEST)
    for path, value in members.items():
        *parents, last = [int(part) if part.isdecimal() else part for part in path.split("__")]
        place: Any = request
        for name in parents:
            place = place[name] if isinstance(name, int) else place.setdefault(name, {})
        place[last] = value
    return request


def test_a_job_is_stored_and_described_with_defaults(ready: Service) -> None:
    assert ready.call("CreateProcessingJob", **REQUEST) == {"ProcessingJobArn": ARN}
    record = ready.record(Kind.PROCESSING_JOB, "Job")
    assert (record.status, record.due_at, record.detail) == ("InProgress", ready.now, {})
    defaults = {
        "S3InputMode": "File",
        "S3DataDistributionType": "FullyReplicated",
        "S3CompressionType": "None",
    }
    assert ready.call("DescribeProcessingJob", ProcessingJobName="Job") == {
        **REQUEST,
        "ProcessingInputs": [{"InputName": "rows", "AppManaged": False, "S3Input": {**SOURCE, **defaults}}],
        "ProcessingOutputConfig": {
            "Outputs": [{"OutputName": "out", "AppManaged": False, "S3Output": TARGET}]
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
        "ProcessingJobArn": ARN,
        "ProcessingJobStatus": "InProgress",
        "CreationTime": ready.now,
        "LastModifiedTime": ready.now,
    }


def test_the_least_that_a_job_needs(ready: Service) -> None:
    least = {name: REQUEST[name] for name in REQUEST if not name.startswith(("ProcessingI", "ProcessingO"))}
    ready.call("CreateProcessingJob", **least)
    shown = ready.call("DescribeProcessingJob", ProcessingJobName="Job")
    assert "ProcessingInputs" not in shown
    assert "ProcessingOutputConfig" not in shown


def test_an_ended_job_shows_what_the_reconciler_found(ready: Service) -> None:
    ready.call("CreateProcessingJob", **REQUEST)
    found = {"ExitMessage": "no rows", "FailureReason": "why", "ProcessingEndTime": 2.0}
    ready.becomes(Kind.PROCESSING_JOB, "Job", "Failed", _phase="Collecting", **found)
    shown = ready.call("DescribeProcessingJob", ProcessingJobName="Job")
    assert found.items() <= shown.items()
    (row,) = ready.call("ListProcessingJobs", StatusEquals="Failed")["ProcessingJobSummaries"]
    assert {**found, "ProcessingJobArn": ARN, "ProcessingJobName": "Job"}.items() <= row.items()
    assert ready.call("ListProcessingJobs", StatusEquals="Stopped") == {"ProcessingJobSummaries": []}


def test_stopping_and_deleting(ready: Service) -> None:
    ready.call("CreateProcessingJob", **REQUEST)
    code, sentence = ready.refusal("DeleteProcessingJob", ProcessingJobName="Job")
    assert (code, "is in status InProgress" in sentence) == ("ValidationException", True)
    for _ in range(2):
        assert ready.call("StopProcessingJob", ProcessingJobName="Job") is None
    assert ready.record(Kind.PROCESSING_JOB, "Job").status == "Stopping"
    ready.becomes(Kind.PROCESSING_JOB, "Job", "Stopped")
    assert ready.refusal("StopProcessingJob", ProcessingJobName="Job") == (
        "ValidationException",
        "The request was rejected because the processing job is in status Stopped.",
    )
    ready.due(Kind.PROCESSING_JOB, "Job", ready.now)
    assert ready.refusal("DeleteProcessingJob", ProcessingJobName="Job")[0] == "ThrottlingException"
    ready.becomes(Kind.PROCESSING_JOB, "Job", "Stopped")
    assert ready.call("DeleteProcessingJob", ProcessingJobName="Job") is None
    assert ready.refusal("DescribeProcessingJob", ProcessingJobName="Job") == (
        "ValidationException",
        "Could not find requested job with name: Job",
    )
    assert ready.refusal("StopProcessingJob", ProcessingJobName="Job") == (
        "ValidationException",
        "Could not find job to update with name: Job",
    )


def test_a_name_is_taken_in_any_case(ready: Service) -> None:
    ready.call("CreateProcessingJob", **REQUEST)
    code, said = ready.refusal("CreateProcessingJob", **changed(ProcessingJobName="JOB"))
    assert code == "ResourceInUse"
    assert said.startswith("Job name must be unique within an AWS account and region")
    assert said.endswith(f"({ARN})")


CLUSTER = "ProcessingResources__ClusterConfig__"
INPUT, OUTPUT = "ProcessingInputs__0__", "ProcessingOutputConfig__Outputs__0__"
TWICE = [{"InputName": "rows", "S3Input": SOURCE}] * 2


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("ExperimentConfig", {"TrialName": "t"}, "ExperimentConfig is not supported"),
        ("AppSpecification__ContainerEntrypoint", None, "AppSpecification.ContainerEntrypoint is missing"),
        (
            "NetworkConfig__VpcConfig",
            {"SecurityGroupIds": ["s"], "Subnets": ["s"]},
            "NetworkConfig.VpcConfig",
        ),
        (f"{CLUSTER}InstanceCount", None, "ProcessingResources.ClusterConfig.InstanceCount is missing"),
        (f"{CLUSTER}VolumeKmsKeyId", "k", "ProcessingResources.ClusterConfig.VolumeKmsKeyId"),
        (f"{CLUSTER}InstancePreferences", [{"InstanceType": "ml.m5.large"}], "InstancePreferences"),
        ("ProcessingInputs", TWICE, "ProcessingInputs names rows, rows: no name may appear twice."),
        (f"{INPUT}AppManaged", True, "ProcessingInputs.1.AppManaged true is not supported"),
        (f"{INPUT}DatasetDefinition", {"LocalPath": "/x"}, "ProcessingInputs.1.DatasetDefinition"),
        (f"{INPUT}S3Input", None, "ProcessingInputs.1.S3Input is missing"),
        (f"{INPUT}S3Input__S3InputMode", "Pipe", 'ProcessingInputs.1.S3Input.S3InputMode "Pipe"'),
        (f"{INPUT}S3Input__S3CompressionType", "Gzip", "ProcessingInputs.1.S3Input.S3CompressionType"),
        (f"{INPUT}S3Input__LocalPath", None, "ProcessingInputs.1.S3Input.LocalPath is missing"),
        (f"{INPUT}S3Input__LocalPath", "/etc", "ProcessingInputs.1.S3Input.LocalPath '/etc' is not a folder"),
        (f"{INPUT}S3Input__LocalPath", "/opt/ml/processing/../x", "is not a folder below /opt/ml/processing"),
        (f"{OUTPUT}S3Output__LocalPath", "/opt/ml/processing", "is not a folder below /opt/ml/processing"),
        (f"{OUTPUT}S3Output__S3Uri", "s3://absent/x", "The bucket of ProcessingOutputConfig.Outputs.1"),
        (f"{OUTPUT}S3Output", None, "ProcessingOutputConfig.Outputs.1.S3Output is missing"),
        (f"{OUTPUT}AppManaged", True, "ProcessingOutputConfig.Outputs.1.AppManaged"),
        (f"{OUTPUT}FeatureStoreOutput", {"FeatureGroupName": "f"}, "Outputs.1.FeatureStoreOutput"),
        ("ProcessingOutputConfig__KmsKeyId", "k", 'ProcessingOutputConfig.KmsKeyId "k"'),
        ("RoleArn", ROLE.replace("Worker", "Nobody"), "Could not assume role"),
    ],
)
def test_what_is_refused(ready: Service, path: str, value: Any, sentence: str) -> None:
    code, said = ready.refusal("CreateProcessingJob", **changed(**{path: value}))
    assert code == "ValidationException"
    assert sentence in said
    assert ready.call("ListProcessingJobs") == {"ProcessingJobSummaries": []}


def test_a_describe_waits_while_a_job_is_under_way() -> None:
    assert HOLDS["DescribeProcessingJob"].member == "ProcessingJobStatus"

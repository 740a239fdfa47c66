"""Transform jobs: what is accepted, echoed, stored and refused."""

from copy import deepcopy
from typing import Any

import pytest
from tests.control.operations.service import ACCOUNT, IMAGE, Service

from sagestead.control.operations.transform_jobs import HOLDS
from sagestead.domain.resources import Json, Kind

ARN = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:transform-job/job"
REQUEST: Json = {
    "TransformJobName": "Job",
    "ModelName": "cats",
    "BatchStrategy": "MultiRecord",
    "TransformInput": {
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in"}},
        "ContentType": "text/csv",
        "SplitType": "Line",
    },
    "TransformOutput": {"S3OutputPath": "s3://b/out", "AssembleWith": "Line", "Accept": "text/csv"},
    "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
}


@pytest.fixture
def ready(service: Service) -> Service:
    """An account with a model and a bucket."""
    service.put("b", "model.tar.gz")
    service.model(ModelDataUrl="s3://b/model.tar.gz")
    return service


def changed(**members: Any) -> Json:
    """Return REQUEST with members set by path (`TransformInput__SplitType`)."""
    request = deepcopy(REQUEST)
    for path, value in members.items():
        *parents, last = path.split("__")
        place = request
        for name in parents:
            place = place.setdefault(name, {})
        place[last] = value
    return request


def test_a_job_keeps_its_model_though_the_model_goes(ready: Service) -> None:
    assert ready.call("CreateTransformJob", **REQUEST) == {"TransformJobArn": ARN}
    ready.call("DeleteModel", ModelName="cats")
    record = ready.record(Kind.TRANSFORM_JOB, "Job")
    assert record.spec == REQUEST
    assert (record.status, record.due_at) == ("InProgress", ready.now)
    assert record.detail == {"_Container": {"Image": IMAGE, "ModelDataUrl": "s3://b/model.tar.gz"}}


def test_a_job_is_described_with_defaults(ready: Service) -> None:
    request = changed(TransformInput__SplitType=None, TransformOutput__AssembleWith=None, Environment={})
    ready.call("CreateTransformJob", **request, MaxPayloadInMB=0, MaxConcurrentTransforms=4)
    described = ready.call("DescribeTransformJob", TransformJobName="Job")
    assert described == {
        **request,
        "TransformInput": {**REQUEST["TransformInput"], "SplitType": "None", "CompressionType": "None"},
        "TransformOutput": {**REQUEST["TransformOutput"], "AssembleWith": "None"},
        "MaxPayloadInMB": 0,
        "MaxConcurrentTransforms": 4,
        "DataProcessing": {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"},
        "TransformJobArn": ARN,
        "TransformJobStatus": "InProgress",
        "CreationTime": ready.now,
    }


def test_variables_of_a_model_server_are_checked(ready: Service) -> None:
    request = changed(Environment={"SAGEMAKER_MODEL_SERVER_WORKERS": "many"})
    said = ready.refusal("CreateTransformJob", **request)[1]
    assert said.startswith(
        "Environment.SAGEMAKER_MODEL_SERVER_WORKERS 'many' is not a whole number from 1 to 64"
    )


def test_an_ended_job_shows_what_the_reconciler_found(ready: Service) -> None:
    ready.call("CreateTransformJob", **REQUEST)
    ready.becomes(
        Kind.TRANSFORM_JOB, "Job", "Failed", FailureReason="why", TransformStartTime=1.0, TransformEndTime=2.0
    )
    described = ready.call("DescribeTransformJob", TransformJobName="Job")
    assert (described["TransformJobStatus"], described["FailureReason"]) == ("Failed", "why")
    assert (described["TransformStartTime"], described["TransformEndTime"]) == (1.0, 2.0)
    assert ready.call("ListTransformJobs") == {
        "TransformJobSummaries": [
            {
                "TransformJobName": "Job",
                "TransformJobArn": ARN,
                "CreationTime": ready.now,
                "TransformEndTime": 2.0,
                "LastModifiedTime": ready.now,
                "TransformJobStatus": "Failed",
                "FailureReason": "why",
            }
        ]
    }


@pytest.mark.parametrize(
    "members",
    [
        {"DataProcessing": {"InputFilter": "$[1:]", "OutputFilter": "$[0,-1]", "JoinSource": "Input"}},
        {"DataProcessing__InputFilter": "$", "TransformInput__ContentType": "text/libsvm"},
        {
            "DataProcessing__JoinSource": "Input",
            "TransformInput__ContentType": "application/json",
            "TransformInput__SplitType": "None",
            "TransformOutput": {"S3OutputPath": "s3://b/out", "Accept": "application/json"},
        },
        {"DataProcessing__JoinSource": "Input", "TransformInput__ContentType": "text/csv; charset=utf-8"},
        {"MaxPayloadInMB": 100},
        {"MaxPayloadInMB": 25, "MaxConcurrentTransforms": 4},
        {"TransformOutput__KmsKeyId": "", "TransformResources__VolumeKmsKeyId": ""},
        {"ModelClientConfig": {"InvocationsMaxRetries": 0}},
        {"TransformInput__DataSource__S3DataSource__S3DataType": "ManifestFile"},
    ],
)
def test_what_is_carried_out_is_echoed(ready: Service, members: dict[str, Any]) -> None:
    request = changed(**members)
    ready.call("CreateTransformJob", **request)
    described = ready.call("DescribeTransformJob", TransformJobName="Job")
    for name, value in request.items():
        shown = described[name]
        assert {**shown, **value} == shown if isinstance(value, dict) else value == shown


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"ModelName": "dogs"}, f'Could not find model "arn:aws:sagemaker:us-east-1:{ACCOUNT}:model/dogs".'),
        ({"ExperimentConfig": {"TrialName": "t"}}, "ExperimentConfig is not supported"),
        ({"DataCaptureConfig": {"DestinationS3Uri": "s3://b/c"}}, "DataCaptureConfig is not supported"),
        (
            {"TransformInput__DataSource__S3DataSource__S3DataType": "AugmentedManifestFile"},
            'S3DataType "AugmentedManifestFile" is not supported',
        ),
        ({"TransformInput__DataSource__S3DataSource__S3Uri": "https://example.com/x"}, "is not an S3 URI"),
        ({"TransformOutput__KmsKeyId": "key"}, 'TransformOutput.KmsKeyId "key" is not supported'),
        ({"TransformOutput__S3OutputPath": "s3://absent/out"}, "create bucket 'absent' in account"),
        ({"TransformResources__VolumeKmsKeyId": "key"}, 'VolumeKmsKeyId "key" is not supported'),
        ({"MaxPayloadInMB": 51, "MaxConcurrentTransforms": 2}, "must not exceed 100 MB"),
        ({"MaxConcurrentTransforms": 17}, "must not exceed 100 MB"),
        ({"DataProcessing__InputFilter": "x"}, "DataProcessing.InputFilter"),
        ({"DataProcessing__OutputFilter": "$["}, "DataProcessing.OutputFilter"),
        (
            {"DataProcessing__JoinSource": "Input", "TransformInput__ContentType": "text/libsvm"},
            "cannot be filtered or joined",
        ),
        (
            {"DataProcessing__JoinSource": "Input", "TransformOutput__Accept": "application/json"},
            "differs from TransformInput.ContentType",
        ),
        (
            {"DataProcessing__JoinSource": "Input", "TransformInput__SplitType": "None"},
            "needs TransformInput.SplitType Line",
        ),
        ({"DataProcessing__InputFilter": "$.a"}, "InputFilter '$.a' cannot be applied to CSV"),
    ],
)
def test_what_is_not_carried_out_is_refused_by_name(
    ready: Service, members: dict[str, Any], sentence: str
) -> None:
    code, said = ready.refusal("CreateTransformJob", **changed(**members))
    assert code == "ValidationException"
    assert sentence in said
    assert ready.call("ListTransformJobs") == {"TransformJobSummaries": []}


def test_a_name_is_taken_in_any_case(ready: Service) -> None:
    ready.call("CreateTransformJob", **REQUEST)
    assert ready.refusal("CreateTransformJob", **changed(TransformJobName="JOB")) == (
        "ResourceInUse",
        (
            "Job name must be unique within an AWS account and region, and a job with this name already "
            f"exists ({ARN})"
        ),
    )


def test_a_job_is_stopped_once_and_not_after_its_end(ready: Service) -> None:
    ready.call("CreateTransformJob", **REQUEST)
    ready.now += 1
    assert ready.call("StopTransformJob", TransformJobName="Job") is None
    record = ready.record(Kind.TRANSFORM_JOB, "Job")
    assert (record.status, record.due_at) == ("Stopping", ready.now)
    ready.call("StopTransformJob", TransformJobName="Job")
    assert ready.record(Kind.TRANSFORM_JOB, "Job") == record
    ready.becomes(Kind.TRANSFORM_JOB, "Job", "Completed")
    assert ready.refusal("StopTransformJob", TransformJobName="Job") == (
        "ValidationException",
        "The request was rejected because the transform job is in status Completed.",
    )


def test_a_job_that_is_not_there(ready: Service) -> None:
    assert ready.refusal("DescribeTransformJob", TransformJobName="x") == (
        "ValidationException",
        "Could not find requested job with name: x",
    )
    assert ready.refusal("StopTransformJob", TransformJobName="x") == (
        "ValidationException",
        "Could not find job to update with name: x",
    )


def test_a_describe_waits_while_the_job_runs() -> None:
    hold = HOLDS["DescribeTransformJob"]
    assert hold.member == "TransformJobStatus"
    assert sorted(hold.transitional) == ["InProgress", "Stopping"]


def test_a_job_has_at_most_a_hundred_instances(ready: Service) -> None:
    request = changed(TransformResources__InstanceCount=101)
    code, said = ready.refusal("CreateTransformJob", **request)
    assert code == "ResourceLimitExceeded"
    assert "'ml.m5.large for transform job usage' is 100 Instances" in said

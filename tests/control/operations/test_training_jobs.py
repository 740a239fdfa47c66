"""Training jobs: what is accepted, echoed, stored and refused."""

from copy import deepcopy
from typing import Any

import pytest
from tests.control.operations.service import ACCOUNT, IMAGE, ROLE, Service

from sagestead.control.operations import training_requests
from sagestead.control.operations.training_jobs import HOLDS
from sagestead.domain.metrics import built_in_metric_definitions
from sagestead.domain.resources import Json, Kind

ARN = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:training-job/job"
SOURCE = {"S3DataType": "S3Prefix", "S3Uri": "s3://b/train", "S3DataDistributionType": "FullyReplicated"}
REQUEST: Json = {
    "TrainingJobName": "Job",
    "HyperParameters": {"num_round": "10"},
    "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
    "RoleArn": ROLE,
    "InputDataConfig": [
        {"ChannelName": "train", "DataSource": {"S3DataSource": SOURCE}, "ContentType": "csv"}
    ],
    "OutputDataConfig": {"S3OutputPath": "s3://b/out/"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
}


@pytest.fixture
def ready(service: Service) -> Service:
    """An account with a role and training data."""
    service.role()
    service.put("b", "train/data.csv")
    return service


def changed(path: str, value: Any) -> Json:
    """Return REQUEST with one member set; None removes it."""
    request = deepcopy(REQUEST)
    *parents, last = path.split(".")
    place: Any = request
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
    place[last] = value
    return request


def test_a_job_begins_in_progress_and_is_due(ready: Service) -> None:
    answer = ready.call("CreateTrainingJob", **REQUEST, Tags=[{"Key": "a", "Value": "b"}])
    assert answer == {"TrainingJobArn": ARN}
    record = ready.record(Kind.TRAINING_JOB, "Job")
    assert record.spec == REQUEST
    assert (record.status, record.due_at, record.tags) == ("InProgress", ready.now, {"a": "b"})
    assert record.detail == {
        "SecondaryStatus": "Starting",
        "SecondaryStatusTransitions": [
            {
                "Status": "Starting",
                "StartTime": ready.now,
                "StatusMessage": "Preparing the instances for training",
            }
        ],
    }


def test_a_new_job_is_described_whole(ready: Service) -> None:
    ready.call("CreateTrainingJob", **REQUEST)
    described = ready.call("DescribeTrainingJob", TrainingJobName="Job")
    transitions = described.pop("SecondaryStatusTransitions")
    assert [one["Status"] for one in transitions] == ["Starting"]
    assert described == {
        **REQUEST,
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": built_in_metric_definitions(),
            "EnableSageMakerMetricsTimeSeries": False,
        },
        "OutputDataConfig": {"S3OutputPath": "s3://b/out/", "KmsKeyId": ""},
        "TrainingJobArn": ARN,
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
        "ModelArtifacts": {"S3ModelArtifacts": "s3://b/out/Job/output/model.tar.gz"},
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
        "ProfilingStatus": "Disabled",
        "CreationTime": ready.now,
        "LastModifiedTime": ready.now,
    }


def test_an_ended_job_shows_what_the_reconciler_found(ready: Service) -> None:
    ready.call("CreateTrainingJob", **REQUEST)
    metric = {"MetricName": "train:auc", "Value": 0.5, "Timestamp": 1.0}
    ready.becomes(
        Kind.TRAINING_JOB,
        "Job",
        "Completed",
        SecondaryStatus="Completed",
        TrainingStartTime=1.0,
        TrainingEndTime=2.0,
        FinalMetricDataList=[metric],
        TrainingTimeInSeconds=1,
        BillableTimeInSeconds=1,
        _run={"x": 1},
    )
    described = ready.call("DescribeTrainingJob", TrainingJobName="Job")
    assert described["TrainingJobStatus"] == described["SecondaryStatus"] == "Completed"
    assert described["FinalMetricDataList"] == [metric]
    assert (described["TrainingTimeInSeconds"], described["TrainingEndTime"]) == (1, 2.0)


def test_what_sdks_always_send_is_accepted_and_echoed(ready: Service) -> None:
    extra: Json = {
        "DebugHookConfig": {"S3OutputPath": "s3://b/out/", "CollectionConfigurations": []},
        "ProfilerConfig": {"S3OutputPath": "s3://b/out/", "DisableProfiler": False},
        "DebugRuleConfigurations": [],
        "ProfilerRuleConfigurations": [],
        "EnableManagedSpotTraining": False,
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "Environment": {},
        "Tags": [],
        "RemoteDebugConfig": {"EnableRemoteDebug": False},
    }
    request = changed("OutputDataConfig.KmsKeyId", "")
    request["ResourceConfig"]["VolumeKmsKeyId"] = ""
    request["ResourceConfig"]["KeepAlivePeriodInSeconds"] = 0
    ready.call("CreateTrainingJob", **request, **extra, VpcConfig=None)
    described = ready.call("DescribeTrainingJob", TrainingJobName="Job")
    assert {name: described[name] for name in extra if name != "Tags"} == {
        name: value for name, value in extra.items() if name != "Tags"
    }


def test_defaults_are_filled_in(ready: Service) -> None:
    request = {
        name: REQUEST[name] for name in REQUEST if name not in {"StoppingCondition", "HyperParameters"}
    }
    ready.call("CreateTrainingJob", **request)
    described = ready.call("DescribeTrainingJob", TrainingJobName="Job")
    assert described["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}


def test_an_uncompressed_model_is_a_prefix(ready: Service) -> None:
    ready.call("CreateTrainingJob", **changed("OutputDataConfig.CompressionType", "NONE"))
    described = ready.call("DescribeTrainingJob", TrainingJobName="Job")
    assert described["ModelArtifacts"] == {"S3ModelArtifacts": "s3://b/out/Job/output/model/"}


def test_an_output_named_by_its_https_address_is_an_s3_uri_again(ready: Service) -> None:
    address = "https://b.s3.us-east-1.amazonaws.com/out"
    ready.call("CreateTrainingJob", **changed("OutputDataConfig.S3OutputPath", address))
    described = ready.call("DescribeTrainingJob", TrainingJobName="Job")
    assert described["ModelArtifacts"] == {"S3ModelArtifacts": "s3://b/out/Job/output/model.tar.gz"}


CHANNEL = "InputDataConfig.0"


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("AlgorithmSpecification.TrainingImage", None, "TrainingImage is missing"),
        ("AlgorithmSpecification.AlgorithmName", "a", 'AlgorithmName "a" is not supported'),
        ("AlgorithmSpecification.EnableSageMakerMetricsTimeSeries", True, "MetricsTimeSeries true is not"),
        ("AlgorithmSpecification.MetricDefinitions", [{"Name": "a", "Regex": "(b)"}], "You can't override"),
        ("AlgorithmSpecification.ContainerArguments", ["-c"], "given without a ContainerEntrypoint"),
        (f"{CHANNEL}.CompressionType", "Gzip", 'CompressionType "Gzip" is not supported'),
        (f"{CHANNEL}.RecordWrapperType", "RecordIO", 'RecordWrapperType "RecordIO" is not supported'),
        (f"{CHANNEL}.ShuffleConfig", {"Seed": 1}, "ShuffleConfig is not supported"),
        (f"{CHANNEL}.DataSource", {}, "InputDataConfig.1.DataSource.S3DataSource is missing"),
        (
            f"{CHANNEL}.DataSource",
            {
                "FileSystemDataSource": {
                    "FileSystemId": "fs-12345678901",
                    "FileSystemAccessMode": "ro",
                    "FileSystemType": "EFS",
                    "DirectoryPath": "/",
                }
            },
            "FileSystemDataSource is not supported",
        ),
        (
            f"{CHANNEL}.DataSource.S3DataSource.S3DataType",
            "AugmentedManifestFile",
            'S3DataType "AugmentedManifestFile" is not supported',
        ),
        (f"{CHANNEL}.DataSource.S3DataSource.AttributeNames", ["a"], "AttributeNames belongs to S3DataType"),
        (f"{CHANNEL}.DataSource.S3DataSource.InstanceGroupNames", ["a"], "InstanceGroupNames is not"),
        (f"{CHANNEL}.DataSource.S3DataSource.S3Uri", "https://example.com/x", "is not an S3 URI"),
        ("InputDataConfig", REQUEST["InputDataConfig"] * 2, "no name may appear twice"),
        ("OutputDataConfig.KmsKeyId", "key", 'OutputDataConfig.KmsKeyId "key" is not supported'),
        ("OutputDataConfig.S3OutputPath", "s3://absent/out", "create bucket 'absent' in account"),
        ("OutputDataConfig.S3OutputPath", "https://example.com/", "is not an S3 URI"),
        ("ResourceConfig", None, "ResourceConfig.InstanceType is missing"),
        ("ResourceConfig.InstanceCount", 21, "ResourceConfig.InstanceCount 21 is not supported"),
        ("ResourceConfig.InstanceCount", 0, "ResourceConfig.InstanceCount is missing"),
        ("ResourceConfig.VolumeKmsKeyId", "key", 'VolumeKmsKeyId "key" is not supported'),
        ("ResourceConfig.KeepAlivePeriodInSeconds", 60, "KeepAlivePeriodInSeconds 60 is not supported"),
        (
            "ResourceConfig.InstanceGroups",
            [{"InstanceGroupName": "g", "InstanceType": "ml.m5.large", "InstanceCount": 1}],
            "InstanceGroups is not supported",
        ),
        ("StoppingCondition.MaxWaitTimeInSeconds", 7200, "MaxWaitTimeInSeconds 7200 belongs to managed spot"),
        ("EnableManagedSpotTraining", True, "MaxWaitTimeInSeconds is missing"),
        ("StoppingCondition.MaxRuntimeInSeconds", 2419201, "2419201 is too long"),
        ("VpcConfig", {"SecurityGroupIds": ["sg-1"], "Subnets": ["s-1"]}, "VpcConfig is not supported"),
        ("ExperimentConfig", {"ExperimentName": "e"}, "ExperimentConfig is not supported"),
        ("TensorBoardOutputConfig", {"S3OutputPath": "s3://b/t"}, "TensorBoardOutputConfig is not"),
        ("CheckpointConfig", {"S3Uri": "s3://absent/c"}, "The bucket of CheckpointConfig.S3Uri"),
        ("CheckpointConfig", {"S3Uri": "s3://b/c", "LocalPath": "/tmp/c"}, "CheckpointConfig.LocalPath"),
        (
            "DebugHookConfig",
            {"S3OutputPath": "s3://b/d", "CollectionConfigurations": [{"CollectionName": "losses"}]},
            "DebugHookConfig.CollectionConfigurations is not supported",
        ),
        (
            "DebugRuleConfigurations",
            [{"RuleConfigurationName": "r", "RuleEvaluatorImage": "i"}],
            "DebugRuleConfigurations is not supported",
        ),
        (
            "ProfilerRuleConfigurations",
            [{"RuleConfigurationName": "r", "RuleEvaluatorImage": "i"}],
            "ProfilerRuleConfigurations is not supported",
        ),
        (
            "ProfilerConfig",
            {"S3OutputPath": "s3://b/p", "ProfilingIntervalInMilliseconds": 500},
            "ProfilingIntervalInMilliseconds 500 is not supported",
        ),
        ("RoleArn", f"arn:aws:iam::{ACCOUNT}:role/other", "Could not assume role"),
    ],
)
def test_what_is_not_carried_out_is_refused_by_name(
    ready: Service, path: str, value: Any, sentence: str
) -> None:
    code, said = ready.refusal("CreateTrainingJob", **changed(path, value))
    assert code == "ValidationException"
    assert sentence in said
    assert ready.call("ListTrainingJobs") == {"TrainingJobSummaries": []}


def several(**members: Any) -> Json:
    """Return REQUEST with other members beside each other."""
    return {**deepcopy(REQUEST), **members}


def fast(**source: Any) -> Json:
    channel = {**REQUEST["InputDataConfig"][0], "InputMode": "FastFile"}
    return several(InputDataConfig=[{**channel, "DataSource": {"S3DataSource": {**SOURCE, **source}}}])


ALGORITHM = REQUEST["AlgorithmSpecification"]
LEGACY = "811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:1"
SPOT = {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59}
TWO = {**REQUEST["ResourceConfig"], "InstanceCount": 2}


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (several(EnableManagedSpotTraining=True, StoppingCondition=SPOT), "MaxWaitTimeInSeconds 59 is too"),
        (several(EnableNetworkIsolation=True, ResourceConfig=TWO), "2 instances need the network"),
        (
            several(ResourceConfig=TWO, HyperParameters={"sagemaker_program": '"train.py"'}),
            "scripts do not reach each other's instances",
        ),
        (
            several(ResourceConfig=TWO, AlgorithmSpecification={**ALGORITHM, "ContainerEntrypoint": ["ls"]}),
            "scripts do not reach each other's instances",
        ),
        (
            several(
                AlgorithmSpecification={
                    **ALGORITHM,
                    "TrainingImage": LEGACY,
                    "ContainerEntrypoint": ["ls"],
                }
            ),
            "ContainerEntrypoint is not supported by this server: 811284229777.dkr",
        ),
        (fast(S3DataType="ManifestFile"), "input mode FastFile needs S3Prefix"),
        (fast(S3DataType="AugmentedManifestFile", AttributeNames=["a"]), "input mode FastFile needs"),
    ],
)
def test_what_does_not_go_together_is_refused(ready: Service, request_: Json, sentence: str) -> None:
    code, said = ready.refusal("CreateTrainingJob", **request_)
    assert code == "ValidationException"
    assert sentence in said


def test_a_command_is_accepted_and_shown(ready: Service) -> None:
    command = {**ALGORITHM, "ContainerEntrypoint": ["/bin/bash"], "ContainerArguments": ["-c", "true"]}
    command["MetricDefinitions"] = [{"Name": "accuracy", "Regex": "accuracy=(.*)"}]
    ready.call("CreateTrainingJob", **several(AlgorithmSpecification=command))
    described = ready.call("DescribeTrainingJob", TrainingJobName="Job")["AlgorithmSpecification"]
    assert described == {**command, "EnableSageMakerMetricsTimeSeries": False}


def test_a_command_that_needs_a_folder_of_its_own_is_refused_where_there_can_be_none(
    ready: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_requests, "can_mount", lambda: False)
    command = {**ALGORITHM, "ContainerEntrypoint": ["/bin/bash", "/opt/ml/input/data/code/run.sh"]}
    said = ready.refusal("CreateTrainingJob", **several(AlgorithmSpecification=command))[1]
    assert said.startswith("AlgorithmSpecification.ContainerEntrypoint is not supported by this server: the")
    assert "names /opt/ml, and this machine lets the service make no such folder" in said


def test_pipes_shards_and_spot_instances_are_accepted(ready: Service) -> None:
    augmented = {**SOURCE, "S3DataType": "AugmentedManifestFile", "S3Uri": "s3://b/train/data.csv"}
    channels = [
        {
            "ChannelName": "train",
            "DataSource": {"S3DataSource": {**augmented, "AttributeNames": ["source-ref", "label"]}},
            "InputMode": "Pipe",
            "RecordWrapperType": "RecordIO",
            "ShuffleConfig": {"Seed": 1},
        },
        {
            "ChannelName": "validation",
            "DataSource": {"S3DataSource": {**SOURCE, "S3DataDistributionType": "ShardedByS3Key"}},
            "ShuffleConfig": {"Seed": 1},
        },
    ]
    stopping = {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60}
    more = {"EnableManagedSpotTraining": True, "StoppingCondition": stopping, "ResourceConfig": TWO}
    ready.call("CreateTrainingJob", **several(InputDataConfig=channels, **more))
    described = ready.call("DescribeTrainingJob", TrainingJobName="Job")
    assert {name: described[name] for name in more} == more
    assert described["InputDataConfig"] == channels


def test_a_jobs_profiler_may_be_turned_off_again(ready: Service) -> None:
    ready.call("CreateTrainingJob", **REQUEST)
    off = {"DisableProfiler": True}
    assert ready.call("UpdateTrainingJob", TrainingJobName="Job", ProfilerConfig=off) == {
        "TrainingJobArn": ARN
    }
    assert ready.call("DescribeTrainingJob", TrainingJobName="Job")["ProfilerConfig"] == off
    keep = {"KeepAlivePeriodInSeconds": 60}
    code, said = ready.refusal("UpdateTrainingJob", TrainingJobName="Job", ResourceConfig=keep)
    assert (code, "KeepAlivePeriodInSeconds 60 is not supported" in said) == ("ValidationException", True)
    ready.becomes(Kind.TRAINING_JOB, "Job", "Completed")
    assert "is in status Completed" in ready.refusal("UpdateTrainingJob", TrainingJobName="Job")[1]


@pytest.mark.parametrize("data_type", ["S3Prefix", "ManifestFile"])
@pytest.mark.parametrize("uri", ["s3://b/absent", "s3://nowhere/train"])
def test_a_channel_without_data_is_refused(ready: Service, data_type: str, uri: str) -> None:
    request = changed(f"{CHANNEL}.DataSource.S3DataSource", {"S3DataType": data_type, "S3Uri": uri})
    bucket = uri.split("/")[2]
    assert ready.refusal("CreateTrainingJob", **request) == (
        "ValidationException",
        (
            f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the '
            "bucket exists in the selected region (us-east-1), that objects exist under that S3 prefix, and "
            f'that the role "{ROLE}" has "s3:ListBucket" permissions on bucket "{bucket}".'
        ),
    )


def test_metrics_of_an_image_that_is_not_built_in(ready: Service) -> None:
    request = changed("AlgorithmSpecification.TrainingImage", "example.com/own:1")
    algorithm = request["AlgorithmSpecification"]
    algorithm["MetricDefinitions"] = [{"Name": "loss", "Regex": "loss=("}]
    assert "MetricDefinitions.1.Regex 'loss=(' is not" in ready.refusal("CreateTrainingJob", **request)[1]
    algorithm["MetricDefinitions"] = [{"Name": "loss", "Regex": "loss=(.*)"}]
    ready.call("CreateTrainingJob", **request)
    described = ready.call("DescribeTrainingJob", TrainingJobName="Job")
    assert described["AlgorithmSpecification"]["MetricDefinitions"] == algorithm["MetricDefinitions"]


def test_a_name_is_taken_in_any_case(ready: Service) -> None:
    ready.call("CreateTrainingJob", **REQUEST)
    assert ready.refusal("CreateTrainingJob", **changed("TrainingJobName", "JOB")) == (
        "ResourceInUse",
        (
            "Training job names must be unique within an AWS account and region, and a training job with "
            f"this name already exists ({ARN})"
        ),
    )


def test_a_job_is_stopped_once_and_not_after_its_end(ready: Service) -> None:
    ready.call("CreateTrainingJob", **REQUEST)
    ready.now += 1
    assert ready.call("StopTrainingJob", TrainingJobName="Job") is None
    record = ready.record(Kind.TRAINING_JOB, "Job")
    assert (record.status, record.due_at) == ("Stopping", ready.now)
    ready.call("StopTrainingJob", TrainingJobName="Job")
    assert ready.record(Kind.TRAINING_JOB, "Job") == record
    ready.becomes(Kind.TRAINING_JOB, "Job", "Stopped")
    assert ready.refusal("StopTrainingJob", TrainingJobName="Job") == (
        "ValidationException",
        "The request was rejected because the training job is in status Stopped.",
    )


def test_only_an_ended_job_is_deleted(ready: Service) -> None:
    ready.call("CreateTrainingJob", **REQUEST)
    code, sentence = ready.refusal("DeleteTrainingJob", TrainingJobName="Job")
    assert code == "ValidationException"
    assert "is in status InProgress" in sentence
    ready.becomes(Kind.TRAINING_JOB, "Job", "Completed")
    assert ready.call("DeleteTrainingJob", TrainingJobName="Job") is None
    absent = ("ValidationException", "Requested resource not found.")
    for operation in ("DescribeTrainingJob", "StopTrainingJob", "DeleteTrainingJob"):
        assert ready.refusal(operation, TrainingJobName="Job") == absent
    ready.call("CreateTrainingJob", **REQUEST)


def test_a_job_that_is_being_tidied_up_is_deleted_a_little_later(ready: Service) -> None:
    ready.call("CreateTrainingJob", **REQUEST)
    record = ready.record(Kind.TRAINING_JOB, "Job")
    ready.becomes(Kind.TRAINING_JOB, "Job", "Completed")
    ready.due(Kind.TRAINING_JOB, "Job", record.created_at)
    assert ready.refusal("DeleteTrainingJob", TrainingJobName="Job")[0] == "ThrottlingException"


def test_jobs_are_listed_oldest_first_and_statuses_are_picked_from_each_page(ready: Service) -> None:
    for name in ("a", "b", "c", "d"):
        ready.now += 1
        ready.call("CreateTrainingJob", **changed("TrainingJobName", name))
    ready.becomes(Kind.TRAINING_JOB, "c", "Completed", SecondaryStatus="Completed", TrainingEndTime=9.0)
    listed = ready.call("ListTrainingJobs")["TrainingJobSummaries"]
    assert [job["TrainingJobName"] for job in listed] == ["a", "b", "c", "d"]
    assert listed[2] == {
        "TrainingJobName": "c",
        "TrainingJobArn": f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:training-job/c",
        "CreationTime": ready.now - 1,
        "TrainingEndTime": 9.0,
        "LastModifiedTime": ready.now,
        "TrainingJobStatus": "Completed",
        "SecondaryStatus": "Completed",
    }
    first = ready.call("ListTrainingJobs", StatusEquals="Completed", MaxResults=2)
    assert first["TrainingJobSummaries"] == []
    second = ready.call(
        "ListTrainingJobs", StatusEquals="Completed", MaxResults=2, NextToken=first["NextToken"]
    )
    assert [job["TrainingJobName"] for job in second["TrainingJobSummaries"]] == ["c"]
    assert ready.call("ListTrainingJobs", WarmPoolStatusEquals="Available") == {"TrainingJobSummaries": []}


def test_a_describe_waits_while_the_job_runs() -> None:
    hold = HOLDS["DescribeTrainingJob"]
    assert hold.member == "TrainingJobStatus"
    assert sorted(hold.transitional) == ["InProgress", "Stopping"]

"""`sagestead jobs`: what it makes of the API's answers, and what it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sagestead.cli.jobs import table
from sagestead.cli.progress import Row, clock, queued, rounds_done, training_row, tuning_row, unmeasured_row

NOON = 1_700_000_000


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(NOON + seconds, UTC)


def training(name: str, stage: str, created: float = 0, **more: Any) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": stage,
        "CreationTime": at(created),
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        "HyperParameters": {"num_round": "100"},
        **more,
    }


def test_rounds_are_counted_and_the_rest_is_estimated() -> None:
    steps = [
        {"Status": "Starting", "StartTime": at(0)},
        {"Status": "Training", "StartTime": at(10)},
    ]
    job = training("job", "Training", TrainingStartTime=at(5), SecondaryStatusTransitions=steps)
    lines = ["[23]#011train-auc:0.5", "[24]#011train-auc:0.5", "not [99]#011 a round"]
    row = training_row(job, lines, NOON + 35, 8)
    assert (row.done, row.total, row.elapsed, row.remaining) == (25, 100, 30.0, 75.0)
    assert (row.kind, row.cores, row.waits, row.position) == ("training", 2, False, None)


def test_what_cannot_be_told_is_left_out() -> None:
    row = training_row(training("job", "Downloading", HyperParameters={}), [], NOON + 3, 1)
    assert (row.done, row.total, row.remaining, row.elapsed) == (None, None, None, 3.0)
    assert rounds_done([]) is None


def test_trials_are_counted() -> None:
    job = {
        "HyperParameterTuningJobName": "search",
        "HyperParameterTuningJobStatus": "InProgress",
        "CreationTime": at(0),
        "HyperParameterTuningJobConfig": {"ResourceLimits": {"MaxNumberOfTrainingJobs": 30}},
        "TrainingJobStatusCounters": {"Completed": 9, "InProgress": 3, "NonRetryableError": 1, "Stopped": 0},
    }
    row = tuning_row(job, NOON + 20)
    assert (row.kind, row.done, row.total, row.remaining) == ("tuning", 10, 30, 40.0)
    ended = tuning_row(
        {**job, "HyperParameterTuningJobStatus": "Stopped", "HyperParameterTuningEndTime": at(7)}, NOON + 20
    )
    assert (ended.elapsed, ended.remaining) == (7.0, None)


def test_those_that_wait_are_numbered_in_the_order_of_their_creation() -> None:
    summary = {"TransformJobName": "t", "TransformJobStatus": "InProgress", "CreationTime": at(2)}
    rows = queued(
        [
            training_row(training("c", "Starting", 3), [], NOON, 2),
            unmeasured_row("transform", summary, NOON, works=False),
            training_row(training("a", "Training", 0), [], NOON, 2),
            Row("training", "old", "Completed", "Completed", NOON - 9),
            Row("training", "older", "Failed", "Failed", NOON - 10),
            training_row(training("s", "Starting", 1, TrainingJobStatus="Stopping"), [], NOON, 2),
        ]
    )
    assert [(row.name, row.position) for row in rows] == [
        ("a", None), ("s", None), ("t", 1), ("c", 2), ("old", None), ("older", None),
    ]  # fmt: skip


def test_a_processing_job_waits_until_it_works() -> None:
    summary = {"ProcessingJobName": "p", "ProcessingJobStatus": "InProgress", "CreationTime": at(2)}
    (waiting,) = queued([unmeasured_row("processing", summary, NOON + 5, works=False)])
    assert (waiting.kind, waiting.name, waiting.position, waiting.elapsed) == ("processing", "p", 1, 3.0)
    ended = {**summary, "ProcessingJobStatus": "Completed", "ProcessingEndTime": at(4)}
    row = unmeasured_row("processing", ended, NOON + 9, works=True)
    assert (row.waits, row.elapsed, row.status) == (False, 2.0, "Completed")


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0.4, "0:00"), (59.6, "1:00"), (3725, "1:02:05"), (360000, "100:00:00")]
)
def test_times_are_written_as_on_a_clock(seconds: float | None, text: str) -> None:
    assert clock(seconds) == text


def test_the_table_shows_every_job() -> None:
    console = Console(width=120, record=True)
    rows = [
        Row("training", "a[red]", "InProgress", "Training", 0.0, False, None, 3, 10, 2.0, 5.0, 2),  # noqa: FBT003 - waits
        Row("transform", "b", "InProgress", None, 1.0, waits=True, position=1),
    ]
    with console.capture() as captured:
        console.print(table(rows))
    printed = captured.get()
    assert "3/10" in printed
    assert "0:05" in printed


def test_it_is_asked_of_a_server(client: Callable[..., Any], environment: dict[str, str]) -> None:
    data = Path(environment["SAGEMAKER_USER_CONFIG_OVERRIDE"]).parents[1]

    def said(*options: str) -> str:
        command = [sys.executable, "-m", "sagestead", "jobs", "--data", str(data), *options]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    client("s3").create_bucket(Bucket="jobs-bucket")
    client("s3").put_object(Bucket="jobs-bucket", Key="train.csv", Body=b"1,2\n0,3\n" * 50)
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://jobs-bucket/train"}
    client("sagemaker").create_training_job(
        TrainingJobName="shown",
        AlgorithmSpecification={
            "TrainingImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
            "TrainingInputMode": "File",
        },
        RoleArn=environment["SAGEMAKER_ROLE_ARN"],
        HyperParameters={"num_round": "500000", "objective": "binary:logistic"},
        InputDataConfig=[
            {"ChannelName": "train", "ContentType": "csv", "DataSource": {"S3DataSource": source}}
        ],
        OutputDataConfig={"S3OutputPath": "s3://jobs-bucket/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    try:
        (row,) = [one for one in json.loads(said("--json")) if one["name"] == "shown"]
        assert (row["kind"], row["status"], row["total"]) == ("training", "InProgress", 500_000)
        assert row["elapsed"] >= 0
    finally:
        client("sagemaker").stop_training_job(TrainingJobName="shown")
    client("sagemaker").create_processing_job(
        ProcessingJobName="prepared",
        AppSpecification={
            "ImageUri": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
            "ContainerEntrypoint": ["python3", "nothing.py"],
        },
        RoleArn=environment["SAGEMAKER_ROLE_ARN"],
        ProcessingResources={
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
        },
    )
    client("sagemaker").stop_processing_job(ProcessingJobName="prepared")
    rows = {one["name"]: one["kind"] for one in json.loads(said("--all", "--json"))}
    assert (rows["shown"], rows["prepared"]) == ("training", "processing")

"""Training jobs that name their command, with boto3 against a real server, in a runtime without packages."""

from __future__ import annotations

import io
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from tests.worker.toolkit.standing import standing_runtime

Start = Callable[..., AbstractContextManager[subprocess.Popen[bytes]]]
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
BUCKET = "sagemaker-us-east-1-123456789012"
CODE = "/opt/ml/input/data/code"
LIMIT = 60.0


class Commander:
    """What SDK 3 does with a training job."""

    def __init__(self, environment: dict[str, str], client_of: Callable[..., Any]) -> None:
        self.sagemaker = client_of(environment, "sagemaker")
        self.logs = client_of(environment, "logs")
        self.s3 = client_of(environment, "s3")
        self.role = environment["SAGEMAKER_ROLE_ARN"]
        self.s3.create_bucket(Bucket=BUCKET)

    def train(self, name: str, script: str) -> None:
        self.s3.put_object(Bucket=BUCKET, Key=f"{name}/run.sh", Body=script.encode())
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{name}/"}
        self.sagemaker.create_training_job(
            TrainingJobName=name,
            AlgorithmSpecification={
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["/bin/sh"],
                "ContainerArguments": ["-c", f"chmod +x {CODE}/run.sh && {CODE}/run.sh"],
                "MetricDefinitions": [{"Name": "accuracy", "Regex": "accuracy=([0-9.]+)"}],
            },
            RoleArn=self.role,
            InputDataConfig=[{"ChannelName": "code", "DataSource": {"S3DataSource": source}}],
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 600},
            HyperParameters={"depth": "3"},
            Environment={"COLOUR": "blue"},
        )

    def ended(self, name: str) -> Any:
        deadline = time.monotonic() + LIMIT
        while (job := self.sagemaker.describe_training_job(TrainingJobName=name))["TrainingJobStatus"] in {
            "InProgress",
            "Stopping",
        }:
            assert time.monotonic() < deadline, job
        return job

    def lines(self, name: str) -> list[str]:
        found = self.logs.filter_log_events(
            logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/"
        )
        return [event["message"] for event in found["events"]]

    def model(self, job: Any) -> list[str]:
        key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/")
        body = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            return tar.getnames()


@pytest.fixture(scope="module")
def commander(
    tmp_path_factory: pytest.TempPathFactory,
    start: Start,
    variables_of: Callable[..., dict[str, str]],
    client_of: Callable[..., Any],
) -> Iterator[Commander]:
    data = tmp_path_factory.mktemp("commands") / "data"
    standing_runtime(data / "runtimes")
    with start(data):
        yield Commander(variables_of(data), client_of)


def test_a_command_trains(commander: Commander) -> None:
    commander.train(
        "trains",
        "#!/bin/sh\nset -e\ngrep -q depth /opt/ml/input/config/hyperparameters.json\n"
        'echo "$COLOUR $TRAINING_JOB_NAME"; python3 -c "print(\'accuracy=0.75\')"\n'
        "echo model > /opt/ml/model/model.txt\n",
    )
    job = commander.ended("trains")
    assert job["TrainingJobStatus"] == "Completed", (job, commander.lines("trains"))
    assert job["FinalMetricDataList"][0]["Value"] == 0.75
    assert job["AlgorithmSpecification"]["ContainerEntrypoint"] == ["/bin/sh"]
    assert "blue trains" in commander.lines("trains")
    assert commander.model(job) == ["model.txt"]


def test_a_command_that_fails_says_why_in_its_own_words(commander: Commander) -> None:
    commander.train("fails", "#!/bin/sh\necho 'no such cat' > /opt/ml/output/failure\nexit 7\n")
    job = commander.ended("fails")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: no such cat, exit code: 7"
    commander.train("silent", "#!/bin/sh\necho 'cat: gone' >&2\nexit 3\n")
    reason = commander.ended("silent")["FailureReason"]
    assert reason.startswith("AlgorithmError: ")
    assert "cat: gone" in reason
    assert reason.endswith(", exit code: 3")


def test_a_command_is_stopped_and_keeps_what_it_has(commander: Commander) -> None:
    commander.train(
        "stops",
        "#!/bin/sh\ntrap 'echo half > /opt/ml/model/half.txt; exit 0' TERM\n"
        "echo waiting\nwhile true; do sleep 0.05; done\n",
    )
    deadline = time.monotonic() + LIMIT
    while "waiting" not in commander.lines("stops"):
        assert time.monotonic() < deadline
    commander.sagemaker.stop_training_job(TrainingJobName="stops")
    job = commander.ended("stops")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert commander.model(job) == ["half.txt"]

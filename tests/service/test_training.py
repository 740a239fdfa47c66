"""Training jobs with boto3 against a real server: pipes, several instances, interruptions, isolation."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import pytest
import xgboost

Start = Callable[..., AbstractContextManager[subprocess.Popen[bytes]]]
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
BUCKET = "sagemaker-us-east-1-123456789012"
GROUP = "/aws/sagemaker/TrainingJobs"
LIMIT = 60.0
ENDED = {"Completed", "Failed", "Stopped"}


class Hotels(Protocol):
    train: bytes
    validation: bytes


class Trainer:
    """What the SDK does with a training job."""

    def __init__(
        self, data: Path, environment: dict[str, str], client_of: Callable[..., Any], hotels: Hotels
    ) -> None:
        self.data = data
        self.sagemaker = client_of(environment, "sagemaker")
        self.s3 = client_of(environment, "s3")
        self.logs = client_of(environment, "logs")
        self.role = environment["SAGEMAKER_ROLE_ARN"]
        self.s3.create_bucket(Bucket=BUCKET)
        rows = hotels.train.splitlines(keepends=True)
        for number in range(4):
            part = b"".join(rows[number::4])
            self.put(f"parts/train-{number}.csv", part)
            self.put(f"zipped/train-{number}.csv.gz", gzip.compress(part))
        self.put("validation/validation.csv", hotels.validation)

    def put(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    def channel(self, name: str, place: str, **more: Any) -> dict[str, Any]:
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{place}", **more.pop("source", {})}
        return {"ChannelName": name, "ContentType": "csv", "DataSource": {"S3DataSource": source}, **more}

    def fit(self, name: str, train: dict[str, Any] | None = None, count: int = 1, **more: Any) -> None:
        hyperparameters = {"objective": "binary:logistic", "eval_metric": "auc", "tree_method": "hist"}
        self.sagemaker.create_training_job(
            TrainingJobName=name,
            HyperParameters={**hyperparameters, "num_round": "10", **more.pop("hyperparameters", {})},
            AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            RoleArn=self.role,
            InputDataConfig=[
                train or self.channel("train", "parts/"),
                self.channel("validation", "validation/"),
            ],
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/models"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": count, "VolumeSizeInGB": 30},
            **{"StoppingCondition": {"MaxRuntimeInSeconds": 3600}, **more},
        )

    def wait(self, name: str) -> Any:
        deadline = time.monotonic() + LIMIT
        while True:
            answer = self.sagemaker.describe_training_job(TrainingJobName=name)
            if answer["TrainingJobStatus"] in ENDED:
                return answer
            assert time.monotonic() < deadline, answer

    def until(self, name: str, text: str) -> None:
        """Wait until a job's log says something."""
        deadline = time.monotonic() + LIMIT
        while not any(text in line for line in self.lines(name)):
            assert time.monotonic() < deadline, self.lines(name)

    def lines(self, name: str, host: str = "") -> list[str]:
        found = self.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/{host}")
        return [
            event["message"]
            for stream in found["logStreams"]
            for event in self.logs.get_log_events(
                logGroupName=GROUP, logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
        ]

    def model(self, name: str) -> xgboost.Booster:
        body = self.s3.get_object(Bucket=BUCKET, Key=f"models/{name}/output/model.tar.gz")["Body"].read()
        with tarfile.open(fileobj=BytesIO(body)) as tar:
            assert tar.getnames() == ["xgboost-model"]
            file = tar.extractfile("xgboost-model")
            assert file is not None
            return xgboost.Booster(model_file=bytearray(file.read()))

    def interrupt(self, name: str, seconds: float) -> str:
        command = [sys.executable, "-m", "sagestead", "interrupt", name]
        options = ["--for", str(seconds), "--data", str(self.data)]
        run = subprocess.run([*command, *options], check=False, capture_output=True, text=True)
        return run.stdout + run.stderr


def auc(answer: Any) -> float:
    metrics = {one["MetricName"]: one["Value"] for one in answer["FinalMetricDataList"]}
    value: float = metrics["validation:auc"]
    return value


def stages(answer: Any) -> list[str]:
    return [entry["Status"] for entry in answer["SecondaryStatusTransitions"]]


@pytest.fixture(scope="module")
def trainer(
    tmp_path_factory: pytest.TempPathFactory,
    start: Start,
    variables_of: Callable[..., dict[str, str]],
    client_of: Callable[..., Any],
    hotels: Hotels,
) -> Iterator[Trainer]:
    data = tmp_path_factory.mktemp("training") / "data"
    with start(data):
        yield Trainer(data, variables_of(data), client_of, hotels)


SHARDED = {"S3DataDistributionType": "ShardedByS3Key"}


@pytest.fixture(scope="module")
def alone(trainer: Trainer) -> Any:
    """A job on one instance, to compare others with."""
    trainer.fit("alone")
    return trainer.wait("alone")


def test_two_instances_with_half_of_the_data_each_train_one_model(trainer: Trainer, alone: Any) -> None:
    trainer.fit("together", trainer.channel("train", "parts/", source=SHARDED), 2)
    answer = trainer.wait("together")
    assert answer["TrainingJobStatus"] == "Completed", answer.get("FailureReason")
    assert abs(auc(answer) - auc(alone)) < 0.01
    assert trainer.model("together").num_boosted_rounds() == 10
    first, second = trainer.lines("together", "algo-1-"), trainer.lines("together", "algo-2-")
    assert sum("validation-auc" in line for line in first) == 10
    assert not any("validation-auc" in line for line in second)
    rows = [line for line in first + second if line.startswith("Train matrix has")]
    assert len(rows) == 2


def test_an_instance_without_data_is_left_out(trainer: Trainer) -> None:
    trainer.put("one/train.csv", b"".join(b"%d,%d,1\n" % (row % 2, row % 7) for row in range(200)))
    trainer.fit(
        "spare", trainer.channel("train", "one/", source=SHARDED), 2, hyperparameters={"eval_metric": "error"}
    )
    answer = trainer.wait("spare")
    assert answer["TrainingJobStatus"] == "Failed"
    assert "feature_names mismatch" in answer["FailureReason"]
    assert any("no training data" in line for line in trainer.lines("spare", "algo-2-"))


def test_one_instance_that_fails_fails_the_job(trainer: Trainer) -> None:
    trainer.put("odd/a.csv", b"1,2\n0,3\n" * 50)
    trainer.put("odd/b.csv", b"1,x\n")
    trainer.fit("odd", trainer.channel("train", "odd/", source=SHARDED), 2)
    answer = trainer.wait("odd")
    assert answer["TrainingJobStatus"] == "Failed"
    assert "b.csv, line 1: 'x' is not a number" in answer["FailureReason"]


def test_a_pipe_brings_the_same_rows(trainer: Trainer, alone: Any) -> None:
    trainer.fit("piped", trainer.channel("train", "parts/", InputMode="Pipe"))
    zipped = trainer.channel(
        "train", "zipped/", InputMode="Pipe", CompressionType="Gzip", ShuffleConfig={"Seed": 3}
    )
    trainer.fit("zipped", zipped)
    assert trainer.wait("piped")["TrainingJobStatus"] == "Completed"
    assert trainer.model("piped").save_raw("ubj") == trainer.model("alone").save_raw("ubj")
    shuffled = trainer.wait("zipped")
    assert abs(auc(shuffled) - auc(alone)) < 0.01


def test_what_is_not_gzip_fails_with_its_name(trainer: Trainer) -> None:
    channel = trainer.channel("train", "parts/train-0.csv", InputMode="Pipe", CompressionType="Gzip")
    trainer.fit("unzippable", channel)
    answer = trainer.wait("unzippable")
    assert answer["FailureReason"].startswith(
        f"ClientError: The object s3://{BUCKET}/parts/train-0.csv of channel train cannot be decompressed"
    )


@pytest.mark.usefixtures("alone")
def test_an_interrupted_job_goes_on_from_its_checkpoint(trainer: Trainer) -> None:
    stopping = {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900}
    trainer.fit(
        "spot",
        hyperparameters={"num_round": "500", "max_depth": "2"},
        EnableManagedSpotTraining=True,
        StoppingCondition=stopping,
        CheckpointConfig={"S3Uri": f"s3://{BUCKET}/checkpoints"},
    )
    trainer.until("spot", "[20]")
    assert "taken back" in trainer.interrupt("spot", 0.2)
    answer = trainer.wait("spot")
    assert answer["TrainingJobStatus"] == "Completed"
    assert "it has no instances" in trainer.interrupt("spot", 0)
    assert "no managed spot training job" in trainer.interrupt("alone", 0)
    again = ["Starting", "Downloading", "Training"]
    assert stages(answer) == [*again, "Interrupted", *again, "Uploading", "Completed"]
    (resumed,) = [line for line in trainer.lines("spot") if "Resuming from iteration" in line]
    assert int(resumed.split()[-1]) >= 20
    numbers = [int(line[1:].split("]")[0]) for line in trainer.lines("spot") if line.startswith("[")]
    assert sorted(set(numbers)) == list(range(500))
    assert len(numbers) <= 501
    assert trainer.model("spot").num_boosted_rounds() == 500
    assert answer["BillableTimeInSeconds"] <= answer["TrainingTimeInSeconds"]


def test_a_job_without_a_network_trains(trainer: Trainer) -> None:
    trainer.fit("isolated", EnableNetworkIsolation=True)
    answer = trainer.wait("isolated")
    assert (answer["TrainingJobStatus"], answer["EnableNetworkIsolation"]) == ("Completed", True)


def test_lines_of_a_manifest_are_streamed_as_records(trainer: Trainer) -> None:
    lines = [{"source-ref": f"s3://{BUCKET}/parts/train-{number}.csv", "more": 1} for number in range(4)]
    trainer.put("manifest.jsonl", "\n".join(map(json.dumps, lines)).encode())
    source = {
        "S3DataType": "AugmentedManifestFile",
        "S3Uri": f"s3://{BUCKET}/manifest.jsonl",
        "AttributeNames": ["source-ref"],
    }
    trainer.fit("manifest", trainer.channel("train", "", source=source, InputMode="Pipe"))
    assert trainer.wait("manifest")["TrainingJobStatus"] == "Completed"
    assert trainer.model("manifest").save_raw("ubj") == trainer.model("alone").save_raw("ubj")

"""The main job with boto3 against real servers: train, register, transform, deploy, predict, delete."""

import io
import itertools
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from tests.forest.library import cases

Start = Callable[..., AbstractContextManager[subprocess.Popen[bytes]]]
Variables = Callable[..., dict[str, str]]
ClientOf = Callable[..., Any]

REGISTRY = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost"
BUCKET = "sagemaker-us-east-1-123456789012"
LIMIT = 30.0
numbers = itertools.count()


class Hotels(Protocol):
    train: bytes
    validation: bytes
    test: bytes


@dataclass
class Cloud:
    """The clients of one server, and what a test does with them over and over."""

    environment: dict[str, str]
    client_of: ClientOf

    def __post_init__(self) -> None:
        self.sagemaker = self.client_of(self.environment, "sagemaker")
        self.runtime = self.client_of(self.environment, "sagemaker-runtime", retries={"max_attempts": 0})
        self.s3 = self.client_of(self.environment, "s3")
        self.logs = self.client_of(self.environment, "logs")
        self.role = self.environment["SAGEMAKER_ROLE_ARN"]

    def until(self, operation: str, member: str, wanted: set[str], **names: str) -> dict[str, Any]:
        """Describe until the member has one of the wanted values."""
        deadline = time.monotonic() + LIMIT
        while True:
            answer: dict[str, Any] = getattr(self.sagemaker, operation)(**names)
            if answer[member] in wanted:
                return answer
            assert time.monotonic() < deadline, answer

    def upload(self, hotels: Hotels) -> None:
        self.s3.create_bucket(Bucket=BUCKET)
        for name in ("train", "validation", "test"):
            self.s3.put_object(Bucket=BUCKET, Key=f"data/{name}.csv", Body=getattr(hotels, name))

    def train(self, job: str, image: str, **parameters: str) -> dict[str, Any]:
        channel = {"ContentType": "csv", "InputMode": "File"}
        self.sagemaker.create_training_job(
            TrainingJobName=job,
            AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
            RoleArn=self.role,
            HyperParameters={
                "objective": "binary:logistic",
                "num_round": "8",
                "eval_metric": "auc",
                **parameters,
            },
            InputDataConfig=[
                {
                    "ChannelName": name,
                    "DataSource": {
                        "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data/{name}"}
                    },
                    **channel,
                }
                for name in ("train", "validation")
            ],
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/models"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
            StoppingCondition={"MaxRuntimeInSeconds": 3600},
        )
        return self.until(
            "describe_training_job",
            "TrainingJobStatus",
            {"Completed", "Failed", "Stopped"},
            TrainingJobName=job,
        )

    def register(self, model: str, job: str, image: str) -> None:
        self.sagemaker.create_model(
            ModelName=model,
            ExecutionRoleArn=self.role,
            PrimaryContainer={
                "Image": image,
                "ModelDataUrl": f"s3://{BUCKET}/models/{job}/output/model.tar.gz",
            },
        )

    def deploy(self, endpoint: str, model: str, count: int = 1) -> None:
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=endpoint,
            ProductionVariants=[
                {
                    "VariantName": "AllTraffic",
                    "ModelName": model,
                    "InstanceType": "ml.m5.large",
                    "InitialInstanceCount": count,
                }
            ],
        )
        self.sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=endpoint)

    def in_service(self, endpoint: str) -> dict[str, Any]:
        return self.until(
            "describe_endpoint", "EndpointStatus", {"InService", "Failed"}, EndpointName=endpoint
        )

    def predict(self, endpoint: str, rows: bytes) -> bytes:
        answer = self.runtime.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body=rows)
        body: bytes = answer["Body"].read()
        return body

    def transform(self, job: str, model: str) -> bytes:
        self.sagemaker.create_transform_job(
            TransformJobName=job,
            ModelName=model,
            TransformInput={
                "DataSource": {
                    "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data/test.csv"}
                },
                "ContentType": "text/csv",
                "SplitType": "Line",
            },
            TransformOutput={"S3OutputPath": f"s3://{BUCKET}/{job}", "AssembleWith": "Line"},
            TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        )
        answer = self.until(
            "describe_transform_job", "TransformJobStatus", {"Completed", "Failed"}, TransformJobName=job
        )
        assert answer["TransformJobStatus"] == "Completed", answer
        body: bytes = self.s3.get_object(Bucket=BUCKET, Key=f"{job}/test.csv.out")["Body"].read()
        return body


@pytest.fixture(scope="module")
def cloud(
    tmp_path_factory: pytest.TempPathFactory,
    start: Start,
    variables_of: Variables,
    client_of: ClientOf,
    hotels: Hotels,
) -> Iterator[Cloud]:
    data = tmp_path_factory.mktemp("main") / "data"
    with start(data, "--hosting", "worker"):
        cloud = Cloud(variables_of(data), client_of)
        cloud.upload(hotels)
        for tag in ("1.0-1-cpu-py3", "1.7-1"):
            name = f"hotels-{tag.split('-cpu')[0].replace('.', '-')}"
            cloud.train(name, f"{REGISTRY}:{tag}")
            cloud.register(name, name, f"{REGISTRY}:{tag}")
        yield cloud


def test_training_reports_metrics_logs_and_an_artifact(cloud: Cloud) -> None:
    answer = cloud.sagemaker.describe_training_job(TrainingJobName="hotels-1-7-1")
    assert answer["TrainingJobStatus"] == "Completed"
    assert [step["Status"] for step in answer["SecondaryStatusTransitions"]] == [
        "Starting", "Downloading", "Training", "Uploading", "Completed",
    ]  # fmt: skip
    metrics = {metric["MetricName"]: metric["Value"] for metric in answer["FinalMetricDataList"]}
    assert 0.5 < metrics["validation:auc"] <= metrics["train:auc"] <= 1.0
    artifact = answer["ModelArtifacts"]["S3ModelArtifacts"]
    assert artifact == f"s3://{BUCKET}/models/hotels-1-7-1/output/model.tar.gz"
    assert cloud.s3.head_object(Bucket=BUCKET, Key=artifact.split("/", 3)[3])["ContentLength"] > 500
    group = "/aws/sagemaker/TrainingJobs"
    streams = cloud.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="hotels-1-7-1/")
    [stream] = streams["logStreams"]
    events = cloud.logs.get_log_events(
        logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
    )["events"]
    rounds = [event["message"] for event in events if "#011validation-auc:" in event["message"]]
    assert len(rounds) == 8
    assert rounds[0].startswith("[0]#011train-auc:")


@pytest.mark.parametrize(("tag", "separator"), [("1-0-1", b","), ("1-7-1", b"\n")])
def test_online_and_batch_answer_the_same_digits(
    cloud: Cloud, hotels: Hotels, tag: str, separator: bytes
) -> None:
    model = endpoint = f"hotels-{tag}"
    batch = cloud.transform(f"batch-{tag}", model)
    assert batch.endswith(b"\n")
    cloud.deploy(endpoint, model)
    answer = cloud.in_service(endpoint)
    assert answer["EndpointStatus"] == "InService", answer
    online = cloud.predict(endpoint, hotels.test)
    assert online.rstrip(b"\n").split(separator) == batch.split()
    assert len(batch.split()) == 500
    cloud.sagemaker.delete_endpoint(EndpointName=endpoint)
    with pytest.raises(cloud.sagemaker.exceptions.ClientError, match="Could not find endpoint"):
        cloud.until("describe_endpoint", "EndpointStatus", set(), EndpointName=endpoint)


def test_an_endpoint_is_in_service_within_a_second(cloud: Cloud) -> None:
    begun = time.monotonic()
    cloud.deploy("quick", "hotels-1-7-1")
    assert cloud.in_service("quick")["EndpointStatus"] == "InService"
    assert time.monotonic() - begun < 4.0, "1 s on an idle machine; the tests share theirs"


def test_boto3s_waiter_ends_when_the_endpoint_serves(cloud: Cloud) -> None:
    cloud.deploy("awaited", "hotels-1-7-1")
    begun = time.monotonic()
    cloud.sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="awaited")
    assert time.monotonic() - begun < 10.0, "the waiter's own pause is 30 s"


def test_two_instances_are_two_processes_and_a_killed_one_is_replaced(cloud: Cloud, hotels: Hotels) -> None:
    row = hotels.test.split(b"\n")[0]
    cloud.deploy("pair", "hotels-1-7-1", count=2)
    variant = cloud.in_service("pair")["ProductionVariants"][0]
    assert variant["CurrentInstanceCount"] == 2
    expected = cloud.predict("pair", row)
    workers = serving_processes(cloud)
    assert len(workers) >= 2
    for victim in workers:
        os.kill(victim, signal.SIGKILL)
        deadline = time.monotonic() + LIMIT
        while victim in (left := serving_processes(cloud)) or len(left) < len(workers):
            assert time.monotonic() < deadline, "the killed instance was not replaced"
            assert cloud.predict("pair", row) == expected
    assert cloud.in_service("pair")["EndpointStatus"] == "InService"


def serving_processes(cloud: Cloud) -> set[int]:
    """Return the processes of the server's instances: those whose output goes to a run's log."""
    data = Path(cloud.environment["SAGEMAKER_USER_CONFIG_OVERRIDE"]).parents[1]
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                output = (entry / "fd" / "1").readlink()
            except OSError:
                continue
            if output.is_relative_to(data / "runs") and (output.parent / "ready.json").exists():
                found.add(int(entry.name))
    return found


def test_a_model_that_cannot_be_loaded_fails_with_the_cause(cloud: Cloud) -> None:
    cloud.s3.put_object(Bucket=BUCKET, Key="broken/model.tar.gz", Body=b"this is no archive")
    cloud.sagemaker.create_model(
        ModelName="broken",
        ExecutionRoleArn=cloud.role,
        PrimaryContainer={"Image": f"{REGISTRY}:1.7-1", "ModelDataUrl": f"s3://{BUCKET}/broken/model.tar.gz"},
    )
    cloud.deploy("broken", "broken")
    answer = cloud.in_service("broken")
    assert answer["EndpointStatus"] == "Failed"
    assert "gz" in answer["FailureReason"]
    cloud.sagemaker.delete_endpoint(EndpointName="broken")


def test_a_pickle_from_an_old_image_answers_what_its_own_xgboost_predicted(cloud: Cloud) -> None:
    case = cases()["0.90", "binary-logistic-best"]
    pickled = next(content for suffix, content in case.files.items() if suffix.startswith("pickle"))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("xgboost-model")
        member.size = len(pickled)
        archive.addfile(member, io.BytesIO(pickled))
    cloud.s3.put_object(Bucket=BUCKET, Key="old/model.tar.gz", Body=packed.getvalue())
    cloud.sagemaker.create_model(
        ModelName="old",
        ExecutionRoleArn=cloud.role,
        PrimaryContainer={
            "Image": f"{REGISTRY}:0.90-2-cpu-py3",
            "ModelDataUrl": f"s3://{BUCKET}/old/model.tar.gz",
        },
    )
    cloud.deploy("old", "old")
    assert cloud.in_service("old")["EndpointStatus"] == "InService"
    rows = "\n".join(",".join("" if cell != cell else repr(float(cell)) for cell in row) for row in case.rows)  # noqa: PLR0124 - NaN
    answer = [float(value) for value in cloud.predict("old", rows.encode()).split(b",")]
    assert answer == pytest.approx(case.prediction.tolist(), rel=1e-6)


def test_an_image_that_is_not_there_fails_by_name(cloud: Cloud) -> None:
    image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/my-own:latest"
    cloud.register("foreign", "hotels-1-7-1", image)
    cloud.deploy("foreign", "foreign")
    answer = cloud.in_service("foreign")
    assert answer["EndpointStatus"] == "Failed"
    assert image in answer["FailureReason"]


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"eta": "2"}, "ClientError: Hyperparameter eta: 2.0 is not in [0, 1]"),
        ({"nope": "1"}, "ClientError: Extraneous hyperparameter found: nope"),
    ],
)
def test_a_wrong_hyperparameter_fails_the_job_with_the_containers_words(
    cloud: Cloud, parameters: dict[str, str], reason: str
) -> None:
    answer = cloud.train(f"wrong-{next(numbers)}", f"{REGISTRY}:1.7-1", **parameters)
    assert answer["TrainingJobStatus"] == "Failed"
    assert answer["FailureReason"].startswith(reason)


def test_after_the_whole_tree_is_killed_everything_comes_back(
    tmp_path: Path, start: Start, variables_of: Variables, client_of: ClientOf, hotels: Hotels
) -> None:
    data = tmp_path / "data"
    row = hotels.test.split(b"\n")[0]
    with start(data) as process:
        cloud = Cloud(variables_of(data), client_of)
        cloud.upload(hotels)
        image = f"{REGISTRY}:1.7-1"
        cloud.train("before", image)
        cloud.register("before", "before", image)
        cloud.deploy("kept", "before")
        cloud.in_service("kept")
        expected = cloud.predict("kept", row)
        cloud.sagemaker.create_training_job(
            **request_like(cloud, "before", "interrupted", num_round="300000")
        )
        cloud.until("describe_training_job", "SecondaryStatus", {"Training"}, TrainingJobName="interrupted")
        workers = serving_processes(cloud)
        for pid in [process.pid, *workers]:
            os.kill(pid, signal.SIGKILL)
        process.wait(10)
    with start(data):
        again = Cloud(variables_of(data), client_of)
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                assert again.predict("kept", row) == expected
                break
            except again.runtime.exceptions.ClientError:
                assert time.monotonic() < deadline, "the endpoint did not come back"
        again.sagemaker.stop_training_job(TrainingJobName="interrupted")
        ended = again.until(
            "describe_training_job", "TrainingJobStatus", {"Stopped", "Completed", "Failed"},
            TrainingJobName="interrupted",
        )  # fmt: skip
        assert ended["TrainingJobStatus"] in {"Stopped", "Completed"}, ended


def request_like(cloud: Cloud, job: str, name: str, **parameters: str) -> dict[str, Any]:
    """Return the request of another job under a new name, with other hyperparameters."""
    answer = cloud.sagemaker.describe_training_job(TrainingJobName=job)
    keep = ("AlgorithmSpecification", "RoleArn", "InputDataConfig", "ResourceConfig", "StoppingCondition")
    request = {member: answer[member] for member in keep}
    request["AlgorithmSpecification"].pop("MetricDefinitions", None)
    request["OutputDataConfig"] = {"S3OutputPath": answer["OutputDataConfig"]["S3OutputPath"]}
    return {
        **request,
        "TrainingJobName": name,
        "HyperParameters": {**answer["HyperParameters"], **parameters},
    }

"""The model registry with boto3 against a real server: register, approve, deploy by hand and by rule."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import pytest
from typer.testing import CliRunner

from sagestead.cli import app

Start = Callable[..., AbstractContextManager[subprocess.Popen[bytes]]]
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
BUCKET = "sagemaker-us-east-1-123456789012"
LIMIT = 60.0
RULE = "sagestead:deploy-on-approval"
TOLD = "sagestead:deployment"


class Hotels(Protocol):
    train: bytes
    test: bytes


class Registry:
    """What a team does with the registry."""

    def __init__(
        self, data: Path, environment: dict[str, str], client_of: Callable[..., Any], row: bytes
    ) -> None:
        self.data = data
        self.sagemaker = client_of(environment, "sagemaker")
        self.runtime = client_of(environment, "sagemaker-runtime")
        self.s3 = client_of(environment, "s3")
        self.row = row
        self.s3.create_bucket(Bucket=BUCKET)
        self.data_url = f"s3://{BUCKET}/models/trained/output/model.tar.gz"
        self.environment = environment

    def train(self, hotels: Hotels) -> None:
        rows = b"".join(hotels.train.splitlines(keepends=True)[:300])
        self.s3.put_object(Bucket=BUCKET, Key="train.csv", Body=rows)
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/train.csv"}
        channel = {"ChannelName": "train", "ContentType": "csv", "DataSource": {"S3DataSource": source}}
        self.sagemaker.create_training_job(
            TrainingJobName="trained",
            AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            HyperParameters={"objective": "binary:logistic", "num_round": "3"},
            RoleArn=self.environment["SAGEMAKER_ROLE_ARN"],
            InputDataConfig=[channel],
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/models"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
            StoppingCondition={"MaxRuntimeInSeconds": 600},
        )

        def trained() -> Any:
            job = self.sagemaker.describe_training_job(TrainingJobName="trained")
            return job if job["TrainingJobStatus"] != "InProgress" else None

        assert until(trained)["ModelArtifacts"]["S3ModelArtifacts"] == self.data_url

    def trained(self) -> bytes:
        answer = self.s3.get_object(Bucket=BUCKET, Key=self.data_url.removeprefix(f"s3://{BUCKET}/"))
        model: bytes = answer["Body"].read()
        return model

    def group(self, name: str, endpoint: str | None = None) -> None:
        tags = [] if endpoint is None else [{"Key": RULE, "Value": endpoint}]
        self.sagemaker.create_model_package_group(ModelPackageGroupName=name, Tags=tags)

    def register(self, group: str, url: str | None = None, image: str = IMAGE, **more: Any) -> str:
        container = {"Image": image, "ModelDataUrl": url or self.data_url}
        arn: str = self.sagemaker.create_model_package(
            ModelPackageGroupName=group, InferenceSpecification={"Containers": [container]}, **more
        )["ModelPackageArn"]
        return arn

    def approve(self, arn: str) -> None:
        self.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")

    def told(self, arn: str) -> str:
        package = self.sagemaker.describe_model_package(ModelPackageName=arn)
        said: str = package.get("CustomerMetadataProperties", {}).get(TOLD, "")
        return said

    def told_at_last(self, arn: str) -> str:
        def ended() -> str:
            said = self.told(arn)
            return said if said.startswith(("InService", "Failed", "Superseded")) else ""

        said: str = until(ended)
        return said

    def served(self, endpoint: str) -> str:
        """The package that an endpoint's model was made from."""
        name = self.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
        config = self.sagemaker.describe_endpoint_config(EndpointConfigName=name)
        model = self.sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
        served: str = model["PrimaryContainer"]["ModelPackageName"]
        return served

    def predicts(self, endpoint: str) -> bool:
        answer = self.runtime.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body=self.row)
        return 0.0 < float(answer["Body"].read()) < 1.0

    def command(self, *words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, [*words, "--data", str(self.data)])
        return done.exit_code, done.output


def until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + LIMIT
    while not (found := look()):
        assert time.monotonic() < deadline
    return found


@pytest.fixture(scope="module")
def registry(
    tmp_path_factory: pytest.TempPathFactory,
    start: Start,
    variables_of: Callable[..., dict[str, str]],
    client_of: Callable[..., Any],
    hotels: Hotels,
) -> Iterator[Registry]:
    data = tmp_path_factory.mktemp("registry") / "data"
    with start(data):
        registry = Registry(data, variables_of(data), client_of, hotels.test.splitlines()[0])
        registry.train(hotels)
        yield registry


def test_an_approval_creates_the_endpoint_and_the_next_updates_it(registry: Registry) -> None:
    registry.group("hotels", "hotels-live")
    first, second = registry.register("hotels"), registry.register("hotels")
    assert registry.told(first) == ""
    registry.approve(first)
    assert registry.told_at_last(first) == "InService on endpoint hotels-live"
    assert registry.served("hotels-live") == first
    assert registry.predicts("hotels-live")
    registry.approve(second)
    assert registry.told_at_last(second) == "InService on endpoint hotels-live"
    assert registry.served("hotels-live") == second
    registry.approve(first)  # it is approved already: nothing happens
    registry.sagemaker.update_model_package(ModelPackageArn=second, ModelApprovalStatus="Rejected")
    assert registry.served("hotels-live") == second
    registry.sagemaker.update_model_package(ModelPackageArn=first, ModelApprovalStatus="Rejected")
    registry.approve(first)  # an older version again: the way back
    until(lambda: registry.served("hotels-live") == first)
    models = registry.sagemaker.list_models(NameContains="hotels-")["Models"]
    assert len(models) == 2


def test_a_version_that_is_born_approved_is_deployed(registry: Registry) -> None:
    registry.group("born", "born-live")
    arn = registry.register("born", ModelApprovalStatus="Approved")
    assert registry.told_at_last(arn) == "InService on endpoint born-live"


def test_without_a_rule_an_approval_does_nothing(registry: Registry) -> None:
    registry.group("quiet")
    arn = registry.register("quiet")
    registry.approve(arn)
    package = registry.sagemaker.describe_model_package(ModelPackageName=arn)
    assert package["ModelApprovalStatus"] == "Approved"
    assert "CustomerMetadataProperties" not in package


def test_a_deployment_that_fails_says_why_and_leaves_what_served(registry: Registry) -> None:
    registry.group("broken", "broken-live")
    good = registry.register("broken", ModelApprovalStatus="Approved")
    assert registry.told_at_last(good).startswith("InService")
    registry.s3.put_object(Bucket=BUCKET, Key="bad.tar.gz", Body=b"no archive")
    bad = registry.register("broken", f"s3://{BUCKET}/bad.tar.gz", ModelApprovalStatus="Approved")
    said = registry.told_at_last(bad)
    assert said.startswith("Failed on endpoint broken-live: ")
    assert len(said) > len("Failed on endpoint broken-live: ")
    assert registry.served("broken-live") == good
    assert registry.predicts("broken-live")


def test_a_deployment_that_is_refused_says_why(registry: Registry) -> None:
    registry.group("changed", "changed-live")
    registry.s3.put_object(Bucket=BUCKET, Key="soon.tar.gz", Body=b"a")
    arn = registry.register("changed", f"s3://{BUCKET}/soon.tar.gz")
    registry.s3.delete_object(Bucket=BUCKET, Key="soon.tar.gz")
    registry.approve(arn)
    said = registry.told_at_last(arn)
    assert said == f"Failed on endpoint changed-live: Could not find model data at s3://{BUCKET}/soon.tar.gz."
    found = registry.sagemaker.search(
        Resource="ModelPackage",
        SearchExpression={
            "Filters": [
                {
                    "Name": f"CustomerMetadataProperties.{TOLD}",
                    "Operator": "Contains",
                    "Value": "changed-live",
                }
            ]
        },
    )["Results"]
    assert [one["ModelPackage"]["ModelPackageArn"] for one in found] == [arn]


def test_the_command_deploys_once_and_follows_the_endpoint(registry: Registry) -> None:
    registry.group("typed")
    first = registry.register("typed")
    code, said = registry.command("deploy", "--package", first)
    assert code == 1
    assert "PendingManualApproval" in said
    assert "UpdateModelPackage" in said
    registry.approve(first)
    code, said = registry.command(
        "deploy", "--package", "typed/1", "--instance-type", "ml.c5.large", "--wait"
    )
    assert code == 0, said
    assert "serves" in said
    assert registry.served("typed") == first
    code, said = registry.command("deploy", "--package", first, "--instance-type", "ml.c5.large")
    assert code == 0, said
    assert "already" in said
    second = registry.register("typed", ModelApprovalStatus="Approved")
    code, said = registry.command("deploy", "--package", second, "--endpoint", "typed", "--wait")
    assert code == 0, said
    assert registry.served("typed") == second
    variant = registry.sagemaker.describe_endpoint(EndpointName="typed")["ProductionVariants"][0]
    assert variant["VariantName"] == "AllTraffic"
    configs = registry.sagemaker.list_endpoint_configs(NameContains="typed-")["EndpointConfigs"]
    assert len(configs) == 2


def test_the_command_says_what_is_wrong(registry: Registry) -> None:
    code, said = registry.command("deploy", "--package", "nothing/1")
    assert code == 1
    assert "does not exist" in said


def test_an_approval_survives_a_kill_of_everything(
    registry: Registry,
    tmp_path: Path,
    start: Start,
    variables_of: Callable[..., dict[str, str]],
    client_of: Callable[..., Any],
) -> None:
    data, model = tmp_path / "data", registry.trained()
    with start(data) as process:
        registry = Registry(data, variables_of(data), client_of, registry.row)
        registry.s3.put_object(Bucket=BUCKET, Key="models/trained/output/model.tar.gz", Body=model)
        registry.group("killed", "killed-live")
        first, second = registry.register("killed"), registry.register("killed")
        registry.approve(first)
        registry.approve(second)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with start(data):
        registry.sagemaker = client_of(variables_of(data), "sagemaker")
        registry.runtime = client_of(variables_of(data), "sagemaker-runtime")
        assert registry.told_at_last(second) == "InService on endpoint killed-live"
        assert registry.told_at_last(first).startswith(("Superseded", "InService"))
        assert registry.served("killed-live") == second
        assert registry.predicts("killed-live")
        assert json.dumps(registry.sagemaker.list_models()["Models"], default=str).count("killed-") <= 4

"""A mixed load on a service that is being killed, and what must hold afterwards.

A call that was answered is remembered; one whose answer was lost may have been carried out or not.
"""

from __future__ import annotations

import io
import random
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from botocore.exceptions import BotoCoreError, ClientError

BUCKET = "sagemaker-us-east-1-123456789012"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
ANSWERS = {"ten": b"10.0", "twenty": b"20.0"}
ENDPOINTS = [f"endpoint-{number}" for number in range(4)]
LOST = frozenset({"ServiceUnavailable", "InternalFailure", "ThrottlingException", "503", "500"})


def constant_model(value: float) -> bytes:
    """Return a model.tar.gz that predicts one number."""
    matrix = xgboost.DMatrix(np.zeros((8, 2)), np.full(8, value))
    booster = xgboost.train({"base_score": value, "nthread": 1}, matrix, 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "xgboost-model.json")
        booster.save_model(path)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            tar.add(path, "xgboost-model")
    return packed.getvalue()


@dataclass
class Load:
    """What was asked, and what was acknowledged."""

    client: Callable[[str], Any]
    role: str
    chance: random.Random
    deployed: dict[str, set[str]] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    trained: list[str] = field(default_factory=list)
    transformed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    answered: int = 0
    _number: int = 0

    def __post_init__(self) -> None:
        self.sagemaker, self.runtime, self.s3 = map(self.client, ("sagemaker", "sagemaker-runtime", "s3"))

    def prepare(self) -> None:
        self.s3.create_bucket(Bucket=BUCKET)
        rows = "".join(f"{number % 2},{number % 7},{number % 5}\n" for number in range(200))
        self.s3.put_object(Bucket=BUCKET, Key="data/rows.csv", Body=rows.encode())
        self.s3.put_object(Bucket=BUCKET, Key="batch/a.csv", Body=b"1,2\n3,4\n")
        for name, answer in ANSWERS.items():
            self.s3.put_object(Bucket=BUCKET, Key=f"{name}.tar.gz", Body=constant_model(float(answer)))
            container = {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/{name}.tar.gz"}
            self.sagemaker.create_model(
                ModelName=name, ExecutionRoleArn=self.role, PrimaryContainer=container
            )
            for count in (1, 2):
                variant = {
                    "VariantName": "v",
                    "ModelName": name,
                    "InstanceType": "ml.m5.large",
                    "InitialInstanceCount": count,
                }
                self.sagemaker.create_endpoint_config(
                    EndpointConfigName=f"{name}-{count}", ProductionVariants=[variant]
                )

    def step(self) -> None:
        """Do one thing, chosen at random."""
        actions = [self.create, self.update, self.delete, self.train, self.stop, self.transform]
        self.chance.choices([*actions, self.invoke], [4, 3, 2, 1, 1, 1, 8])[0]()

    def create(self) -> None:
        name, config = self.chance.choice(ENDPOINTS), self._config()
        answer = self._call(self.sagemaker.create_endpoint, EndpointName=name, EndpointConfigName=config)
        if answer:
            self.doubtful.discard(name)
            self.deployed[name] = {config}
        elif answer is None:
            self.doubtful.add(name)
            self.deployed.setdefault(name, set()).add(config)

    def update(self) -> None:
        name, config = self.chance.choice(ENDPOINTS), self._config()
        answer = self._call(self.sagemaker.update_endpoint, EndpointName=name, EndpointConfigName=config)
        if answer is not False:
            self.deployed.setdefault(name, set()).add(config)
        if answer is None:
            self.doubtful.add(name)

    def delete(self) -> None:
        name = self.chance.choice(ENDPOINTS)
        answer = self._call(self.sagemaker.delete_endpoint, EndpointName=name)
        if answer:
            self.doubtful.discard(name)
            self.deployed.pop(name, None)
        elif answer is None:
            self.doubtful.add(name)

    def invoke(self) -> None:
        name = self.chance.choice(ENDPOINTS)
        self._call(self._predict, name=name)

    def train(self) -> None:
        name = self._name("train")
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data/"}
        answer = self._call(
            self.sagemaker.create_training_job,
            TrainingJobName=name,
            AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            RoleArn=self.role,
            HyperParameters={"num_round": str(self.chance.choice([2, 300]))},
            InputDataConfig=[
                {"ChannelName": "train", "ContentType": "csv", "DataSource": {"S3DataSource": source}}
            ],
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/models"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
            StoppingCondition={"MaxRuntimeInSeconds": 600},
        )
        if answer:
            self.trained.append(name)

    def stop(self) -> None:
        if self.trained:
            name = self.chance.choice(self.trained)
            self._call(self.sagemaker.stop_training_job, TrainingJobName=name)

    def transform(self) -> None:
        name = self._name("batch")
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/batch/"}
        answer = self._call(
            self.sagemaker.create_transform_job,
            TransformJobName=name,
            ModelName="ten",
            TransformInput={
                "DataSource": {"S3DataSource": source}, "ContentType": "text/csv", "SplitType": "Line"
            },
            TransformOutput={"S3OutputPath": f"s3://{BUCKET}/{name}", "AssembleWith": "Line"},
            TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        )  # fmt: skip
        if answer:
            self.transformed.append(name)

    def _predict(self, name: str) -> None:
        body = self.runtime.invoke_endpoint(EndpointName=name, ContentType="text/csv", Body=b"1,2")
        answer = body["Body"].read().strip()
        configs = self.deployed.get(name)  # none: it is being deleted, and serves until that is known
        if configs and answer not in {ANSWERS[config.split("-")[0]] for config in configs}:
            self.wrong.append(f"{name} of {configs} predicted {answer!r}")

    def _call(self, operation: Callable[..., Any], **arguments: Any) -> bool | None:
        """True: acknowledged; False: refused; None: nobody knows."""
        try:
            operation(**arguments)
        except ClientError as refusal:
            return None if refusal.response["Error"]["Code"] in LOST else False
        except BotoCoreError:
            return None
        self.answered += 1
        return True

    def _config(self) -> str:
        return f"{self.chance.choice(list(ANSWERS))}-{self.chance.choice([1, 2])}"

    def _name(self, kind: str) -> str:
        self._number += 1
        return f"{kind}-{self._number}"


@dataclass
class Judge:
    """Looks at a service that nobody disturbs any more; `load` has clients that try again."""

    load: Load

    def is_steady(self) -> bool:
        """True when nothing is under way, and somebody is there to say so."""
        sagemaker = self.load.sagemaker
        try:
            endpoints = sagemaker.list_endpoints(MaxResults=100)["Endpoints"]
        except BotoCoreError:
            return False
        training = sagemaker.list_training_jobs(MaxResults=100)["TrainingJobSummaries"]
        batch = sagemaker.list_transform_jobs(MaxResults=100)["TransformJobSummaries"]
        statuses = [
            *(one["EndpointStatus"] for one in endpoints),
            *(one["TrainingJobStatus"] for one in training),
            *(one["TransformJobStatus"] for one in batch),
        ]
        return not {"Creating", "Updating", "Deleting", "InProgress", "Stopping"}.intersection(statuses)

    def faults(self) -> list[str]:
        """Return what is wrong, in sentences."""
        return [*self.load.wrong, *self._endpoints(), *self._training(), *self._batch()]

    def instances(self) -> int:
        """Return how many instances ought to live."""
        return sum(
            variant["DesiredInstanceCount"] for one in self.serving() for variant in one["ProductionVariants"]
        )

    def variants(self) -> int:
        """Return how many models ought to be prepared where front doors host them."""
        return sum(len(one["ProductionVariants"]) for one in self.serving())

    def serving(self) -> list[dict[str, Any]]:
        """Return the endpoints in service, as they are described."""
        return [one for one in self._described().values() if one["EndpointStatus"] == "InService"]

    def _described(self) -> dict[str, Any]:
        names = [one["EndpointName"] for one in self.load.sagemaker.list_endpoints()["Endpoints"]]
        return {name: self.load.sagemaker.describe_endpoint(EndpointName=name) for name in names}

    def _endpoints(self) -> list[str]:
        there, found = self._described(), []
        for name, configs in self.load.deployed.items():
            if name not in there and name not in self.load.doubtful:
                found.append(f"{name} was acknowledged with {configs} and is not there")
        for name, one in there.items():
            if name not in self.load.deployed and name not in self.load.doubtful:
                found.append(f"{name} was deleted and is there")
            if one["EndpointStatus"] == "Failed" and not one.get("FailureReason"):
                found.append(f"{name} failed without a reason")
            if one["EndpointStatus"] == "InService":
                found += self._serves(name, one)
            if one["CreationTime"] > one["LastModifiedTime"]:
                found.append(f"{name} was modified before it was created")
        return found

    def _serves(self, name: str, one: dict[str, Any]) -> list[str]:
        body = self.load.runtime.invoke_endpoint(EndpointName=name, ContentType="text/csv", Body=b"1,2")
        answer = body["Body"].read().strip()
        found = [
            f"{name} shows {variant}"
            for variant in one["ProductionVariants"]
            if variant["CurrentInstanceCount"] != variant["DesiredInstanceCount"]
        ]
        if answer != ANSWERS[one["EndpointConfigName"].split("-")[0]]:
            found.append(f"{name} of {one['EndpointConfigName']} predicts {answer!r}")
        return found

    def _training(self) -> list[str]:
        found = []
        for name in self.load.trained:
            one = self.load.sagemaker.describe_training_job(TrainingJobName=name)
            if one["TrainingJobStatus"] == "Failed" and not _was_killed(one):
                found.append(f"{name} failed: {one.get('FailureReason')}")
            if one["TrainingJobStatus"] == "Completed":
                self.load.s3.head_object(Bucket=BUCKET, Key=f"models/{name}/output/model.tar.gz")
            transitions = one["SecondaryStatusTransitions"]
            if any("EndTime" not in entry for entry in transitions):
                found.append(f"{name} has an open transition: {transitions}")
            ends = [entry["EndTime"] for entry in transitions]
            if ends != sorted(ends) or one.get("TrainingStartTime", ends[-1]) > one["TrainingEndTime"]:
                found.append(f"the times of {name} run backwards: {one}")
        return found

    def _batch(self) -> list[str]:
        found = []
        for name in self.load.transformed:
            one = self.load.sagemaker.describe_transform_job(TransformJobName=name)
            if one["TransformJobStatus"] == "Failed" and not _was_killed(one):
                found.append(f"{name} failed: {one.get('FailureReason')}")
            if one["TransformJobStatus"] == "Completed":
                stored = self.load.s3.get_object(Bucket=BUCKET, Key=f"{name}/a.csv.out")
                if stored["Body"].read() != b"10.0\n10.0\n":
                    found.append(f"{name} has the wrong output")
        return found


def _was_killed(job: dict[str, Any]) -> bool:
    """True when the reason of a failure is that the job's process was killed."""
    reason = job.get("FailureReason", "")
    return "exit code: 137" in reason or "lost 3 times" in reason

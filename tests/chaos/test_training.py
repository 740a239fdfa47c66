"""Every process of a server is killed while two instances train one model: both go on from the checkpoint.

More moments: `CHAOS_SEEDS=1,2,3 pytest tests/chaos/test_training.py`.
"""

from __future__ import annotations

import os
import random
import tarfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
import xgboost
from tests.chaos.tree import Tree, kill

SEEDS = [int(seed) for seed in os.environ.get("CHAOS_SEEDS", "3").split(",")]
KILLS, ROUNDS = 2, 120
BUCKET = "sagemaker-us-east-1-123456789012"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
ROWS = b"".join(b"%d,%d,%d\n" % (number % 7 < 3, number % 7, number % 5) for number in range(300))


def fit(client: Callable[[str], Any], role: str) -> None:
    client("s3").create_bucket(Bucket=BUCKET)
    for part in range(2):
        client("s3").put_object(Bucket=BUCKET, Key=f"rows/{part}.csv", Body=ROWS)
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": f"s3://{BUCKET}/rows/",
        "S3DataDistributionType": "ShardedByS3Key",
    }
    client("sagemaker").create_training_job(
        TrainingJobName="pair",
        HyperParameters={"objective": "binary:logistic", "num_round": str(ROUNDS), "max_depth": "2"},
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        RoleArn=role,
        InputDataConfig=[
            {"ChannelName": "train", "ContentType": "csv", "DataSource": {"S3DataSource": source}}
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/models"},
        CheckpointConfig={"S3Uri": f"s3://{BUCKET}/checkpoints"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 30},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_two_instances_go_on_together_after_everything_was_killed(
    tree: Tree, variables_of: Callable[..., dict[str, str]], client_of: Callable[..., Any], seed: int
) -> None:
    environment = variables_of(tree.data)

    def client(name: str) -> Any:
        return client_of(environment, name)

    fit(client, environment["SAGEMAKER_ROLE_ARN"])
    chance = random.Random(seed)  # noqa: S311 - the same moments every time
    for _ in range(KILLS):
        tree._pause.wait(chance.uniform(0.1, 0.6))
        while left := tree.left():
            for pid in left:
                kill(pid)
            tree._pause.wait(0.01)
        assert tree.supervisor is not None
        tree.supervisor.wait(10)
        tree.start()

    def ended() -> Any:
        (row,) = client("sagemaker").list_training_jobs()["TrainingJobSummaries"]
        return row if row["TrainingJobStatus"] not in {"InProgress", "Stopping"} else None

    assert tree.until(ended, "the job has ended", 60)["TrainingJobStatus"] == "Completed", client(
        "sagemaker"
    ).describe_training_job(TrainingJobName="pair")
    body = client("s3").get_object(Bucket=BUCKET, Key="models/pair/output/model.tar.gz")["Body"].read()
    with tarfile.open(fileobj=BytesIO(body)) as tar:
        file = tar.extractfile("xgboost-model")
        assert file is not None
        model = xgboost.Booster(model_file=bytearray(file.read()))
    assert model.num_boosted_rounds() == ROUNDS

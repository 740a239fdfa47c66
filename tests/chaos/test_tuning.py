"""Every process of a server is killed at any moment of a tuning job; the search goes on as if nothing was.

What a training job loses by such a death is no attempt of its own (engines/process/engine.py).

More moments: `CHAOS_SEEDS=1,2,3 pytest tests/chaos/test_tuning.py`.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.chaos.tree import Tree, kill

from sagestead.control.trial_records import children_of
from sagestead.domain.resources import Key, Kind
from sagestead.optimizer import suggest
from sagestead.planning.trials import FACTS, search_of, trial_name, trials_of
from sagestead.planning.tuning import question
from sagestead.store import SqlResources, open_database

SEEDS = [int(seed) for seed in os.environ.get("CHAOS_SEEDS", "5").split(",")]
KILLS, TRIALS = 3, 6
BUCKET = "sagemaker-us-east-1-123456789012"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
ROWS = b"".join(b"%d,%d,%d\n" % (number % 7 < 3, number % 7, number % 5) for number in range(300))


def search(client: Callable[[str], Any], role: str) -> None:
    client("s3").create_bucket(Bucket=BUCKET)
    client("s3").put_object(Bucket=BUCKET, Key="rows.csv", Body=ROWS)
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/rows.csv"}
    client("sagemaker").create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="hunt",
        HyperParameterTuningJobConfig={
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "validation:logloss"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": TRIALS, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": {
                "ContinuousParameterRanges": [{"Name": "eta", "MinValue": "0.01", "MaxValue": "1"}],
                "IntegerParameterRanges": [{"Name": "max_depth", "MinValue": "1", "MaxValue": "9"}],
            },
        },
        TrainingJobDefinition={
            "StaticHyperParameters": {"objective": "binary:logistic", "num_round": "40"},
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "RoleArn": role,
            "InputDataConfig": [
                {"ChannelName": name, "ContentType": "csv", "DataSource": {"S3DataSource": source}}
                for name in ("train", "validation")
            ],
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/models"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        },
    )


def status(client: Callable[[str], Any]) -> Any:
    rows = client("sagemaker").list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"]
    return rows[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_search_goes_on_with_the_same_suggestions(
    tree: Tree, variables_of: Callable[..., dict[str, str]], client_of: Callable[..., Any], seed: int
) -> None:
    environment = variables_of(tree.data)

    def client(name: str) -> Any:
        return client_of(environment, name)

    search(client, environment["SAGEMAKER_ROLE_ARN"])
    chance = random.Random(seed)  # noqa: S311 - the same moments every time
    for _ in range(KILLS):
        tree._pause.wait(chance.uniform(0.05, 0.7))
        while left := tree.left():
            for pid in left:
                kill(pid)
            tree._pause.wait(0.01)
        assert tree.supervisor is not None
        tree.supervisor.wait(10)
        tree.start()
    ended = tree.until(
        lambda: row if (row := status(client))["HyperParameterTuningJobStatus"] != "InProgress" else None,
        "the search has ended",
        60,
    )
    assert ended["HyperParameterTuningJobStatus"] == "Completed"
    assert ended["TrainingJobStatusCounters"]["Completed"] == TRIALS
    same_suggestions(tree.data)


def same_suggestions(data: Path) -> None:
    """Every trial is there once, and its point is what its question, asked again, is answered."""
    database = open_database(data)
    resources = SqlResources(database)
    job = resources.get(Key(Kind.TUNING_JOB, "123456789012", "us-east-1", "hunt"))
    assert job is not None
    children = children_of(resources, job)
    wanted = [trial_name(job, number) for number in range(1, TRIALS + 1)]
    assert [child.key.name for child in children] == wanted
    trials = trials_of(children)
    for child in children:
        facts = child.detail[FACTS]
        asked = question(search_of(job), trials, (), facts["Number"], facts["Pending"])
        assert suggest(asked) == facts["Point"]
    database.close()

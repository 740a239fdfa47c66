"""Tuning jobs with boto3 against a real server, as the SDK's HyperparameterTuner drives them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

import pytest

Start = Callable[..., AbstractContextManager[subprocess.Popen[bytes]]]
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
BUCKET = "sagemaker-us-east-1-123456789012"
LIMIT = 60.0
ENDED = {"Completed", "Failed", "Stopped"}


class Hotels(Protocol):
    train: bytes
    validation: bytes


class Tuner:
    """What the SDK does with a tuning job."""

    def __init__(self, environment: dict[str, str], client_of: Callable[..., Any], hotels: Hotels) -> None:
        self.sagemaker = client_of(environment, "sagemaker")
        self.s3 = client_of(environment, "s3")
        self.role = environment["SAGEMAKER_ROLE_ARN"]
        self.s3.create_bucket(Bucket=BUCKET)
        rows = hotels.train.splitlines(keepends=True)
        self.s3.put_object(Bucket=BUCKET, Key="data/train.csv", Body=b"".join(rows[:600]))
        self.s3.put_object(Bucket=BUCKET, Key="data/validation.csv", Body=hotels.validation)

    def fit(self, name: str, strategy: str, total: int | None, ranges: Any, **more: Any) -> None:
        limits = {"MaxParallelTrainingJobs": 2, **({"MaxNumberOfTrainingJobs": total} if total else {})}
        static = {"objective": "binary:logistic", **more.pop("static", {"num_round": "3"})}
        self.sagemaker.create_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name,
            HyperParameterTuningJobConfig={
                "Strategy": strategy,
                "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "validation:auc"},
                "ResourceLimits": limits,
                "ParameterRanges": ranges,
                **more.pop("config", {}),
            },
            TrainingJobDefinition={
                "StaticHyperParameters": static,
                "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
                "RoleArn": self.role,
                "InputDataConfig": [
                    {
                        "ChannelName": channel,
                        "ContentType": "csv",
                        "DataSource": {
                            "S3DataSource": {
                                "S3DataType": "S3Prefix",
                                "S3Uri": f"s3://{BUCKET}/data/{channel}",
                            }
                        },
                    }
                    for channel in ("train", "validation")
                ],
                "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/models"},
                "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
                "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
            },
            **more,
        )

    def describe(self, name: str) -> Any:
        return self.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)

    def wait(self, name: str) -> Any:
        deadline = time.monotonic() + LIMIT
        while (answer := self.describe(name))["HyperParameterTuningJobStatus"] not in ENDED:
            assert time.monotonic() < deadline, answer
        return answer

    def counters(self, name: str) -> Any:
        """What a list says at once; a Describe of a job under way waits for its end."""
        rows = self.sagemaker.list_hyper_parameter_tuning_jobs(NameContains=name)
        return rows["HyperParameterTuningJobSummaries"][0]["ObjectiveStatusCounters"]

    def trials(self, name: str) -> Any:
        return self.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name, MaxResults=100
        )["TrainingJobSummaries"]


ETA = {"Name": "eta", "MinValue": "0.1", "MaxValue": "0.5", "ScalingType": "Logarithmic"}
DEPTH = {"Name": "max_depth", "MinValue": "1", "MaxValue": "9"}
RANGES = {"ContinuousParameterRanges": [ETA], "IntegerParameterRanges": [DEPTH]}


@pytest.fixture(scope="module")
def tuner(
    tmp_path_factory: pytest.TempPathFactory,
    start: Start,
    variables_of: Callable[..., dict[str, str]],
    client_of: Callable[..., Any],
    hotels: Hotels,
) -> Iterator[Tuner]:
    data = tmp_path_factory.mktemp("tuning") / "data"
    with start(data):
        yield Tuner(variables_of(data), client_of, hotels)


def test_a_search_finds_and_shows_its_best_training_job(tuner: Tuner) -> None:
    tuner.fit("search", "Bayesian", 6, RANGES, Tags=[{"Key": "team", "Value": "a"}])
    answer = tuner.wait("search")
    assert answer["HyperParameterTuningJobStatus"] == "Completed"
    assert answer["TrainingJobStatusCounters"]["Completed"] == 6
    assert answer["ObjectiveStatusCounters"] == {"Succeeded": 6, "Pending": 0, "Failed": 0}
    trials = tuner.trials("search")
    assert [int(trial["TrainingJobName"].split("-")[1]) for trial in trials] == [6, 5, 4, 3, 2, 1]
    best = answer["BestTrainingJob"]
    value = best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    assert value == max(trial["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for trial in trials)
    training = tuner.sagemaker.describe_training_job(TrainingJobName=best["TrainingJobName"])
    metrics = {one["MetricName"]: one["Value"] for one in training["FinalMetricDataList"]}
    assert metrics["ObjectiveMetric"] == metrics["validation:auc"] == value
    assert training["HyperParameters"] == {
        "objective": "binary:logistic",
        "num_round": "3",
        "_tuning_objective_metric": "validation:auc",
        **best["TunedHyperParameters"],
    }
    tags = tuner.sagemaker.list_tags(ResourceArn=best["TrainingJobArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "a"}]
    bucket_key = training["ModelArtifacts"]["S3ModelArtifacts"].split("/", 3)[3]
    assert tuner.s3.head_object(Bucket=BUCKET, Key=bucket_key)["ContentLength"] > 500
    assert min(trial["CreationTime"] for trial in trials) >= answer["CreationTime"]


def test_a_warm_start_knows_the_best_of_its_parents(tuner: Tuner) -> None:
    tuner.fit("parent", "Random", 3, RANGES)
    before = tuner.wait("parent")["BestTrainingJob"]
    parents = {"ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "parent"}]}
    warm = {**parents, "WarmStartType": "IdenticalDataAndAlgorithm"}
    tuner.fit("child", "Bayesian", 2, RANGES, WarmStartConfig=warm)
    answer = tuner.wait("child")
    overall, own = answer["OverallBestTrainingJob"], answer["BestTrainingJob"]
    values = [one["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for one in (before, own, overall)]
    assert values[2] == max(values)
    assert overall["TuningJobName"] in {"parent", "child"}


def test_a_grid_is_gone_through_once(tuner: Tuner) -> None:
    grid = {"CategoricalParameterRanges": [{"Name": "max_depth", "Values": ["1", "2", "3"]}]}
    tuner.fit("grid", "Grid", None, grid)
    assert tuner.wait("grid")["TrainingJobStatusCounters"]["Completed"] == 3
    tried = sorted(trial["TunedHyperParameters"]["max_depth"] for trial in tuner.trials("grid"))
    assert tried == ["1", "2", "3"]


def test_a_stop_keeps_the_best_so_far(tuner: Tuner) -> None:
    rounds = {"Name": "num_round", "Values": ["1", "100000", "100001"]}
    tuner.fit("stop", "Grid", None, {"CategoricalParameterRanges": [rounds]}, static={"eta": "0.1"})
    deadline = time.monotonic() + LIMIT
    while tuner.counters("stop")["Succeeded"] < 1:
        assert time.monotonic() < deadline
    tuner.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stop")
    answer = tuner.wait("stop")
    assert answer["HyperParameterTuningJobStatus"] == "Stopped"
    trials = tuner.trials("stop")
    assert {trial["TrainingJobStatus"] for trial in trials} == {"Completed", "Stopped"}
    assert answer["BestTrainingJob"]["TrainingJobName"] in {trial["TrainingJobName"] for trial in trials}


def test_hyperband_ends_trials_that_have_used_up_their_budget_or_are_not_among_the_best(tuner: Tuner) -> None:
    budget = {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 30}}
    config = {"StrategyConfig": budget, "RandomSeed": 1}
    tuner.fit("hyperband", "Hyperband", 4, RANGES, config=config, static={"num_round": "100000"})
    answer = tuner.wait("hyperband")
    assert answer["HyperParameterTuningJobStatus"] == "Completed"
    assert answer["ObjectiveStatusCounters"]["Succeeded"] == 4
    assert answer["TrainingJobStatusCounters"]["Stopped"] == 4


def test_trainings_that_all_fail_fail_the_job(tuner: Tuner) -> None:
    wrong = {"CategoricalParameterRanges": [{"Name": "eta", "Values": ["7", "8"]}]}
    tuner.fit("wrong", "Grid", None, wrong)
    answer = tuner.wait("wrong")
    assert answer["HyperParameterTuningJobStatus"] == "Failed"
    assert answer["FailureReason"].startswith("All training jobs failed.")
    assert answer["TrainingJobStatusCounters"]["NonRetryableError"] == 2
    assert "Hyperparameter eta" in tuner.trials("wrong")[0]["FailureReason"]

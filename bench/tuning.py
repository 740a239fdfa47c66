"""A tuning job against the bare sum of its trainings, and its search against Optuna's own. Prints JSON.

python bench/tuning.py [--trials 30] [--parallel 3] [--seeds 10] [--json FILE]

`wall` is one Bayesian job on the demo's hotel bookings, from its creation to its end. `bare` are the same
trainings with the same hyperparameters, one after the other in one warm process with XGBoost alone: read
the CSV files, train and evaluate, write the model. They are done with one thread and with all cores each,
and the quicker sum counts; `bare_data_read_once` is the same without reading and writing. `cpu_over_bare`
compares the processor time of the whole service during the job with that of the bare trainings with one
thread: that says more than the wall time when the machine has other work. `search` compares the best
validation AUC of `suggest`, asked with other trials under way as in a job, with that of Optuna's TPE
sampler asked one by one, by seed. About five minutes on an idle machine; half a one with --seeds 0.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pyarrow.csv
import xgboost
from machine import machine
from ours import BUCKET, IMAGE, Ours

from sagestead.domain.search_space import seed_of, space_of
from sagestead.domain.tuning import Observation, Question, Strategy
from sagestead.optimizer import suggest

NUMBERS = (
    "lead_time", "stays_in_weekend_nights", "stays_in_week_nights", "adults", "is_repeated_guest",
    "booking_changes", "days_in_waiting_list", "average_daily_rate", "total_of_special_requests",
)  # fmt: skip
WORDS = ("hotel", "meal", "market_segment", "reserved_room_type", "deposit_type", "customer_type")
ETA, ROUNDS, DEPTH = (0.1, 0.5), (50, 500), (1, 9)
RANGES: dict[str, Any] = {
    "ContinuousParameterRanges": [
        {"Name": "eta", "MinValue": str(ETA[0]), "MaxValue": str(ETA[1]), "ScalingType": "Logarithmic"}
    ],
    "IntegerParameterRanges": [
        {"Name": "num_round", "MinValue": str(ROUNDS[0]), "MaxValue": str(ROUNDS[1])},
        {"Name": "max_depth", "MinValue": str(DEPTH[0]), "MaxValue": str(DEPTH[1])},
    ],
}
STATIC = {"objective": "binary:logistic", "min_child_weight": "1.0", "eval_metric": "auc"}
LIMIT = 1.15
NOISE = 2.0
"""So many standard errors of the mean difference count as noise."""


@dataclass(frozen=True)
class Data:
    """Label first; rows of 0 to 1 columns for words."""

    train: np.ndarray
    validation: np.ndarray


def hotels() -> Data:
    """Encode, shuffle and split the demo's bookings: 70 % and 30 %."""
    with files("sagestead.demo").joinpath("hotels.csv").open() as source:
        records = list(csv.DictReader(source))
    words = [(name, word) for name in WORDS for word in sorted({record[name] for record in records})]
    rows = [
        [float(record["children"] != "none")]
        + [float(record[name]) for name in NUMBERS]
        + [float(record[name] == word) for name, word in words]
        for record in records
    ]
    random.Random(28).shuffle(rows)  # noqa: S311 - the same split every time
    cut = len(rows) * 7 // 10
    return Data(np.array(rows[:cut]), np.array(rows[cut:]))


def as_csv(rows: np.ndarray) -> bytes:
    """Return rows as the built-in algorithm reads them."""
    text = io.StringIO()
    np.savetxt(text, rows, fmt="%g", delimiter=",")
    return text.getvalue().encode()


def training(data: Data, point: Mapping[str, str], threads: int) -> tuple[float, xgboost.Booster]:
    """Train as a trial does; return the last validation AUC and the model."""
    train, validation = (
        xgboost.DMatrix(rows[:, 1:], rows[:, 0], nthread=threads) for rows in (data.train, data.validation)
    )
    params = {
        "objective": "binary:logistic",
        "eval_metric": "auc",
        "min_child_weight": 1.0,
        "eta": float(point["eta"]),
        "max_depth": int(point["max_depth"]),
        "nthread": threads,
    }
    told: dict[str, Any] = {}
    model = xgboost.train(
        params,
        train,
        int(point["num_round"]),
        evals=[(train, "train"), (validation, "validation")],
        evals_result=told,
        verbose_eval=False,
    )
    return float(told["validation"]["auc"][-1]), model


def read(path: Path) -> np.ndarray:
    """Read a CSV file without a header, as quickly as can be."""
    table = pyarrow.csv.read_csv(path, pyarrow.csv.ReadOptions(autogenerate_column_names=True))
    return np.column_stack([column.to_numpy() for column in table.columns])


@dataclass(frozen=True)
class Took:
    """Seconds of the clock, and of all processors."""

    wall: float
    cpu: float


def job(data: Data, trials: int, parallel: int) -> tuple[Took, list[dict[str, str]], float]:
    """Run a tuning job on a server of its own; return what it took, its points and its best AUC."""
    with Ours("tuning") as server:
        sagemaker, s3 = server.client("sagemaker"), server.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="train.csv", Body=as_csv(data.train))
        s3.put_object(Bucket=BUCKET, Key="validation.csv", Body=as_csv(data.validation))
        began, used = time.perf_counter(), server.cpu()
        sagemaker.create_hyper_parameter_tuning_job(**_request("tuning", trials, parallel, server))
        answer = _ended(sagemaker, "tuning")
        took = Took(time.perf_counter() - began, server.cpu() - used)
        rows = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName="tuning", MaxResults=100
        )["TrainingJobSummaries"]
    best = answer["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    return took, [row["TunedHyperParameters"] for row in rows], best


def _request(name: str, trials: int, parallel: int, server: Ours) -> dict[str, Any]:
    def channel(data: str) -> dict[str, Any]:
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{data}.csv"}
        return {"ChannelName": data, "ContentType": "csv", "DataSource": {"S3DataSource": source}}

    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "validation:auc"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": trials, "MaxParallelTrainingJobs": parallel},
            "ParameterRanges": RANGES,
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": STATIC,
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "RoleArn": server.variables["SAGEMAKER_ROLE_ARN"],
            "InputDataConfig": [channel("train"), channel("validation")],
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/models"},
            "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        },
    }


def _ended(sagemaker: Any, name: str) -> Any:  # noqa: ANN401 - boto3's clients have no types
    while True:
        answer = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        status = answer["HyperParameterTuningJobStatus"]
        if status == "Completed":
            return answer
        if status != "InProgress":
            raise SystemExit(f"The tuning job {name} is {status}: {answer.get('FailureReason')}")


def bare(data: Data, points: list[dict[str, str]], threads: int, folder: Path | None) -> Took:
    """Return what the trainings take one after the other; with reading, if there is a folder."""
    training(data, points[0], threads)
    began, used = time.perf_counter(), time.process_time()
    for point in points:
        if folder is None:
            training(data, point, threads)
        else:
            given = Data(read(folder / "train.csv"), read(folder / "validation.csv"))
            training(given, point, threads)[1].save_model(folder / "model.ubj")
    return Took(time.perf_counter() - began, time.process_time() - used)


def sums(data: Data, points: list[dict[str, str]]) -> dict[str, dict[int, Took]]:
    """Return what bare trainings take by threads: whole ones, and without reading and writing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "train.csv").write_bytes(as_csv(data.train))
        (folder / "validation.csv").write_bytes(as_csv(data.validation))
        threads = sorted({1, os.cpu_count() or 1})
        return {
            "bare": {one: bare(data, points, one, folder) for one in threads},
            "bare_data_read_once": {one: bare(data, points, one, None) for one in threads},
        }


def ours(score: Callable[[Mapping[str, str]], float], trials: int, parallel: int, seed: int) -> float:
    """Return the best score of our search; the oldest of `parallel` trials ends when the next is asked."""
    space = space_of(RANGES, "ParameterRanges.")
    points: list[dict[str, str]] = []
    losses: list[float] = []
    for index in range(trials):
        losses += [-score(point) for point in points[len(losses) : max(0, index - parallel + 1)]]
        history = [
            Observation(point, losses[number] if number < len(losses) else None)
            for number, point in enumerate(points)
        ]
        exploring = min(10, max(4, trials // 3))
        asked = Question(Strategy.BAYESIAN, space, tuple(history), seed_of(seed, 0), index, exploring)
        points.append(suggest(asked))
    losses += [-score(point) for point in points[len(losses) :]]
    return -min(losses)


def optunas(score: Callable[[Mapping[str, str]], float], trials: int, seed: int) -> float:
    """Return the best score of Optuna's TPE sampler as it is."""
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))

    def objective(trial: optuna.Trial) -> float:
        point = {
            "eta": str(trial.suggest_float("eta", *ETA, log=True)),
            "num_round": str(trial.suggest_int("num_round", *ROUNDS)),
            "max_depth": str(trial.suggest_int("max_depth", *DEPTH)),
        }
        return score(point)

    study.optimize(objective, n_trials=trials)
    return float(study.best_value)


def search(data: Data, trials: int, parallel: int, seeds: int) -> dict[str, Any]:
    """Compare the best AUC of both searches over seeds."""

    def score(point: Mapping[str, str]) -> float:
        return training(data, point, 1)[0]

    mine = [ours(score, trials, parallel, seed) for seed in range(seeds)]
    theirs = [optunas(score, trials, seed) for seed in range(seeds)]
    differences = [a - b for a, b in zip(mine, theirs, strict=True)]
    error = statistics.stdev(differences) / seeds**0.5 if seeds > 1 else float("inf")
    mean = statistics.fmean(differences)
    return {
        "sagestead": [round(value, 5) for value in mine],
        "optuna": [round(value, 5) for value in theirs],
        "mean_difference": round(mean, 6),
        "standard_error": round(error, 6),
        "no_worse_beyond_noise": mean >= -NOISE * error,
    }


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--trials", type=int, default=30)
    arguments.add_argument("--parallel", type=int, default=3)
    arguments.add_argument("--seeds", type=int, default=10)
    arguments.add_argument("--json", type=Path)
    asked = arguments.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    facts, data = machine(), hotels()
    took, points, best = job(data, asked.trials, asked.parallel)
    found = sums(data, points)
    ratio = took.wall / min(one.wall for one in found["bare"].values())
    report = {
        "machine": facts,
        "rows": [len(data.train), len(data.validation)],
        "trials": asked.trials,
        "parallel": asked.parallel,
        "wall_seconds": round(took.wall, 2),
        **{
            f"{name}_seconds_by_threads": {threads: round(one.wall, 2) for threads, one in some.items()}
            for name, some in found.items()
        },
        "wall_over_bare": round(ratio, 3),
        "at_most": LIMIT,
        "is_kept": ratio <= LIMIT,
        "cpu_seconds": round(took.cpu, 2),
        "cpu_over_bare": round(took.cpu / found["bare"][1].cpu, 3),
        "best_auc": round(best, 5),
    }
    if asked.seeds:
        report["search"] = search(data, asked.trials, asked.parallel, asked.seeds)
    text = json.dumps(report, indent=2)
    print(text)
    if asked.json:
        asked.json.write_text(text + "\n")


if __name__ == "__main__":
    main()

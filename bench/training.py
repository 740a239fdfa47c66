"""Training jobs: how soon they begin, side by side, and on several instances. Prints JSON.

python bench/training.py [--starts 10] [--parallel 3] [--seeds 5] [--json FILE]

`start` is the time from CreateTrainingJob to the first boosting round in the job's log. `parallel` are equal
jobs created at once, against the bare sum of the same trainings (read, train, evaluate, write) one after the
other in one warm process; `free_for_all` is the same work in as many bare processes with all cores each, and
`shared` with one thread each. `together` compares the validation AUC of jobs on one, two and four instances,
each with a share of the data, by seed. About a minute.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import machine
from ours import BUCKET, IMAGE, Ours
from tuning import Data, as_csv, hotels, read
from tuning import training as trained

START_LIMIT = 0.4
PARTS = 8
HEAVY = {"num_round": "300", "max_depth": "9", "eta": "0.1", "tree_method": "hist"}
LIGHT = {"num_round": "60", "max_depth": "5", "eta": "0.2", "tree_method": "hist", "subsample": "0.8"}


class Jobs:
    """Training jobs of a server."""

    def __init__(self, server: Ours, data: Data) -> None:
        self.runs = server.data / "runs"
        self.role = server.variables["SAGEMAKER_ROLE_ARN"]
        self.sagemaker, s3 = server.client("sagemaker"), server.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="validation.csv", Body=as_csv(data.validation))
        for part in range(PARTS):
            s3.put_object(Bucket=BUCKET, Key=f"train/{part}.csv", Body=as_csv(data.train[part::PARTS]))

    def create(self, name: str, hyperparameters: dict[str, str], count: int = 1) -> None:
        """Create a job; with several instances each has a share of the data."""
        sharing = "ShardedByS3Key" if count > 1 else "FullyReplicated"
        self.sagemaker.create_training_job(
            TrainingJobName=name,
            HyperParameters={"objective": "binary:logistic", "eval_metric": "auc", **hyperparameters},
            AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            RoleArn=self.role,
            InputDataConfig=[self._channel("train", sharing), self._channel("validation", "FullyReplicated")],
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/models"},
            ResourceConfig={"InstanceType": "ml.m5.xlarge", "InstanceCount": count, "VolumeSizeInGB": 30},
            StoppingCondition={"MaxRuntimeInSeconds": 3600},
        )

    def ended(self, name: str) -> float:
        """Wait until a job is completed; return its validation AUC."""
        while True:
            answer = self.sagemaker.describe_training_job(TrainingJobName=name)
            if answer["TrainingJobStatus"] == "Completed":
                metrics = {one["MetricName"]: one["Value"] for one in answer["FinalMetricDataList"]}
                return float(metrics["validation:auc"])
            if answer["TrainingJobStatus"] != "InProgress":
                raise SystemExit(f"{name} is {answer['TrainingJobStatus']}: {answer.get('FailureReason')}")

    def start(self, name: str) -> float:
        """Return the seconds until the first round of a new job is written."""
        known = set(self.runs.glob("*/log"))
        began = time.perf_counter()
        self.create(name, {"num_round": "5", "tree_method": "hist"})
        while not any(b"[0]" in path.read_bytes() for path in set(self.runs.glob("*/log")) - known):
            time.sleep(0.001)
        seconds = time.perf_counter() - began
        self.ended(name)
        return seconds

    @staticmethod
    def _channel(name: str, sharing: str) -> dict[str, Any]:
        source = {
            "S3DataType": "S3Prefix",
            "S3Uri": f"s3://{BUCKET}/{name}",
            "S3DataDistributionType": sharing,
        }
        return {"ChannelName": name, "ContentType": "csv", "DataSource": {"S3DataSource": source}}


def bare(folder: str, threads: int, times: int) -> None:
    """Train the same bare trainings one after the other."""
    for _ in range(times):
        given = Data(read(Path(folder, "train.csv")), read(Path(folder, "validation.csv")))
        trained(given, HEAVY, threads)[1].save_model(Path(folder, f"model-{os.getpid()}.ubj"))


def in_processes(folder: str, processes: int, threads: int, times: int) -> float:
    """Return the seconds that bare trainings take in processes side by side, which are warm before."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes) as pool:
        pool.starmap(bare, [(folder, threads, 1)] * processes)
        began = time.perf_counter()
        pool.starmap(bare, [(folder, threads, times)] * processes)
        return time.perf_counter() - began


def side_by_side(jobs: Jobs, data: Data, parallel: int) -> dict[str, Any]:
    """Compare jobs created at once with the bare sum."""
    began = time.perf_counter()
    for number in range(parallel):
        jobs.create(f"beside-{number}", HEAVY)
    for number in range(parallel):
        jobs.ended(f"beside-{number}")
    wall = time.perf_counter() - began
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "train.csv").write_bytes(as_csv(data.train))
        Path(folder, "validation.csv").write_bytes(as_csv(data.validation))
        sums = {str(one): round(in_processes(folder, 1, one, parallel), 2) for one in sorted({1, cores})}
        free_for_all = in_processes(folder, parallel, cores, 1)
        shared = in_processes(folder, parallel, 1, 1)
    return {
        "jobs": parallel,
        "wall_seconds": round(wall, 2),
        "bare_sum_by_threads": sums,
        "free_for_all_seconds": round(free_for_all, 2),
        "shared_seconds": round(shared, 2),
        "wall_over_bare": round(wall / min(sums.values()), 3),
    }


def together(jobs: Jobs, seeds: int) -> dict[str, Any]:
    """Compare the AUC of one, two and four instances."""
    found: dict[int, list[float]] = {}
    for count in (1, 2, 4):
        for seed in range(seeds):
            jobs.create(f"together-{count}-{seed}", {**LIGHT, "seed": str(seed)}, count)
        found[count] = [jobs.ended(f"together-{count}-{seed}") for seed in range(seeds)]
    spread = statistics.stdev(found[1]) if seeds > 1 else 0.0
    return {
        "auc_by_instances": {
            str(count): [round(value, 5) for value in values] for count, values in found.items()
        },
        "mean_difference": {
            str(count): round(statistics.fmean(values) - statistics.fmean(found[1]), 5)
            for count, values in found.items()
            if count > 1
        },
        "spread_over_seeds_of_one": round(spread, 5),
    }


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--starts", type=int, default=10)
    arguments.add_argument("--parallel", type=int, default=3)
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--json", type=Path)
    asked = arguments.parse_args()
    facts, data = machine(), hotels()
    with Ours("training") as server:
        jobs = Jobs(server, data)
        starts = sorted(jobs.start(f"start-{number}") for number in range(asked.starts))
        report: dict[str, Any] = {
            "machine": facts,
            "start_milliseconds": [round(1000 * one) for one in starts],
            "start_median_milliseconds": round(1000 * statistics.median(starts)),
            "at_most_milliseconds": round(1000 * START_LIMIT),
            "is_kept": statistics.median(starts) <= START_LIMIT,
            "parallel": side_by_side(jobs, data, asked.parallel),
        }
        if asked.seeds:
            report["together"] = together(jobs, asked.seeds)
    text = json.dumps(report, indent=2)
    print(text)
    if asked.json:
        asked.json.write_text(text + "\n")


if __name__ == "__main__":
    main()

"""What a job has come to and what is left of it, from what the public API says of it.

Rule: pure functions of answers and of the time; what cannot be told is None. What is left is estimated from
what is done, as if all rounds, and all trials, took as long.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sagestead.domain.instances import threads

Answer = Mapping[str, Any]

UNDER_WAY = ("InProgress", "Stopping")
_ROUND = re.compile(r"\[([0-9]{1,9})\]#011")


@dataclass(frozen=True, slots=True)
class Row:
    """One job.

    Attributes:
        kind: `training`, `trial` (a training job of a tuning job), `tuning`, `transform` or `processing`.
        name: its name.
        status: its status.
        stage: its secondary status, if it has one.
        created: when it was created, in seconds since the epoch.
        position: its place in the queue, from 1; None when it does not wait.
        done: rounds boosted, or trials ended.
        total: of so many.
        elapsed: seconds since it was created or, once it works, since then.
        remaining: an estimate in seconds.
        cores: how many it may use at most.
    """

    kind: str
    name: str
    status: str
    stage: str | None
    created: float
    waits: bool = False
    position: int | None = None
    done: int | None = None
    total: int | None = None
    elapsed: float | None = None
    remaining: float | None = None
    cores: int | None = None


def training_row(job: Answer, lines: Sequence[str], now: float, cores: int) -> Row:
    """Return the row of a training job; `lines` are the last ones of its log."""
    created = job["CreationTime"].timestamp()
    began = job["TrainingStartTime"].timestamp() if "TrainingStartTime" in job else created
    ended = job["TrainingEndTime"].timestamp() if "TrainingEndTime" in job else now
    config, stage = job["ResourceConfig"], job["SecondaryStatus"]
    rounds = job.get("HyperParameters", {}).get("num_round", "")
    total = int(rounds) if rounds.isdecimal() else None
    done = None if total is None else rounds_done(lines)
    training = [step for step in job.get("SecondaryStatusTransitions", []) if step["Status"] == "Training"]
    remaining = None
    if done and total and stage == "Training" and training:
        remaining = left(done, total, now - training[-1]["StartTime"].timestamp())
    return Row(
        kind="trial" if "TuningJobArn" in job else "training",
        name=job["TrainingJobName"],
        status=job["TrainingJobStatus"],
        stage=stage,
        created=created,
        waits=job["TrainingJobStatus"] == "InProgress" and stage == "Starting",
        done=done,
        total=total,
        elapsed=max(0.0, ended - began),
        remaining=remaining,
        cores=min(cores, config.get("InstanceCount", 1) * threads(config.get("InstanceType", ""), cores)),
    )


def tuning_row(job: Answer, now: float) -> Row:
    """Return the row of a tuning job."""
    created = job["CreationTime"].timestamp()
    ended = job["HyperParameterTuningEndTime"].timestamp() if "HyperParameterTuningEndTime" in job else now
    counters = job.get("TrainingJobStatusCounters", {})
    done = sum(counters.get(name, 0) for name in ("Completed", "NonRetryableError", "Stopped"))
    limits = job["HyperParameterTuningJobConfig"].get("ResourceLimits", {})
    total, status = limits.get("MaxNumberOfTrainingJobs"), job["HyperParameterTuningJobStatus"]
    elapsed = max(0.0, ended - created)
    return Row(
        kind="tuning",
        name=job["HyperParameterTuningJobName"],
        status=status,
        stage=None,
        created=created,
        done=done,
        total=total,
        elapsed=elapsed,
        remaining=left(done, total, elapsed) if done and total and status == "InProgress" else None,
    )


def unmeasured_row(kind: str, job: Answer, now: float, *, works: bool) -> Row:
    """Return the row of a transform or processing job, whose progress nobody knows; `works`: it has begun."""
    word = kind.capitalize()
    created, status = job["CreationTime"].timestamp(), job[f"{word}JobStatus"]
    ended = job[f"{word}EndTime"].timestamp() if f"{word}EndTime" in job else now
    return Row(
        kind=kind,
        name=job[f"{word}JobName"],
        status=status,
        stage=None,
        created=created,
        waits=status == "InProgress" and not works,
        elapsed=max(0.0, ended - created),
    )


def queued(rows: Iterable[Row]) -> list[Row]:
    """Return the rows, those that wait with their place in the queue: under way first, then the newest."""
    ordered = sorted(rows, key=lambda row: (row.created, row.name))
    queue = [row for row in ordered if row.waits]
    placed = [replace(row, position=queue.index(row) + 1) if row.waits else row for row in ordered]
    under_way = [row for row in placed if row.status in UNDER_WAY]
    return under_way + [row for row in reversed(placed) if row.status not in UNDER_WAY]


def rounds_done(lines: Sequence[str]) -> int | None:
    """Return how many rounds the last lines of a log tell of."""
    for line in reversed(lines):
        found = _ROUND.match(line)
        if found:
            return int(found[1]) + 1
    return None


def left(done: int, total: int, elapsed: float) -> float:
    """Return the seconds that the rest will take if it goes on as it went."""
    return elapsed / done * max(0, total - done)


def clock(seconds: float | None) -> str:
    """Return a time as `1:02:03`, or `2:03`; nothing for None."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

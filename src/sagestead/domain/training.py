"""The life of a training job as data (spec: control-plane.md section 8, tuning.md section 8).

Rule: a status never goes backwards, and every secondary status is entered once, with one message; only what
is interrupted, or tried again, goes through its stages once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from sagestead.domain.resources import Json


class Stage(NamedTuple):
    """What a secondary status says, and which secondary statuses may come next."""

    message: str
    followers: frozenset[str]


STAGES: Mapping[str, Stage] = MappingProxyType(
    {
        "Starting": Stage(
            "Preparing the instances for training", frozenset({"Downloading", "Stopping", "Failed"})
        ),
        "Downloading": Stage(
            "Downloading input data", frozenset({"Training", "Interrupted", "Stopping", "Failed"})
        ),
        "Training": Stage(
            "Training image download completed. Training in progress.",
            frozenset({"Uploading", "Interrupted", "Restarting", "Stopping", "Failed"}),
        ),
        "Interrupted": Stage(
            "The spot instances were taken back; training goes on when there are others",
            frozenset({"Starting", "Stopping", "Failed"}),
        ),
        "Restarting": Stage(
            "The training process was lost; it is started again as RetryStrategy says",
            frozenset({"Training", "Stopping", "Failed"}),
        ),
        "Stopping": Stage(
            "Stopping the training job",
            frozenset({"Uploading", "Stopped", "MaxRuntimeExceeded", "MaxWaitTimeExceeded", "Failed"}),
        ),
        "Uploading": Stage(
            "Uploading generated training model",
            frozenset(
                {"Completed", "Failed", "Stopping", "Stopped", "MaxRuntimeExceeded", "MaxWaitTimeExceeded"}
            ),
        ),
        "Completed": Stage("Training job completed", frozenset()),
        "Failed": Stage("Training job failed", frozenset()),
        "Stopped": Stage("Training job stopped", frozenset()),
        "MaxRuntimeExceeded": Stage(
            "Training job runtime exceeded MaxRuntimeInSeconds provided", frozenset()
        ),
        "MaxWaitTimeExceeded": Stage(
            "Training job waited and ran longer than MaxWaitTimeInSeconds provided", frozenset()
        ),
    }
)


def say(detail: Json, message: str) -> Json:
    """Return `detail` with another message of the secondary status that is current."""
    *closed, current = detail["SecondaryStatusTransitions"]
    return {**detail, "SecondaryStatusTransitions": [*closed, {**current, "StatusMessage": message}]}


def enter(detail: Json, stage: str, now: float, message: str | None = None) -> Json:
    """Return `detail` moved to a secondary status at `now` (seconds); the same stage changes nothing.

    The entry that was current ends when the new one starts; an entry nothing follows ends as it starts.
    """
    if detail.get("SecondaryStatus") == stage:
        return detail
    at = round(now, 3)
    *closed, current = detail.get("SecondaryStatusTransitions") or [None]
    entry: Json = {
        "Status": stage,
        "StartTime": at,
        "StatusMessage": STAGES[stage].message if message is None else message,
    }
    if not STAGES[stage].followers:
        entry["EndTime"] = at
    if current is not None:
        closed.append({**current, "EndTime": at})
    return {**detail, "SecondaryStatus": stage, "SecondaryStatusTransitions": [*closed, entry]}


def hosts_of(spec: Json) -> tuple[str, ...]:
    """Return the names of a job's hosts as the platform lists them: as texts in order, `algo-1` first."""
    count: int = spec.get("ResourceConfig", {}).get("InstanceCount", 1)
    return tuple(sorted(f"algo-{number}" for number in range(1, count + 1)))


def mode_of(spec: Json, channel: Json) -> str:
    """Return how a channel is read: `File`, `FastFile` or `Pipe`; its own word goes before the job's."""
    mode: str = channel.get("InputMode") or spec["AlgorithmSpecification"].get("TrainingInputMode", "File")
    return mode


def is_interruptible(status: str, detail: Json, spec: Json) -> bool:
    """Say whether the job's instances could be taken back now: a managed spot job that has some."""
    has_instances = detail.get("SecondaryStatus") in {"Downloading", "Training", "Restarting"}
    return status == "InProgress" and has_instances and bool(spec.get("EnableManagedSpotTraining"))


def interrupted(detail: Json, now: float, seconds: float) -> Json:
    """Return `detail` with the wish that the instances be taken back, and come again `seconds` later."""
    return {**detail, "_interruption": {"at": round(now, 3), "until": round(now + seconds, 3)}}

"""The life of a training job as data (spec: control-plane.md section 8, tuning.md section 8).

Rule: a status never goes backwards, and every secondary status is entered once, with one message.
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
        "Downloading": Stage("Downloading input data", frozenset({"Training", "Stopping", "Failed"})),
        "Training": Stage(
            "Training image download completed. Training in progress.",
            frozenset({"Uploading", "Stopping", "Failed"}),
        ),
        "Stopping": Stage(
            "Stopping the training job", frozenset({"Uploading", "Stopped", "MaxRuntimeExceeded", "Failed"})
        ),
        "Uploading": Stage(
            "Uploading generated training model",
            frozenset({"Completed", "Failed", "Stopping", "Stopped", "MaxRuntimeExceeded"}),
        ),
        "Completed": Stage("Training job completed", frozenset()),
        "Failed": Stage("Training job failed", frozenset()),
        "Stopped": Stage("Training job stopped", frozenset()),
        "MaxRuntimeExceeded": Stage(
            "Training job runtime exceeded MaxRuntimeInSeconds provided", frozenset()
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

"""What a training job's clocks say (spec: tuning.md section 8).

Rule: time counts while there are instances. Waiting for a turn, and the time between an interruption and the
next start, count towards MaxWaitTimeInSeconds only.
"""

from __future__ import annotations

from sagestead.domain.resources import Json, Resource

DEFAULT_RUNTIME_SECONDS = 86400
SPOT_PRICE = 0.3
"""What an hour of a spot instance is billed, in hours of one on demand: nominal, as instance types are."""

NEVER = float("inf")


def begun(detail: Json, now: float) -> Json:
    """Return `detail` of a job that has instances from `now` on."""
    at = round(now, 3)
    return {**detail, "TrainingStartTime": detail.get("TrainingStartTime", at), "_since": at}


def interrupted(detail: Json, now: float) -> Json:
    """Return `detail` of a job that has no instances from `now` on."""
    rest = {name: value for name, value in detail.items() if name != "_since"}
    return {**rest, "_spent": round(_spent(detail, now), 3)}


def ended(detail: Json, spec: Json, now: float) -> Json:
    """Return `detail` of a job that is over: how long it trained, and what of that is billed."""
    closed: Json = {**detail, "TrainingEndTime": round(now, 3)}
    if "TrainingStartTime" in detail:
        seconds = max(1, round(_spent(detail, now)))
        price = SPOT_PRICE if spec.get("EnableManagedSpotTraining") else 1
        closed |= {
            "TrainingTimeInSeconds": seconds,
            "BillableTimeInSeconds": max(1, round(seconds * price)),
        }
    return closed


def runtime_deadline(job: Resource) -> float:
    """Return when the job has run for MaxRuntimeInSeconds, if nothing interrupts it."""
    limit: float = job.spec.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_RUNTIME_SECONDS)
    since = float(job.detail.get("_since", job.created_at))
    spent: float = job.detail.get("_spent", 0.0)
    return since + limit - spent


def wait_deadline(job: Resource) -> float:
    """Return when a managed spot job has waited and run for MaxWaitTimeInSeconds."""
    limit = job.spec.get("StoppingCondition", {}).get("MaxWaitTimeInSeconds")
    return NEVER if limit is None else job.created_at + float(limit)


def _spent(detail: Json, now: float) -> float:
    """Return for how many seconds there were instances."""
    since = float(detail.get("_since", now))
    spent: float = detail.get("_spent", 0.0)
    return spent + max(0.0, now - since)

"""What to do next about a training job.

Rule: the secondary status is the phase; each phase has one function here and ends in the next one, in
`Completed`, `Failed` with a reason, or `Stopped`. A status turns terminal only after artifacts are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sagestead.domain.images import no_such_image
from sagestead.domain.job_status import TERMINAL, JobStatus
from sagestead.domain.resources import Json, Resource
from sagestead.domain.runs import RunPhase, RunSpec, RunState
from sagestead.domain.training import enter, say
from sagestead.planning import backoff, failure
from sagestead.planning.placement import threads_of, waiting
from sagestead.planning.programs import Programs, program_of_training
from sagestead.planning.steps import (
    Collected,
    CollectTraining,
    Forget,
    Launch,
    Plan,
    Staged,
    StageTraining,
    Step,
    Stop,
    SyncCheckpoints,
)

STOP_GRACE = 120.0
ATTEMPTS = 3
LOOK_SECONDS = 5.0
"""A job under way is looked at this often even when nothing seems to happen; its checkpoints are stored."""

WAIT_SECONDS = 60.0
"""A job that waits for its turn is told when it has come; this is how often it looks by itself."""

ERRAND_SECONDS = 1.0
DEFAULT_RUNTIME_SECONDS = 86400


@dataclass(frozen=True, slots=True)
class Observed:
    """What can be seen around a training job.

    Attributes:
        run: its run, once started.
        staged: what staging left.
        collected: what collecting left.
        busy: True while an errand (staging, collecting, synchronising) is under way.
        failure: text of /opt/ml/output/failure.
        lines: last log lines, once the run ended.
        has_place: whether it is this job's turn to start.
        programs: the programs there are.
        cores: how many cores the host has.
    """

    run: RunState | None
    staged: Staged | None
    collected: Collected | None
    busy: bool
    failure: str | None
    lines: tuple[str, ...]
    has_place: bool
    programs: Programs
    cores: int


def run_id_of(job: Resource) -> str:
    """Return the id of the job's run."""
    key = job.key
    return f"training-job/{key.account}/{key.region}/{key.name}/algo-1"


def plan(job: Resource, seen: Observed, now: float) -> Plan:
    """Return what to do now about a training job."""
    if job.status in TERMINAL:
        return _after_end(job, seen, now)
    phase: str = job.detail.get("SecondaryStatus", "Starting")
    if job.status == JobStatus.STOPPING and phase != "Uploading":
        return _stopping(job, seen, now)
    return _PHASES[phase](job, seen, now)


def give_up(job: Resource, reason: str, now: float) -> Plan | None:
    """Return the plan that ends a job which cannot be carried on; None when it ended already."""
    if job.status in TERMINAL:
        return None
    return _end({**job.detail, "_outcome": {"stage": "Failed", "reason": reason}}, now)


def _starting(job: Resource, seen: Observed, now: float) -> Plan:
    image = job.spec["AlgorithmSpecification"].get("TrainingImage", "")
    if program_of_training(seen.programs, job.spec) is None:
        return give_up(job, f"ClientError: {no_such_image(image)}", now) or _same(job, now)
    if not seen.has_place:
        return Plan((), job.status, say(job.detail, waiting(seen.cores)), now + WAIT_SECONDS)
    detail = {**enter(job.detail, "Downloading", now), "TrainingStartTime": round(now, 3)}
    steps = () if seen.staged else (StageTraining(run_id_of(job)),)
    return Plan(steps, job.status, detail, now if seen.staged else now + LOOK_SECONDS)


def _downloading(job: Resource, seen: Observed, now: float) -> Plan:
    if seen.staged is None:
        steps = () if seen.busy else (StageTraining(run_id_of(job)),)
        return Plan(steps, job.status, job.detail, now + LOOK_SECONDS)
    if seen.staged.error is not None:
        return give_up(job, seen.staged.error[: failure.LIMIT], now) or _same(job, now)
    return _launch(job, enter(job.detail, "Training", now), seen, now)


def _training(job: Resource, seen: Observed, now: float) -> Plan:
    run = seen.run
    if run is None:
        return _launch(job, job.detail, seen, now)
    if run.phase is RunPhase.LOST and run.tries < _attempts(job):
        return _launch(job, job.detail, seen, now)
    if run.phase in backoff.ENDED:
        detail = {**enter(job.detail, "Uploading", now), "_outcome": _outcome(run, seen)}
        return Plan((CollectTraining(run.run_id),), job.status, detail, now + LOOK_SECONDS)
    if now >= _deadline(job):
        outcome = {"stage": "MaxRuntimeExceeded", "reason": None}
        detail = {**enter(job.detail, "Stopping", now), "_outcome": outcome}
        steps: tuple[Step, ...] = (Stop(run.run_id, STOP_GRACE),)
        return Plan(steps, JobStatus.STOPPING, detail, now + LOOK_SECONDS)
    detail, steps = job.detail, ()
    is_time = now >= detail.get("_synced_at", 0) + LOOK_SECONDS
    if job.spec.get("CheckpointConfig") is not None and is_time and not seen.busy:
        detail, steps = {**detail, "_synced_at": now}, (SyncCheckpoints(run.run_id),)
    return Plan(steps, job.status, detail, min(now + LOOK_SECONDS, _deadline(job)))


def _stopping(job: Resource, seen: Observed, now: float) -> Plan:
    """End what runs, keep what it made."""
    detail = enter(job.detail, "Stopping", now)
    detail = {**detail, "_outcome": detail.get("_outcome") or {"stage": "Stopped", "reason": None}}
    if seen.run is None:
        return _end(detail, now)
    if seen.run.phase in backoff.ENDED:
        detail = enter(detail, "Uploading", now)
        return Plan((CollectTraining(seen.run.run_id),), job.status, detail, now + LOOK_SECONDS)
    return Plan((Stop(seen.run.run_id, STOP_GRACE),), job.status, detail, now + LOOK_SECONDS)


def _uploading(job: Resource, seen: Observed, now: float) -> Plan:
    if seen.collected is None:
        steps = () if seen.busy else (CollectTraining(run_id_of(job)),)
        return Plan(steps, job.status, job.detail, now + LOOK_SECONDS)
    outcome = job.detail.get("_outcome") or {"stage": "Completed", "reason": None}
    if seen.collected.error is not None and outcome["stage"] != "Failed":
        outcome = {"stage": "Failed", "reason": seen.collected.error[: failure.LIMIT]}
    elif job.status == JobStatus.STOPPING and outcome["stage"] != "MaxRuntimeExceeded":
        outcome = {"stage": "Stopped", "reason": None}
    detail = {**job.detail, "_outcome": outcome}
    if seen.collected.metrics:
        detail["FinalMetricDataList"] = list(seen.collected.metrics)
    return _end(detail, now)


_PHASES: Mapping[str, Callable[[Resource, Observed, float], Plan]] = MappingProxyType(
    {
        "Starting": _starting,
        "Downloading": _downloading,
        "Training": _training,
        "Stopping": _stopping,
        "Uploading": _uploading,
    }
)

_STATUS_OF_STAGE = MappingProxyType(
    {
        "Completed": JobStatus.COMPLETED,
        "Failed": JobStatus.FAILED,
        "Stopped": JobStatus.STOPPED,
        "MaxRuntimeExceeded": JobStatus.STOPPED,
    }
)


def _launch(job: Resource, detail: Json, seen: Observed, now: float) -> Plan:
    step = Launch(run_id_of(job), _run_spec(job, seen))
    return Plan((step,), job.status, detail, min(now + LOOK_SECONDS, _deadline(job)))


def _run_spec(job: Resource, seen: Observed) -> RunSpec:
    image = job.spec["AlgorithmSpecification"]["TrainingImage"]
    program = program_of_training(seen.programs, job.spec)
    return RunSpec(
        owner=job.arn,
        role="train",
        entry=program.train if program else "",
        image=image,
        environment={
            "TRAINING_JOB_NAME": job.key.name,
            "TRAINING_JOB_ARN": job.arn,
            "AWS_REGION": job.key.region,
            **job.spec.get("Environment", {}),
        },
        threads=threads_of(job, seen.cores),
        runtime=program.runtime if program else None,
    )


def _outcome(run: RunState, seen: Observed) -> Json:
    """Say how the job ends, once its artifacts are stored."""
    if run.phase is RunPhase.LOST:
        cause = f"InternalServerError: The training process was lost {run.tries} times. Please try again."
        return {"stage": "Failed", "reason": failure.with_lines(cause, seen.lines)}
    if run.exit_code == 0:
        return {"stage": "Completed", "reason": None}
    text = seen.failure or run.failure
    return {"stage": "Failed", "reason": failure.of_algorithm(text, run.exit_code, seen.lines)}


def _end(detail: Json, now: float) -> Plan:
    """The job is over; its run goes at the next look."""
    outcome = detail["_outcome"]
    stage, reason = outcome["stage"], outcome["reason"]
    detail = enter(detail, stage, now, reason if stage == "Failed" else None)
    detail = {name: value for name, value in detail.items() if name != "_outcome"}
    if stage == "Failed":
        detail["FailureReason"] = reason
    detail["TrainingEndTime"] = round(now, 3)
    if "TrainingStartTime" in detail:
        seconds = max(1, round(now - detail["TrainingStartTime"]))
        detail |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
    return Plan((), _STATUS_OF_STAGE[stage], detail, now)


def _after_end(job: Resource, seen: Observed, now: float) -> Plan:
    """Leave nothing behind but the record; not even an errand that a job of the same name would meet."""
    if seen.run is None and job.detail.get("_cleared") and not seen.busy:
        return Plan((), job.status, job.detail)
    look_again = now + ERRAND_SECONDS if seen.busy else None
    return Plan((Forget(run_id_of(job)),), job.status, {**job.detail, "_cleared": True}, look_again)


def _deadline(job: Resource) -> float:
    limit: float = job.spec.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_RUNTIME_SECONDS)
    since: float = job.detail.get("TrainingStartTime", job.created_at)
    return since + limit


def _attempts(job: Resource) -> int:
    retries: int = job.spec.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0)
    return max(ATTEMPTS, 1 + retries)


def _same(job: Resource, now: float) -> Plan:
    return Plan((), job.status, job.detail, now + LOOK_SECONDS)

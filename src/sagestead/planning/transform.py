"""What to do next about a transform job.

Rule: what lies in the folders and what runs says how far the job is; nothing else is remembered. Outputs that
are complete are stored even when the job fails or is stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sagestead.domain.images import no_such_image
from sagestead.domain.instances import threads
from sagestead.domain.job_status import TERMINAL, JobStatus
from sagestead.domain.resources import Resource
from sagestead.domain.runs import RunPhase, RunSpec, RunState
from sagestead.planning import backoff, failure
from sagestead.planning.programs import Programs, is_isolated, program_of_container
from sagestead.planning.steps import (
    Collected,
    CollectTransform,
    Launch,
    Plan,
    Staged,
    StageTransform,
    Stop,
)
from sagestead.planning.tidying import after_end

STOP_GRACE = 30.0
ATTEMPTS = 3
LOOK_SECONDS = 5.0
WAIT_SECONDS = 60.0
"""A job that waits for its turn is told when it has come; this is how often it looks by itself."""


_STRATEGIES = {"SingleRecord": "SINGLE_RECORD", "MultiRecord": "MULTI_RECORD"}


@dataclass(frozen=True, slots=True)
class Observed:
    """What can be seen around a transform job.

    Attributes:
        runs: its runs by id.
        staged: what staging left, by run id.
        collected: what collecting left.
        busy: True while an errand is under way.
        lines: last log lines of ended runs, by run id.
        has_place: whether it is this job's turn to start.
        programs: the programs there are.
        cores: how many cores the host has.
    """

    runs: Mapping[str, RunState]
    staged: Mapping[str, Staged]
    collected: Collected | None
    busy: bool
    lines: Mapping[str, tuple[str, ...]]
    has_place: bool
    programs: Programs
    cores: int


def run_ids_of(job: Resource) -> tuple[str, ...]:
    """Return the ids of the job's runs, one an instance."""
    key, count = job.key, job.spec["TransformResources"]["InstanceCount"]
    return tuple(f"transform-job/{key.account}/{key.region}/{key.name}/{ordinal}" for ordinal in range(count))


def plan(job: Resource, seen: Observed, now: float) -> Plan:
    """Return what to do now about a transform job."""
    if job.status in TERMINAL:
        return after_end(job, run_ids_of(job), now, has_runs=bool(seen.runs), busy=seen.busy)
    if job.status == JobStatus.STOPPING:
        return _stop(job, seen, now)
    refusal = _refusal(job, seen)
    if refusal is not None:
        return _end(job, JobStatus.FAILED, refusal, now)
    if not seen.has_place and "_has_place" not in job.detail:
        return Plan((), job.status, job.detail, now + WAIT_SECONDS)
    job = replace(job, detail={**job.detail, "_has_place": True})
    if len(seen.staged) < len(run_ids_of(job)):
        steps = () if seen.busy else (StageTransform(run_ids_of(job)),)
        return Plan(steps, job.status, job.detail, now + LOOK_SECONDS)
    return _run(job, seen, now)


def give_up(job: Resource, reason: str, now: float) -> Plan | None:
    """Return the plan that ends a job which cannot be carried on; None when it ended already."""
    return None if job.status in TERMINAL else _end(job, JobStatus.FAILED, reason, now)


def _run(job: Resource, seen: Observed, now: float) -> Plan:
    """Everything is staged: have every instance do its objects, then collect."""
    working = [run_id for run_id in run_ids_of(job) if seen.staged[run_id].objects]
    launch = [run_id for run_id in working if _is_to_start(seen.runs.get(run_id))]
    if launch:
        detail = {"TransformStartTime": round(now, 3), **job.detail}
        steps = tuple(Launch(run_id, _run_spec(job, seen, run_id)) for run_id in launch)
        return Plan(steps, job.status, detail, now + LOOK_SECONDS)
    if any(seen.runs[run_id].phase not in backoff.ENDED for run_id in working):
        return Plan((), job.status, job.detail, now + LOOK_SECONDS)
    if seen.collected is None:
        return _collect(job, seen, now)
    reason = seen.collected.error or _crash(seen)
    if reason is not None:
        return _end(job, JobStatus.FAILED, reason, now)
    return _end(job, JobStatus.COMPLETED, None, now)


def _stop(job: Resource, seen: Observed, now: float) -> Plan:
    living = [run_id for run_id, run in seen.runs.items() if run.phase not in backoff.ENDED]
    if living:
        steps = tuple(Stop(run_id, STOP_GRACE) for run_id in living)
        return Plan(steps, job.status, job.detail, now + LOOK_SECONDS)
    if seen.runs and seen.collected is None:
        return _collect(job, seen, now)
    return _end(job, JobStatus.STOPPED, None, now)


def _collect(job: Resource, seen: Observed, now: float) -> Plan:
    steps = () if seen.busy else (CollectTransform(run_ids_of(job)),)
    return Plan(steps, job.status, job.detail, now + LOOK_SECONDS)


def _refusal(job: Resource, seen: Observed) -> str | None:
    """Return why the job cannot run, if it cannot."""
    image = job.detail["_Container"]["Image"]
    if program_of_container(seen.programs, job.detail["_Container"]) is None:
        return f"ClientError: {no_such_image(image)}"
    return next((staged.error for staged in seen.staged.values() if staged.error is not None), None)


def _crash(seen: Observed) -> str | None:
    """Return the reason of a run that ended without success, if one did."""
    for run_id, run in seen.runs.items():
        lines = seen.lines.get(run_id, ())
        if run.phase is RunPhase.LOST:
            cause = f"InternalServerError: The process of an instance was lost {run.tries} times."
            return failure.with_lines(cause, lines)
        if run.exit_code != 0:
            return failure.of_algorithm(run.failure, run.exit_code, lines)
    return None


def _is_to_start(run: RunState | None) -> bool:
    return run is None or (run.phase is RunPhase.LOST and run.tries < ATTEMPTS)


def _run_spec(job: Resource, seen: Observed, run_id: str) -> RunSpec:
    container = job.detail["_Container"]
    program = program_of_container(seen.programs, container)
    platform = {
        "AWS_REGION": job.key.region,
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": job.spec.get("MaxPayloadInMB"),
        "SAGEMAKER_BATCH_STRATEGY": _STRATEGIES.get(job.spec.get("BatchStrategy", "")),
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": job.spec.get("MaxConcurrentTransforms"),
    }
    return RunSpec(
        owner=job.arn,
        role="transform",
        entry=program.load if program else "",
        image=container["Image"],
        environment={
            **{name: str(value) for name, value in platform.items() if value is not None},
            **container.get("Environment", {}),
            **job.spec.get("Environment", {}),
        },
        threads=threads(job.spec["TransformResources"]["InstanceType"], seen.cores),
        digest=seen.staged[run_id].digest,
        runtime=program.runtime if program else None,
        isolated=is_isolated(container, program.runtime if program else None),
    )


def _end(job: Resource, status: str, reason: str | None, now: float) -> Plan:
    """The job is over; its runs go at the next look."""
    at = round(now, 3)
    detail = {"TransformStartTime": at, **job.detail, "TransformEndTime": at}
    if reason is not None:
        detail["FailureReason"] = reason[: failure.LIMIT]
    return Plan((), status, detail, now)

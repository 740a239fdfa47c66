"""What to do next about a processing job.

Rule: `detail["_phase"]` is the phase; each has one function here and ends in the next one, or in the job's
end. Files of Continuous outputs are stored whatever becomes of the job, the others unless it fails. A status
turns terminal only after that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sagestead.domain.images import framework_image
from sagestead.domain.job_status import TERMINAL, JobStatus
from sagestead.domain.processing import DEFAULT_RUNTIME, command_of, no_such_image, outputs_of
from sagestead.domain.resources import Json, Resource
from sagestead.domain.runs import RunSpec, RunState
from sagestead.planning import failure
from sagestead.planning.steps import (
    Collected,
    CollectProcessing,
    Launch,
    Plan,
    Staged,
    StageProcessing,
    Step,
    Stop,
    SyncOutputs,
)
from sagestead.planning.tidying import after_end
from sagestead.planning.training_hosts import Hosts, host_of, hosts_seen, run_ids_of, start_of

STOP_GRACE = 120.0
PEER_GRACE = 5.0
"""So long may the other hosts go on when one has failed."""

ATTEMPTS = 3
LOOK_SECONDS = 5.0
SYNC_SECONDS = 2.0
"""How often Continuous outputs are stored."""

WAIT_SECONDS = 60.0
"""A job that waits for its turn is told when it has come; this is how often it looks by itself."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What can be seen around a processing job.

    Attributes:
        runs: its runs, once started, by id.
        staged: what staging left.
        collected: what collecting left.
        busy: True while an errand (staging, collecting, storing outputs) is under way.
        messages: text of /opt/ml/output/message of runs that ended, by run id.
        lines: last log lines of runs that ended, by run id.
        has_place: whether it is this job's turn to start.
        threads: how many threads each of its hosts may use when it starts now.
    """

    runs: Mapping[str, RunState]
    staged: Staged | None
    collected: Collected | None
    busy: bool
    messages: Mapping[str, str | None]
    lines: Mapping[str, tuple[str, ...]]
    has_place: bool
    threads: int


def plan(job: Resource, seen: Observed, now: float) -> Plan:
    """Return what to do now about a processing job."""
    if job.status in TERMINAL:
        return after_end(job, run_ids_of(job), now, has_runs=bool(seen.runs), busy=seen.busy)
    phase: str = job.detail.get("_phase", "Starting")
    if phase != "Collecting" and job.status == JobStatus.STOPPING:
        return _stopping(job, seen, now)
    return _PHASES[phase](job, seen, now)


def give_up(job: Resource, reason: str, now: float) -> Plan | None:
    """Return the plan that ends a job which cannot be carried on; None when it ended already."""
    return None if job.status in TERMINAL else _end(job, JobStatus.FAILED, reason, now)


def _starting(job: Resource, seen: Observed, now: float) -> Plan:
    image = job.spec["AppSpecification"]["ImageUri"]
    if framework_image(image) is None:
        return _end(job, JobStatus.FAILED, f"ClientError: {no_such_image(image)}", now)
    if not seen.has_place:
        return Plan((), job.status, job.detail, now + WAIT_SECONDS)
    return _stage(job, {**job.detail, "_phase": "Staging", "_staged_after": now}, now)


def _stage(job: Resource, detail: Json, now: float) -> Plan:
    return Plan((StageProcessing(run_ids_of(job)),), job.status, detail, now + LOOK_SECONDS)


def _staging(job: Resource, seen: Observed, now: float) -> Plan:
    if seen.staged is None or seen.staged.at < job.detail["_staged_after"]:
        if seen.busy:
            return Plan((), job.status, job.detail, now + LOOK_SECONDS)
        return _stage(job, job.detail, now)
    if seen.staged.error is not None:
        return _end(job, JobStatus.FAILED, seen.staged.error, now)
    detail = {"ProcessingStartTime": round(now, 3), **job.detail, "_phase": "Processing"}
    return _launch(job, run_ids_of(job), detail, seen, now)


def _processing(job: Resource, seen: Observed, now: float) -> Plan:
    hosts = hosts_seen(job, seen.runs)
    if hosts.lost and hosts.tries < ATTEMPTS:
        return _beginning_anew(job, hosts, now)
    has_failed = bool(hosts.lost or hosts.failed)
    if hosts.missing and not has_failed:
        return _launch(job, hosts.missing, job.detail, seen, now)
    if not hosts.living:
        return _collect(job, seen, _outcome(hosts, seen), now)
    if has_failed:
        return _stop(job, hosts, PEER_GRACE, now)
    if now >= _deadline(job.detail, job):
        limit = _limit(job)
        reason = f"ClientError: The job ran for MaxRuntimeInSeconds ({limit:g}) and was stopped."
        detail = {**job.detail, "_outcome": {"status": JobStatus.STOPPED, "reason": reason}}
        steps = tuple(Stop(run_id, STOP_GRACE) for run_id in hosts.living)
        return Plan(steps, JobStatus.STOPPING, detail, now + LOOK_SECONDS)
    return _watching(job, seen, now)


def _watching(job: Resource, seen: Observed, now: float) -> Plan:
    """All is well: store what is to be stored continuously."""
    detail, steps = job.detail, list[Step]()
    is_time = now >= detail.get("_synced_at", 0) + SYNC_SECONDS
    if _is_continuous(job) and is_time and not seen.busy:
        detail = {**detail, "_synced_at": now}
        steps.append(SyncOutputs(run_ids_of(job)))
    look_again = _next_look(detail, job, now)
    return Plan(tuple(steps), job.status, detail, look_again)


def _beginning_anew(job: Resource, hosts: Hosts, now: float) -> Plan:
    """Stage and start every host again, once all have ended: a program may have moved what it was given."""
    if hosts.living:
        return _stop(job, hosts, 0, now)
    detail = {name: value for name, value in job.detail.items() if name != "_synced_at"}
    detail |= {"_phase": "Staging", "_staged_after": now, "_start": start_of(job) + 1}
    return _stage(job, detail, now)


def _stopping(job: Resource, seen: Observed, now: float) -> Plan:
    """End what runs, keep what it made."""
    outcome = job.detail.get("_outcome") or {"status": JobStatus.STOPPED, "reason": None}
    if not seen.runs:
        return _end(job, outcome["status"], outcome["reason"], now)
    hosts = hosts_seen(job, seen.runs)
    return _stop(job, hosts, STOP_GRACE, now) if hosts.living else _collect(job, seen, outcome, now)


def _stop(job: Resource, hosts: Hosts, grace: float, now: float) -> Plan:
    steps = tuple(Stop(run_id, grace) for run_id in hosts.living)
    return Plan(steps, job.status, job.detail, now + LOOK_SECONDS)


def _collect(job: Resource, seen: Observed, outcome: Json, now: float) -> Plan:
    message = next(filter(None, (seen.messages.get(run_id) for run_id in run_ids_of(job))), None)
    detail = {**job.detail, "_phase": "Collecting", "_outcome": outcome}
    if message is not None:
        detail["ExitMessage"] = message[: failure.LIMIT]
    return Plan((_collecting_of(job, outcome),), job.status, detail, now + LOOK_SECONDS)


def _collecting_of(job: Resource, outcome: Json) -> CollectProcessing:
    return CollectProcessing(run_ids_of(job), only_continuous=outcome["status"] == JobStatus.FAILED)


def _collecting(job: Resource, seen: Observed, now: float) -> Plan:
    outcome = job.detail["_outcome"]
    if seen.collected is None:
        steps = () if seen.busy else (_collecting_of(job, outcome),)
        return Plan(steps, job.status, job.detail, now + LOOK_SECONDS)
    status, reason = outcome["status"], outcome["reason"]
    if seen.collected.error is not None and status != JobStatus.FAILED:
        return _end(job, JobStatus.FAILED, seen.collected.error, now)
    if job.status == JobStatus.STOPPING and status == JobStatus.COMPLETED:
        status = JobStatus.STOPPED
    return _end(job, status, reason, now)


_PHASES: Mapping[str, Callable[[Resource, Observed, float], Plan]] = MappingProxyType(
    {
        "Starting": _starting,
        "Staging": _staging,
        "Processing": _processing,
        "Collecting": _collecting,
    }
)


def _launch(job: Resource, run_ids: tuple[str, ...], detail: Json, seen: Observed, now: float) -> Plan:
    spec = _run_spec(job, seen)
    look_again = _next_look(detail, job, now)
    return Plan(tuple(Launch(run_id, spec) for run_id in run_ids), job.status, detail, look_again)


def _run_spec(job: Resource, seen: Observed) -> RunSpec:
    image = job.spec["AppSpecification"]["ImageUri"]
    framework = framework_image(image)
    return RunSpec(
        owner=job.arn,
        role="process",
        entry="",
        image=image,
        environment={
            "PROCESSING_JOB_NAME": job.key.name,
            "PROCESSING_JOB_ARN": job.arn,
            "AWS_REGION": job.key.region,
            **job.spec.get("Environment", {}),
        },
        threads=seen.threads,
        start=start_of(job),
        runtime=framework.runtime if framework else None,
        command=command_of(job.spec),
        isolated=bool(job.spec.get("NetworkConfig", {}).get("EnableNetworkIsolation")),
    )


def _outcome(hosts: Hosts, seen: Observed) -> Json:
    """Say how the job ends, once its outputs are stored."""
    if hosts.failed:
        run = hosts.failed[0]
        reason = failure.of_algorithm(run.failure, run.exit_code, seen.lines.get(run.run_id, ()))
        return {"status": JobStatus.FAILED, "reason": reason}
    if hosts.lost:
        run = hosts.lost[0]
        cause = (
            f"InternalServerError: The process of {host_of(run.run_id)} was lost {run.tries} times. "
            "Please try again."
        )
        reason = failure.with_lines(cause, seen.lines.get(run.run_id, ()))
        return {"status": JobStatus.FAILED, "reason": reason}
    return {"status": JobStatus.COMPLETED, "reason": None}


def _end(job: Resource, status: str, reason: str | None, now: float) -> Plan:
    """The job is over; its runs go at the next look."""
    detail = {name: value for name, value in job.detail.items() if name != "_outcome"}
    detail["ProcessingEndTime"] = round(now, 3)
    if reason is not None:
        detail["FailureReason"] = reason[: failure.LIMIT]
    return Plan((), status, detail, now)


def _limit(job: Resource) -> float:
    limit: float = job.spec.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_RUNTIME)
    return limit


def _is_continuous(job: Resource) -> bool:
    return any(output.is_continuous for output in outputs_of(job.spec))


def _next_look(detail: Json, job: Resource, now: float) -> float:
    pause = SYNC_SECONDS if _is_continuous(job) else LOOK_SECONDS
    return min(now + pause, _deadline(detail, job))


def _deadline(detail: Json, job: Resource) -> float:
    started: float = detail["ProcessingStartTime"]
    return started + _limit(job)

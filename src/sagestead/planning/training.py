"""What to do next about a training job.

Rule: the secondary status is the phase; each phase has one function here and ends in the next one, in
`Completed`, `Failed` with a reason, or `Stopped`. A status turns terminal only after artifacts are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from sagestead.domain.images import command_of, no_such_image
from sagestead.domain.job_status import TERMINAL, JobStatus
from sagestead.domain.resources import Json, Resource
from sagestead.domain.runs import RunSpec, RunState
from sagestead.domain.training import enter, is_interruptible, say
from sagestead.planning import failure
from sagestead.planning.backoff import ENDED
from sagestead.planning.placement import waiting
from sagestead.planning.programs import Programs, program_of_training
from sagestead.planning.steps import (
    Collected,
    CollectTraining,
    Launch,
    Plan,
    ShareThreads,
    Staged,
    StageTraining,
    Step,
    Stop,
    SyncCheckpoints,
)
from sagestead.planning.tidying import ERRAND_SECONDS, after_end
from sagestead.planning.training_hosts import Hosts, host_of, hosts_seen, run_ids_of, start_of
from sagestead.planning.training_time import (
    begun,
    ended,
    interrupted,
    runtime_deadline,
    wait_deadline,
)

STOP_GRACE = 120.0
PEER_GRACE = 5.0
"""So long may the other hosts go on when one has failed."""

ATTEMPTS = 3
LOOK_SECONDS = 5.0
"""A job under way is looked at this often even when nothing seems to happen; its checkpoints are stored."""

WAIT_SECONDS = 60.0
"""A job that waits for its turn is told when it has come; this is how often it looks by itself."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What can be seen around a training job.

    Attributes:
        runs: its runs, once started, by id.
        staged: what staging left.
        collected: what collecting left.
        synced_at: when its checkpoints were stored last.
        busy: True while an errand (staging, collecting, synchronising) is under way.
        failures: text of /opt/ml/output/failure of runs that failed or were lost, by run id.
        lines: last log lines of those, by run id.
        has_place: whether it is this job's turn to start.
        threads: how many threads each of its hosts may use now.
        programs: the programs there are.
        cores: how many cores the host has.
    """

    runs: Mapping[str, RunState]
    staged: Staged | None
    collected: Collected | None
    synced_at: float | None
    busy: bool
    failures: Mapping[str, str | None]
    lines: Mapping[str, tuple[str, ...]]
    has_place: bool
    threads: int
    programs: Programs
    cores: int


def plan(job: Resource, seen: Observed, now: float) -> Plan:
    """Return what to do now about a training job."""
    if job.status in TERMINAL:
        return after_end(job, run_ids_of(job), now, has_runs=bool(seen.runs), busy=seen.busy)
    phase: str = job.detail.get("SecondaryStatus", "Starting")
    if phase == "Uploading":
        return _uploading(job, seen, now)
    if job.status == JobStatus.STOPPING:
        return _stopping(job, seen, now)
    if now >= wait_deadline(job):
        return _end_early(job, seen, "MaxWaitTimeExceeded", now)
    if "_interruption" in job.detail and is_interruptible(job.status, job.detail, job.spec):
        detail = interrupted(enter(job.detail, "Interrupted", now), now)
        return Plan((), job.status, detail, now)
    return _PHASES[phase](job, seen, now)


def give_up(job: Resource, reason: str, now: float) -> Plan | None:
    """Return the plan that ends a job which cannot be carried on; None when it ended already."""
    if job.status in TERMINAL:
        return None
    return _end({**job.detail, "_outcome": {"stage": "Failed", "reason": reason}}, job.spec, now)


def _starting(job: Resource, seen: Observed, now: float) -> Plan:
    image = job.spec["AlgorithmSpecification"].get("TrainingImage", "")
    if program_of_training(seen.programs, job.spec) is None:
        return give_up(job, f"ClientError: {no_such_image(image)}", now) or _same(job, now)
    if not seen.has_place:
        look_again = min(now + WAIT_SECONDS, wait_deadline(job))
        return Plan((), job.status, say(job.detail, waiting(seen.cores)), look_again)
    detail = begun(enter(job.detail, "Downloading", now), now)
    is_staged = _staged(job, seen) is not None
    steps = () if is_staged else (StageTraining(run_ids_of(job)),)
    return Plan(steps, job.status, detail, now if is_staged else now + LOOK_SECONDS)


def _downloading(job: Resource, seen: Observed, now: float) -> Plan:
    staged = _staged(job, seen)
    if staged is None:
        steps = () if seen.busy else (StageTraining(run_ids_of(job)),)
        return Plan(steps, job.status, job.detail, now + LOOK_SECONDS)
    if staged.error is not None:
        return give_up(job, staged.error[: failure.LIMIT], now) or _same(job, now)
    program = program_of_training(seen.programs, job.spec)
    if program is None or program.runtime is None:
        return _launch(job, run_ids_of(job), enter(job.detail, "Training", now), seen, now)
    return _equipping(job, seen, now)


def _equipping(job: Resource, seen: Observed, now: float) -> Plan:
    """The hosts are started and get their runtime, which may have to be built first; then they train."""
    if "_equipping" not in job.detail:
        detail = {**say(job.detail, "Downloading the training image"), "_equipping": True}
        return replace(_launch(job, run_ids_of(job), detail, seen, now), look_again=now + ERRAND_SECONDS)
    if any(not run.equipped and run.phase not in ENDED for run in seen.runs.values()):
        return Plan((), job.status, job.detail, now + ERRAND_SECONDS)
    detail = {name: value for name, value in job.detail.items() if name != "_equipping"}
    return _training(replace(job, detail=enter(detail, "Training", now)), seen, now)


def _training(job: Resource, seen: Observed, now: float) -> Plan:
    hosts = hosts_seen(job, seen.runs)
    if hosts.lost and hosts.tries - job.detail.get("_forgiven", 0) < _attempts(job):
        return _lost(job, seen, hosts, now)
    has_failed = bool(hosts.lost or hosts.failed)
    if hosts.missing and not has_failed:
        return _launch(job, hosts.missing, job.detail, seen, now)
    if not hosts.living:
        return _collect(job, {**job.detail, "_outcome": _outcome(hosts, seen)}, now)
    if has_failed:
        steps = tuple(Stop(run_id, PEER_GRACE) for run_id in hosts.living)
        return Plan(steps, job.status, job.detail, now + LOOK_SECONDS)
    return _watching(job, seen, hosts, now)


def _lost(job: Resource, seen: Observed, hosts: Hosts, now: float) -> Plan:
    """Begin anew: what hosts did together cannot be gone on with by some of them."""
    if "RetryStrategy" in job.spec:
        return Plan((), job.status, enter(job.detail, "Restarting", now), now)
    if hosts.living:
        steps = tuple(Stop(run_id, 0) for run_id in hosts.living)
        return Plan(steps, job.status, job.detail, now + LOOK_SECONDS)
    if len(run_ids_of(job)) > 1:
        return Plan((), job.status, {**job.detail, "_start": start_of(job) + 1}, now)
    return _launch(job, run_ids_of(job), job.detail, seen, now)


def _watching(job: Resource, seen: Observed, hosts: Hosts, now: float) -> Plan:
    """All is well: store checkpoints from time to time, share the cores with whoever else trains."""
    if now >= runtime_deadline(job):
        return _end_early(job, seen, "MaxRuntimeExceeded", now)
    detail, steps = job.detail, list[Step]()
    if seen.threads != detail.get("_threads"):
        detail = {**detail, "_threads": seen.threads}
        steps.append(ShareThreads(hosts.living, seen.threads))
    is_time = now >= detail.get("_synced_at", 0) + LOOK_SECONDS
    if job.spec.get("CheckpointConfig") is not None and is_time and not seen.busy:
        detail = {**detail, "_synced_at": now}
        steps.append(SyncCheckpoints(run_ids_of(job)))
    return Plan(tuple(steps), job.status, detail, _next_look(job, now))


def _restarting(job: Resource, seen: Observed, now: float) -> Plan:
    """Start every host again, once all have ended."""
    hosts = hosts_seen(job, seen.runs)
    if hosts.living:
        steps = tuple(Stop(run_id, 0) for run_id in hosts.living)
        return Plan(steps, job.status, job.detail, now + LOOK_SECONDS)
    return _launch(job, run_ids_of(job), enter(job.detail, "Training", now), seen, now)


def _interrupted(job: Resource, seen: Observed, now: float) -> Plan:
    """The instances go, their checkpoints are kept; after a while the job begins anew, on others."""
    hosts = hosts_seen(job, seen.runs)
    if hosts.living:
        steps = tuple(Stop(run_id, STOP_GRACE) for run_id in hosts.living)
        return Plan(steps, job.status, job.detail, now + LOOK_SECONDS)
    has_run = bool(seen.runs) and job.spec.get("CheckpointConfig") is not None
    asked_at: float = job.detail["_interruption"]["at"]
    ended_at = max((run.ended_at or asked_at for run in seen.runs.values()), default=0)
    if seen.busy or (has_run and (seen.synced_at or 0) < ended_at):
        sync = () if seen.busy else (SyncCheckpoints(run_ids_of(job)),)
        return Plan(sync, job.status, job.detail, now + ERRAND_SECONDS)
    until: float = job.detail["_interruption"]["until"]
    if now < until:
        return Plan((), job.status, job.detail, min(until, wait_deadline(job)))
    detail = {
        name: value for name, value in job.detail.items() if name not in {"_interruption", "_equipping"}
    }
    detail |= {"_staged_after": now, "_forgiven": hosts.tries}
    return Plan((), job.status, enter(detail, "Starting", now), now)


def _stopping(job: Resource, seen: Observed, now: float) -> Plan:
    """End what runs, keep what it made."""
    detail = enter(job.detail, "Stopping", now)
    detail = {**detail, "_outcome": detail.get("_outcome") or {"stage": "Stopped", "reason": None}}
    if not seen.runs:
        return _end(detail, job.spec, now)
    living = hosts_seen(job, seen.runs).living
    if not living:
        return _collect(job, detail, now)
    steps = tuple(Stop(run_id, STOP_GRACE) for run_id in living)
    return Plan(steps, job.status, detail, now + LOOK_SECONDS)


def _end_early(job: Resource, seen: Observed, stage: str, now: float) -> Plan:
    """Stop a job whose time is over."""
    detail = {**enter(job.detail, "Stopping", now), "_outcome": {"stage": stage, "reason": None}}
    steps = tuple(Stop(run_id, STOP_GRACE) for run_id in hosts_seen(job, seen.runs).living)
    return Plan(steps, JobStatus.STOPPING, detail, now + LOOK_SECONDS if steps else now)


def _collect(job: Resource, detail: Json, now: float) -> Plan:
    step = CollectTraining(run_ids_of(job))
    return Plan((step,), job.status, enter(detail, "Uploading", now), now + LOOK_SECONDS)


def _uploading(job: Resource, seen: Observed, now: float) -> Plan:
    if seen.collected is None:
        steps = () if seen.busy else (CollectTraining(run_ids_of(job)),)
        return Plan(steps, job.status, job.detail, now + LOOK_SECONDS)
    outcome = job.detail.get("_outcome") or {"stage": "Completed", "reason": None}
    if seen.collected.error is not None and outcome["stage"] != "Failed":
        outcome = {"stage": "Failed", "reason": seen.collected.error[: failure.LIMIT]}
    elif job.status == JobStatus.STOPPING and outcome["stage"] not in _OUT_OF_TIME:
        outcome = {"stage": "Stopped", "reason": None}
    detail = {**job.detail, "_outcome": outcome}
    if seen.collected.metrics:
        detail["FinalMetricDataList"] = list(seen.collected.metrics)
    return _end(detail, job.spec, now)


_PHASES: Mapping[str, Callable[[Resource, Observed, float], Plan]] = MappingProxyType(
    {
        "Starting": _starting,
        "Downloading": _downloading,
        "Training": _training,
        "Interrupted": _interrupted,
        "Restarting": _restarting,
        "Stopping": _stopping,
    }
)

_OUT_OF_TIME = frozenset({"MaxRuntimeExceeded", "MaxWaitTimeExceeded"})
_STATUS_OF_STAGE = MappingProxyType(
    {
        "Completed": JobStatus.COMPLETED,
        "Failed": JobStatus.FAILED,
        "Stopped": JobStatus.STOPPED,
        "MaxRuntimeExceeded": JobStatus.STOPPED,
        "MaxWaitTimeExceeded": JobStatus.STOPPED,
    }
)


def _launch(job: Resource, run_ids: tuple[str, ...], detail: Json, seen: Observed, now: float) -> Plan:
    spec = _run_spec(job, seen)
    launches = tuple[Step, ...](Launch(run_id, spec) for run_id in run_ids)
    steps = (ShareThreads(run_ids, seen.threads), *launches)
    return Plan(steps, job.status, {**detail, "_threads": seen.threads}, _next_look(job, now))


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
        threads=seen.threads,
        start=start_of(job),
        runtime=program.runtime if program else None,
        command=command_of(job.spec) or None,
        isolated=bool(job.spec.get("EnableNetworkIsolation")),
    )


def _staged(job: Resource, seen: Observed) -> Staged | None:
    """Return what staging left for the instances that the job has now."""
    if seen.staged is None or seen.staged.at < job.detail.get("_staged_after", 0):
        return None
    return seen.staged


def _outcome(hosts: Hosts, seen: Observed) -> Json:
    """Say how the job ends, once its artifacts are stored."""
    if hosts.failed:
        run = hosts.failed[0]
        text = seen.failures.get(run.run_id) or run.failure
        reason = failure.of_algorithm(text, run.exit_code, seen.lines.get(run.run_id, ()))
        return {"stage": "Failed", "reason": reason}
    if hosts.lost:
        run = hosts.lost[0]
        which = f"process of {host_of(run.run_id)}" if len(seen.runs) > 1 else "process"
        cause = f"InternalServerError: The training {which} was lost {run.tries} times. Please try again."
        return {"stage": "Failed", "reason": failure.with_lines(cause, seen.lines.get(run.run_id, ()))}
    return {"stage": "Completed", "reason": None}


def _end(detail: Json, spec: Json, now: float) -> Plan:
    """The job is over; its runs go at the next look."""
    outcome = detail["_outcome"]
    stage, reason = outcome["stage"], outcome["reason"]
    detail = enter(detail, stage, now, reason if stage == "Failed" else None)
    detail = {name: value for name, value in detail.items() if name != "_outcome"}
    if stage == "Failed":
        detail["FailureReason"] = reason
    return Plan((), _STATUS_OF_STAGE[stage], ended(detail, spec, now), now)


def _next_look(job: Resource, now: float) -> float:
    return min(now + LOOK_SECONDS, runtime_deadline(job), wait_deadline(job))


def _attempts(job: Resource) -> int:
    retries: int = job.spec.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0)
    return max(ATTEMPTS, 1 + retries)


def _same(job: Resource, now: float) -> Plan:
    return Plan((), job.status, job.detail, now + LOOK_SECONDS)

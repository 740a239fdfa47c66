"""Which jobs run at once.

Rule: first come, first served. The threads of the jobs that run are at most `PER_CORE` for each core, so that
many jobs take turns instead of hindering each other; one job may always run, whatever its size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sagestead.domain.instances import threads
from sagestead.domain.job_status import TERMINAL
from sagestead.domain.resources import Key, Kind, Resource
from sagestead.planning.trials import FACTS

PER_CORE = 2
_MAY_WAIT = "InProgress"


@dataclass(frozen=True, slots=True)
class Job:
    """A training or transform job under way.

    Attributes:
        key: which one.
        created_at: seconds since the epoch.
        threads: how many it uses, all instances together.
        runs: False while it waits for its turn.
    """

    key: Key
    created_at: float
    threads: int
    runs: bool


def job_of(resource: Resource, cores: int) -> Job | None:
    """Return what a resource takes, or waits to take; None when that is nothing. Never raises."""
    if resource.key.kind is Kind.TRAINING_JOB:
        wanted, waits = "ResourceConfig", resource.detail.get("SecondaryStatus", "Starting") == "Starting"
    elif resource.key.kind is Kind.TRANSFORM_JOB:
        wanted, waits = "TransformResources", "_has_place" not in resource.detail
    else:
        return None
    if resource.status in TERMINAL or (waits and resource.status != _MAY_WAIT):
        return None
    count = resource.spec.get(wanted, {}).get("InstanceCount", 1) * threads_of(resource, cores)
    return Job(resource.key, resource.created_at, count, not waits)


def threads_of(job: Resource, cores: int) -> int:
    """Return how many threads each instance of a job uses; trials of a tuning job share the cores.

    Trials side by side with all cores each would hinder each other; with a share each they do not.
    """
    config = job.spec.get("ResourceConfig") or job.spec.get("TransformResources") or {}
    beside: int = job.detail.get(FACTS, {}).get("Beside", 1)
    return threads(config.get("InstanceType", ""), max(1, cores // beside))


def placed(jobs: Iterable[Job], cores: int) -> frozenset[Key]:
    """Return the jobs that run, and those waiting whose turn has come."""
    everyone = list(jobs)
    found = {job.key for job in everyone if job.runs}
    taken = sum(job.threads for job in everyone if job.runs)
    queue = sorted((job for job in everyone if not job.runs), key=lambda job: (job.created_at, job.key.name))
    for job in queue:
        if found and taken + job.threads > cores * PER_CORE:
            break
        found.add(job.key)
        taken += job.threads
    return frozenset(found)


def waiting(cores: int) -> str:
    """Return what a job says while it waits."""
    return f"Waiting for earlier jobs to end: they take the {cores} cores of this machine"

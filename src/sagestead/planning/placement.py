"""Which jobs run at once, and how the cores are shared among them.

Rule: first come, first served. The threads that the jobs under way could use are at most `PER_CORE` for each
core, so that many jobs take turns instead of hindering each other; one job may always run, whatever its size.
A job for which there is no room may be overtaken by those for which there is, but only while it is younger
than `PATIENCE` seconds: it starts, at the latest, when those have ended that run at that age, and those that
came before it. Those that run together share the cores: threads beyond the cores make XGBoost two to three
times slower.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sagestead.domain import processing
from sagestead.domain.instances import threads
from sagestead.domain.job_status import TERMINAL
from sagestead.domain.resources import Json, Key, Kind, Resource
from sagestead.planning.trials import FACTS

PER_CORE = 2
PATIENCE = 300.0
"""A job that was created so many seconds ago is overtaken no more."""

_MAY_WAIT = "InProgress"


@dataclass(frozen=True, slots=True)
class Job:
    """A training, transform or processing job under way.

    Attributes:
        key: which one.
        created_at: seconds since the epoch.
        threads: how many it can use, all instances together.
        runs: False while it waits for its turn.
        hosts: how many instances it has.
    """

    key: Key
    created_at: float
    threads: int
    runs: bool
    hosts: int = 1


def job_of(resource: Resource, cores: int) -> Job | None:
    """Return what a resource takes, or waits to take; None when that is nothing. Never raises."""
    if resource.key.kind is Kind.TRAINING_JOB:
        waits = resource.detail.get("SecondaryStatus", "Starting") == "Starting"
    elif resource.key.kind is Kind.TRANSFORM_JOB:
        waits = "_has_place" not in resource.detail
    elif resource.key.kind is Kind.PROCESSING_JOB:
        waits = "_phase" not in resource.detail
    else:
        return None
    if resource.status in TERMINAL or (waits and resource.status != _MAY_WAIT):
        return None
    hosts = _cluster_of(resource).get("InstanceCount", 1)
    threads = hosts * threads_of(resource, cores)
    return Job(resource.key, resource.created_at, threads, not waits, hosts)


def threads_of(job: Resource, cores: int) -> int:
    """Return how many threads each instance of a job can use; trials of a tuning job share the cores.

    Trials side by side with all cores each would hinder each other; with a share each they do not. The hosts
    of a training or processing job share them, too.
    """
    config = _cluster_of(job)
    beside: int = job.detail.get(FACTS, {}).get("Beside", 1)
    if job.key.kind is not Kind.TRANSFORM_JOB:
        beside *= config.get("InstanceCount", 1)
    return threads(config.get("InstanceType", ""), max(1, cores // beside))


def _cluster_of(job: Resource) -> Json:
    """Return the InstanceType and InstanceCount that a job asks for."""
    if job.key.kind is Kind.PROCESSING_JOB:
        return processing.cluster_of(job.spec)
    wanted = "TransformResources" if job.key.kind is Kind.TRANSFORM_JOB else "ResourceConfig"
    config: Json = job.spec.get(wanted, {})
    return config


def placed(jobs: Iterable[Job], cores: int, now: float) -> frozenset[Key]:
    """Return the jobs that run, and those waiting whose turn has come. Time alone brings nobody's turn."""
    everyone = list(jobs)
    found = {job.key for job in everyone if job.runs}
    taken = sum(job.threads for job in everyone if job.runs)
    queue = sorted((job for job in everyone if not job.runs), key=lambda job: (job.created_at, job.key.name))
    for job in queue:
        if not found or taken + job.threads <= cores * PER_CORE:
            found.add(job.key)
            taken += job.threads
        elif now - job.created_at >= PATIENCE:
            break
    return frozenset(found)


def shared(jobs: Iterable[Job], cores: int) -> Mapping[Key, int]:
    """Return how many threads each host of each of these jobs, which run together, may use: at least 1.

    The cores are divided evenly; what one cannot use is the others'.
    """
    queue = sorted(jobs, key=lambda job: (job.threads / job.hosts, job.created_at, job.key.name))
    left, hosts = cores, sum(job.hosts for job in queue)
    shares: dict[Key, int] = {}
    for job in queue:
        shares[job.key] = max(1, min(job.threads // job.hosts, left // hosts))
        left = max(0, left - shares[job.key] * job.hosts)
        hosts -= job.hosts
    return shares


def waiting(cores: int) -> str:
    """Return what a job says while it waits."""
    return f"Waiting for earlier jobs to end: they take the {cores} cores of this machine"

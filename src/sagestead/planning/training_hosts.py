"""What the hosts of a training or processing job, taken together, have come to.

Rule: a job goes on only as a whole. Its starts are numbered in its record, and a run says which start it is
of; one of an earlier start is started again before anything else is decided. One that fails fails the job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sagestead.domain import processing, training
from sagestead.domain.resources import Kind, Resource
from sagestead.domain.runs import RunPhase, RunState
from sagestead.planning.backoff import ENDED


def run_ids_of(job: Resource) -> tuple[str, ...]:
    """Return the ids of the job's runs, one a host; the first is that of `algo-1`."""
    key = job.key
    hosts_of = processing.hosts_of if key.kind is Kind.PROCESSING_JOB else training.hosts_of
    return tuple(f"{key.kind}/{key.account}/{key.region}/{key.name}/{host}" for host in hosts_of(job.spec))


def host_of(run_id: str) -> str:
    """Return the name of the host that a run stands for."""
    return run_id.rpartition("/")[2]


def start_of(job: Resource) -> int:
    """Return the number of the job's latest start, from 1."""
    start: int = job.detail.get("_start", 1)
    return start


FORGIVEN = 50
"""So many starts of a host that ended with the service do not count; not more, lest a job that takes the
service down with it do so for ever."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """The runs of a job.

    Attributes:
        living: those that have not ended, by id.
        missing: hosts that do not run and never ran since the job's latest start.
        lost: those that ended unsupervised.
        failed: those that ended with another code than 0, the first to end first.
        tries: how many starts count, that of the host with the most.
    """

    living: tuple[str, ...]
    missing: tuple[str, ...]
    lost: tuple[RunState, ...]
    failed: tuple[RunState, ...]
    tries: int

    @property
    def has_ended(self) -> bool:
        """True when nothing runs."""
        return not self.living


def hosts_seen(job: Resource, runs: Mapping[str, RunState]) -> Hosts:
    """Return what the runs of a job come to."""
    wanted, start = run_ids_of(job), start_of(job)
    there = [runs[run_id] for run_id in wanted if run_id in runs]
    current = [run for run in there if run.spec.start == start]
    known = {run.run_id for run in there if run.spec.start == start or run.phase not in ENDED}
    failed = [run for run in current if run.phase is RunPhase.EXITED and run.exit_code != 0]
    return Hosts(
        living=tuple(run.run_id for run in there if run.phase not in ENDED),
        missing=tuple(run_id for run_id in wanted if run_id not in known),
        lost=tuple(run for run in current if run.phase is RunPhase.LOST),
        failed=tuple(sorted(failed, key=lambda run: (run.ended_at or 0.0, run.run_id))),
        tries=max((run.attempt - min(run.interruptions, FORGIVEN) for run in there), default=0),
    )

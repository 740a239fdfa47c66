"""What the hosts of a training job, taken together, have come to.

Rule: a job goes on only as a whole. The runs of all hosts have the same number of starts behind them; one
with fewer has to be started again before anything else is decided. One host that fails fails the job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sagestead.domain.resources import Resource
from sagestead.domain.runs import RunPhase, RunState
from sagestead.domain.training import hosts_of
from sagestead.planning.backoff import ENDED


def run_ids_of(job: Resource) -> tuple[str, ...]:
    """Return the ids of the job's runs, one a host; the first is that of `algo-1`."""
    key = job.key
    return tuple(f"training-job/{key.account}/{key.region}/{key.name}/{host}" for host in hosts_of(job.spec))


def host_of(run_id: str) -> str:
    """Return the name of the host that a run stands for."""
    return run_id.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Hosts:
    """The runs of a job.

    Attributes:
        living: those that have not ended, by id.
        missing: hosts that are behind the others: never started, or not as often, and do not run.
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
    wanted = run_ids_of(job)
    there = [runs[run_id] for run_id in wanted if run_id in runs]
    attempt = max((run.attempt for run in there), default=0)
    current = [run for run in there if run.attempt == attempt]
    behind = [run_id for run_id in wanted if run_id not in runs or runs[run_id].attempt < attempt]
    failed = [run for run in current if run.phase is RunPhase.EXITED and run.exit_code != 0]
    return Hosts(
        living=tuple(run.run_id for run in there if run.phase not in ENDED),
        missing=tuple(run_id for run_id in behind if run_id not in runs or runs[run_id].phase in ENDED),
        lost=tuple(run for run in current if run.phase is RunPhase.LOST),
        failed=tuple(sorted(failed, key=lambda run: (run.ended_at or 0.0, run.run_id))),
        tries=max((run.tries for run in there), default=0),
    )

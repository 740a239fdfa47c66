"""Looks at what is there: runs, folders, routes, log lines. Changes nothing but what is known of logs.

Rule: the log of a run that ended is carried whole before anyone plans on its end, so that a job's lines are
all in their stream when the job becomes terminal.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sagestead.control import artifacts, staging
from sagestead.control.log_agent import LogAgent
from sagestead.control.markers import read_marker
from sagestead.control.reconciler.errands import Errands
from sagestead.control.reconciler.turns import Turns
from sagestead.control.staging import OPT_ML
from sagestead.domain.endpoint import EndpointStatus
from sagestead.domain.job_status import TERMINAL
from sagestead.domain.resources import Resource
from sagestead.domain.runs import RunState
from sagestead.planning import endpoint as endpoint_planning
from sagestead.planning import processing as processing_planning
from sagestead.planning import training as training_planning
from sagestead.planning import transform as transform_planning
from sagestead.planning.backoff import ENDED
from sagestead.planning.failure import LIMIT
from sagestead.planning.fleet import is_ready, serving_fleet, wanted_fleet
from sagestead.planning.programs import Programs
from sagestead.planning.steps import Collected, Staged
from sagestead.planning.training_hosts import run_ids_of
from sagestead.ports import Engine, Routes
from sagestead.worker.layout import Layout

LAST_LINES = 10


@dataclass(frozen=True, slots=True)
class Observer:
    """What is looked at."""

    routes: Routes
    engine: Engine
    agent: LogAgent
    errands: Errands
    turns: Turns
    programs: Programs
    cores: int

    def runs(self, owner: Resource) -> dict[str, RunState]:
        """Return the runs of a resource by id; their logs are followed from then on."""
        runs = {run.run_id: run for run in self.engine.runs(owner.arn)}
        for run_id, run in runs.items():
            if run.prepared is not None:
                continue  # nobody plans on its lines: `finish` has them carried
            self.agent.follow(owner, run_id)
            if run.phase in ENDED:
                self.agent.drain(run_id)
        return runs

    def finish(self, owner: Resource, runs: Mapping[str, RunState]) -> None:
        """Have the logs of runs that prepared a model carried whole: before their endpoint is in service."""
        if owner.status != EndpointStatus.IN_SERVICE:
            for run_id, run in runs.items():
                if run.prepared is not None:
                    self.agent.finish(owner, run_id)

    def endpoint(
        self, endpoint: Resource, runs: dict[str, RunState], now: float
    ) -> endpoint_planning.Observed:
        """Return what can be seen around an endpoint."""
        key = endpoint.key
        either = (serving_fleet(endpoint, self.programs), wanted_fleet(endpoint, self.programs))
        fleets = [fleet for fleet in either if fleet]
        wanted = list(dict.fromkeys(one.run_id for fleet in fleets for one in fleet.instances))
        is_wanted = endpoint.status not in (EndpointStatus.FAILED, EndpointStatus.DELETING)
        is_changing = is_wanted and endpoint.status != EndpointStatus.IN_SERVICE
        return endpoint_planning.Observed(
            runs=runs,
            staged=self._staged(wanted) if is_wanted else {},
            busy=self.errands.busy(wanted),
            route=self.routes.find(key.account, key.region, key.name),
            settled=self.routes.settled(key.account, key.region, key.name, now),
            lines=self._lines(endpoint, (run for run in runs.values() if is_changing and not is_ready(run))),
            programs=self.programs,
            cores=self.cores,
        )

    def training(self, job: Resource, runs: dict[str, RunState]) -> training_planning.Observed:
        """Return what can be seen around a training job."""
        run_ids = run_ids_of(job)
        is_over = job.status in TERMINAL
        folder = None if is_over else self.engine.path(run_ids[0])
        failed = [run for run in runs.values() if run.phase in ENDED and run.exit_code != 0 and not is_over]
        return training_planning.Observed(
            runs=runs,
            staged=read_marker(folder / staging.MARKER, Staged.from_json) if folder else None,
            collected=read_marker(folder / artifacts.MARKER, Collected.from_json) if folder else None,
            synced_at=read_marker(folder / artifacts.SYNCED, artifacts.synced_at) if folder else None,
            busy=bool(self.errands.busy(run_ids)),
            failures={run.run_id: self._failure(run.run_id) for run in failed},
            lines=self._lines(job, failed),
            has_place=self.turns.has_place(job.key),
            threads=self.turns.share(job.key),
            programs=self.programs,
            cores=self.cores,
        )

    def processing(self, job: Resource, runs: dict[str, RunState]) -> processing_planning.Observed:
        """Return what can be seen around a processing job."""
        run_ids = run_ids_of(job)
        is_over = job.status in TERMINAL
        folder = None if is_over else self.engine.path(run_ids[0])
        ended = [run for run in runs.values() if run.phase in ENDED and not is_over]
        return processing_planning.Observed(
            runs=runs,
            staged=read_marker(folder / staging.MARKER, Staged.from_json) if folder else None,
            collected=read_marker(folder / artifacts.MARKER, Collected.from_json) if folder else None,
            busy=bool(self.errands.busy(run_ids)),
            messages={run.run_id: self._message(run.run_id) for run in ended},
            lines=self._lines(job, ended),
            has_place=self.turns.has_place(job.key),
            threads=self.turns.share(job.key),
        )

    def transform(self, job: Resource, runs: dict[str, RunState]) -> transform_planning.Observed:
        """Return what can be seen around a transform job."""
        run_ids = transform_planning.run_ids_of(job)
        is_over = job.status in TERMINAL
        collected = None
        if not is_over:
            marker = self.engine.path(run_ids[0]) / artifacts.MARKER
            collected = read_marker(marker, Collected.from_json)
        return transform_planning.Observed(
            runs=runs,
            staged={} if is_over else self._staged(run_ids),
            collected=collected,
            busy=bool(self.errands.busy(run_ids)),
            lines=self._lines(job, (run for run in runs.values() if run.phase in ENDED and not is_over)),
            has_place=self.turns.has_place(job.key),
            programs=self.programs,
            cores=self.cores,
        )

    def _failure(self, run_id: str) -> str | None:
        return _text(Layout(self.engine.path(run_id) / OPT_ML).failure)

    def _message(self, run_id: str) -> str | None:
        return _text(Layout(self.engine.path(run_id) / OPT_ML).message)

    def _staged(self, run_ids: Iterable[str]) -> dict[str, Staged]:
        found = {
            run_id: read_marker(self.engine.path(run_id) / staging.MARKER, Staged.from_json)
            for run_id in run_ids
        }
        return {run_id: staged for run_id, staged in found.items() if staged is not None}

    def _lines(self, owner: Resource, runs: Iterable[RunState]) -> dict[str, tuple[str, ...]]:
        return {run.run_id: self.agent.last_lines(owner, run.run_id, LAST_LINES) for run in runs}


def _text(path: Path) -> str | None:
    """Return the start of what a job wrote; None when there is no file, or something else in its place."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        with path.open("rb") as file:
            return file.read(4 * LIMIT).decode("utf-8", "replace")
    except FileNotFoundError:
        return None

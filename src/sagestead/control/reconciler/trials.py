"""The training jobs of tuning jobs, as a tuning job's plans need them: seen, launched, stopped.

Rule: nothing is decided here. What is remembered of curves is what the log streams say, and is read again
after a restart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from sagestead.control.metric_reading import MetricReader
from sagestead.control.trial_records import children_of
from sagestead.domain.early_stopping import Curve
from sagestead.domain.job_status import JobStatus
from sagestead.domain.metrics import OBJECTIVE_METRIC, definitions_of
from sagestead.domain.resources import Key, Kind, Resource
from sagestead.domain.tuning import Observation
from sagestead.planning import steps
from sagestead.planning import tuning as tuning_planning
from sagestead.planning.streams import training_stream
from sagestead.planning.trials import (
    Search,
    is_trial_of,
    search_of,
    trial_draft,
    trial_name,
    trial_of,
)
from sagestead.ports import AlreadyExists, Change, Clock, Logs, Resources, Stale, Suggest

LONGEST_CURVE = 20_000
MOST_SEARCHES = 64
"""Of so many tuning jobs curves are remembered; of others they are read anew."""

LINES_AT_ONCE = 1000
BEGIN_SECONDS = 10.0
"""A training job that was launched just before this process died is looked at so much later at the latest."""


@dataclass(slots=True)
class _Reading:
    """How far a trial's log was read for its curve."""

    reader: MetricReader
    first: int = 0
    curve: list[float] = field(default_factory=list)
    is_whole: bool = False


class Trials:
    """Trials in the store. Safe to use from several threads, one a tuning job.

    `begin` is told of every training job that is launched.
    """

    def __init__(
        self,
        resources: Resources,
        logs: Logs,
        suggest: Suggest,
        clock: Clock,
        begin: Callable[[Resource], None],
    ) -> None:
        self._resources = resources
        self._logs = logs
        self._suggest = suggest
        self._clock = clock
        self._begin = begin
        self._mutex = threading.Lock()
        self._readings: dict[str, dict[str, _Reading]] = {}

    def observe(self, job: Resource) -> tuning_planning.Observed:
        """Return what can be seen around a tuning job."""
        children = children_of(self._resources, job)
        is_asking = tuning_planning.is_asking(job)
        return tuning_planning.Observed(
            tuple(children),
            self._inherited(job) if is_asking else (),
            self._curves(job, children) if tuning_planning.stops_early(job) else {},
        )

    def launch(self, job: Resource, step: steps.LaunchTrial) -> None:
        """Choose the point of a trial and create its training job, unless it is there."""
        if self._resources.get(self._key(job, trial_name(job, step.number))) is not None:
            return
        point = self._suggest(step.question)
        now = self._clock()
        draft = trial_draft(job, step.number, point, step.pending, now)
        try:
            child = self._resources.create(replace(draft, due_at=now + BEGIN_SECONDS))
        except AlreadyExists as race:
            if not is_trial_of(race.existing, job):
                raise
        else:
            self._begin(child)

    def stop(self, job: Resource, step: steps.StopTrial) -> None:
        """Ask the training job of a trial to end, unless it has or does."""
        while (seen := self._resources.get(self._key(job, step.name))) is not None:
            if seen.status != JobStatus.IN_PROGRESS:
                return
            try:
                self._resources.update(seen, Change(self._clock(), status=JobStatus.STOPPING.value))
            except Stale:
                continue

    def _inherited(self, job: Resource) -> tuple[Observation, ...]:
        """Return what the trials of warm start's parents came to, with their static hyperparameters."""
        found: list[Observation] = []
        for parent in job.detail.get("_parents", ()):
            key = self._key(job, parent["Name"], Kind.TUNING_JOB)
            for child in children_of(self._resources, Resource(key, "", {}, created_at=parent["Since"])):
                loss = tuning_planning.loss_of(trial_of(child), search_of(job).objectives[0])
                found.append(Observation(child.spec["HyperParameters"], loss))
        return tuple(found)

    def _curves(self, job: Resource, children: list[Resource]) -> Mapping[str, Curve]:
        with self._mutex:
            readings = self._readings[job.arn] = self._readings.pop(job.arn, {})
            while len(self._readings) > MOST_SEARCHES:
                del self._readings[next(iter(self._readings))]
        search = search_of(job)
        for child in children:
            reading = readings.get(child.key.name)
            if reading is None:
                wanted = [one for one in definitions_of(child.spec) if one["Name"] == OBJECTIVE_METRIC]
                reading = readings[child.key.name] = _Reading(MetricReader(wanted))
            if not reading.is_whole:
                self._read_on(child, reading, search)
        return {name: reading.curve for name, reading in readings.items()}

    def _read_on(self, child: Resource, reading: _Reading, search: Search) -> None:
        is_over, stream = trial_of(child).is_over, training_stream(child)
        loss = search.objectives[trial_of(child).definition].loss
        while events := self._logs.events(stream, reading.first, LINES_AT_ONCE, None, None):
            for event in events:
                reading.curve += [loss(value) for _, value in reading.reader.read(event.message)]
            reading.first = events[-1].sequence + 1
            del reading.curve[LONGEST_CURVE:]
        reading.is_whole = is_over

    @staticmethod
    def _key(job: Resource, name: str, kind: Kind = Kind.TRAINING_JOB) -> Key:
        return Key(kind, job.key.account, job.key.region, name)

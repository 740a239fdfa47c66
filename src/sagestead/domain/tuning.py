"""A tuning job's trials as data: what each came to, which is best, and when there is no more to gain.

Rule: the objective of a trial is the last value that it reported, not its best (spec: tuning.md section 4).
Statuses follow the table of jobs (domain/job_status.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sagestead.domain.job_status import TERMINAL, JobStatus
from sagestead.domain.resources import Json
from sagestead.domain.search_space import Point, Space

INTERNAL = "InternalServerError:"
IMPROVEMENT = 0.01
"""A trial improves on the best before it when it is better by this share of it (spec: section 5)."""

CONVERGED_AFTER = 10
CONVERGED_SHARE = 0.5


class Strategy(StrEnum):
    """How trials are chosen."""

    BAYESIAN = "Bayesian"
    RANDOM = "Random"
    GRID = "Grid"
    HYPERBAND = "Hyperband"


class ObjectiveStatus(StrEnum):
    """Whether a trial's objective is known."""

    PENDING = "Pending"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Objective:
    """What is optimised."""

    metric: str
    maximise: bool

    def loss(self, value: float) -> float:
        """Return the value so that less is better."""
        return -value if self.maximise else value


@dataclass(frozen=True, slots=True)
class Trial:
    """One training job of a tuning job.

    Attributes:
        number: from 1, in the order of launch.
        name: of the training job.
        arn: of the training job.
        definition: index of its training job definition.
        point: the hyperparameters that were tuned.
        status: TrainingJobStatus.
        value: last reported value of the objective, once the job ended.
        created_at: seconds since the epoch, as the next two.
        started_at: when training began.
        ended_at: when the job ended.
        failure: FailureReason.
    """

    number: int
    name: str
    arn: str
    definition: int
    point: Point
    status: str
    value: float | None
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    failure: str | None = None

    @property
    def is_over(self) -> bool:
        """True when the training job has ended."""
        return self.status in TERMINAL

    @property
    def objective_status(self) -> ObjectiveStatus:
        """Say whether the objective is known."""
        if not self.is_over:
            return ObjectiveStatus.PENDING
        is_known = self.value is not None and self.status != JobStatus.FAILED
        return ObjectiveStatus.SUCCEEDED if is_known else ObjectiveStatus.FAILED


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known of a point: its loss (less is better), inf when it failed, None while it is tried."""

    point: Point
    loss: float | None


@dataclass(frozen=True, slots=True)
class Question:
    """Which point to try next; all that the answer depends on.

    Attributes:
        strategy: how to choose.
        space: what to choose from.
        history: points tried before, in the order of launch; those of warm start's parents first.
        seed: the job's.
        index: how many points of this space were chosen before.
        exploring: so many first points are spread over the space before a model chooses.
    """

    strategy: Strategy
    space: Space
    history: tuple[Observation, ...]
    seed: int
    index: int
    exploring: int


def best_trial(trials: Iterable[Trial], objectives: Sequence[Objective]) -> Trial | None:
    """Return the trial with the best objective, the earliest of equals; None until one succeeded.

    `objectives` has one for each definition. Definitions that optimise something else than the first one
    cannot be compared with it and count only when none succeeded that can.
    """
    done = [trial for trial in trials if trial.objective_status is ObjectiveStatus.SUCCEEDED]
    alike = [trial for trial in done if objectives[trial.definition] == objectives[0]] or done

    def order(trial: Trial) -> tuple[float, int]:
        return objectives[trial.definition].loss(trial.value or 0.0), trial.number

    return min(alike, key=order, default=None)


def status_counters(trials: Sequence[Trial]) -> Json:
    """Return TrainingJobStatusCounters."""
    failed = [trial for trial in trials if trial.status == JobStatus.FAILED]
    internal = sum((trial.failure or "").startswith(INTERNAL) for trial in failed)
    return {
        "Completed": sum(trial.status == JobStatus.COMPLETED for trial in trials),
        "InProgress": sum(not trial.is_over for trial in trials),
        "RetryableError": internal,
        "NonRetryableError": len(failed) - internal,
        "Stopped": sum(trial.status == JobStatus.STOPPED for trial in trials),
    }


def objective_counters(trials: Sequence[Trial]) -> Json:
    """Return ObjectiveStatusCounters."""
    return {
        word.value: sum(trial.objective_status is word for trial in trials)
        for word in (ObjectiveStatus.SUCCEEDED, ObjectiveStatus.PENDING, ObjectiveStatus.FAILED)
    }


def not_improving(losses: Iterable[float]) -> int:
    """Return how many of the last losses did not improve on the best before by `IMPROVEMENT` of it."""
    best, count = math.inf, 0
    for loss in losses:
        if math.isinf(best) or loss < best - IMPROVEMENT * abs(best):
            best, count = loss, 0
        else:
            count += 1
    return count


def is_converged(losses: Sequence[float]) -> bool:
    """Say whether searching on is unlikely to gain: half of all trials, and ten, did not improve the best."""
    return not_improving(losses) >= max(CONVERGED_AFTER, CONVERGED_SHARE * len(losses))


def losses_by_end(trials: Iterable[Trial], objectives: Sequence[Objective]) -> list[float]:
    """Return the losses of the trials that succeeded, in the order in which they ended."""
    done = [trial for trial in trials if trial.objective_status is ObjectiveStatus.SUCCEEDED]
    done.sort(key=lambda trial: (trial.ended_at or 0.0, trial.number))
    return [objectives[trial.definition].loss(trial.value) for trial in done if trial.value is not None]


def tuned_of(definition: Mapping[str, Json], config: Mapping[str, Json]) -> Json:
    """Return the ranges of a definition, wherever the request gives them."""
    return definition.get("HyperParameterRanges") or config.get("ParameterRanges") or {}

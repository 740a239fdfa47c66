"""The training jobs of a tuning job: how each is named, what it is asked, and what it came to.

Rule: a trial's name and its place in the search depend only on the tuning job and the trial's number, so that
launching it twice is launching it once. `detail["_Trial"]` of a training job says whose trial it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sagestead.domain.job_status import JobStatus
from sagestead.domain.metrics import OBJECTIVE_HYPERPARAMETER, OBJECTIVE_METRIC
from sagestead.domain.resources import Json, Key, Kind, Resource, partition_of, resource_arn
from sagestead.domain.search_space import Point, Space, combinations, seed_of, space_of
from sagestead.domain.training import enter
from sagestead.domain.tuning import (
    Objective,
    ObjectiveStatus,
    Strategy,
    Trial,
    tuned_of,
)

FACTS = "_Trial"
_OF_TUNING = frozenset(
    {
        "DefinitionName",
        "TuningObjective",
        "HyperParameterRanges",
        "StaticHyperParameters",
        "HyperParameterTuningResourceConfig",
    }
)


@dataclass(frozen=True, slots=True)
class Search:
    """What a tuning job searches, read from its request.

    Attributes:
        strategy: how.
        definitions: the training job definitions.
        objectives: what each optimises.
        spaces: what each searches.
        seed: the job's.
        parallel: most training jobs at once.
        total: most training jobs in all; None: no limit.
    """

    strategy: Strategy
    definitions: Sequence[Json]
    objectives: Sequence[Objective]
    spaces: Sequence[Space]
    seed: int
    parallel: int
    total: int | None

    def place(self, number: int) -> tuple[int, int]:
        """Return the definition of a trial, and how many trials that definition has before it.

        Definitions take turns; a grid is gone through definition by definition.
        """
        if self.strategy is not Strategy.GRID:
            index, definition = divmod(number - 1, len(self.definitions))
            return definition, index
        index = number - 1
        for definition, space in enumerate(self.spaces[:-1]):
            size = combinations(space) or 0
            if index < size:
                return definition, index
            index -= size
        return len(self.spaces) - 1, index


def search_of(job: Resource) -> Search:
    """Read a tuning job's request."""
    config = job.spec["HyperParameterTuningJobConfig"]
    definitions = definitions_of(job.spec)
    strategy, limits = Strategy(config["Strategy"]), config["ResourceLimits"]
    spaces = [space_of(tuned_of(one, config), "ParameterRanges.") for one in definitions]
    total = limits.get("MaxNumberOfTrainingJobs")
    if strategy is Strategy.GRID:
        size = sum(combinations(space) or 0 for space in spaces)
        total = size if total is None else min(total, size)
    return Search(
        strategy,
        definitions,
        [objective_of(one, config) for one in definitions],
        spaces,
        config["RandomSeed"] if "RandomSeed" in config else seed_of(job.arn, job.created_at),
        limits["MaxParallelTrainingJobs"],
        total,
    )


def definitions_of(spec: Json) -> list[Json]:
    """Return the training job definitions of a request, of which there is at least one."""
    several: list[Json] = spec.get("TrainingJobDefinitions") or []
    return several or [spec["TrainingJobDefinition"]]


def objective_of(definition: Json, config: Json) -> Objective:
    """Return what a definition optimises, wherever the request says it."""
    wanted = definition.get("TuningObjective") or config["HyperParameterTuningJobObjective"]
    return Objective(wanted["MetricName"], wanted["Type"] == "Maximize")


def trial_name(job: Resource, number: int) -> str:
    """Return the name of a trial's training job."""
    made_of = f"{job.arn}\0{job.created_at}\0{number}"
    return f"{job.key.name}-{number:03d}-{hashlib.sha256(made_of.encode()).hexdigest()[:8]}"


def trial_draft(job: Resource, number: int, point: Point, pending: Sequence[int], now: float) -> Resource:
    """Return a trial's training job as it begins at `now`.

    `pending` are the trials whose ends were not known when the point was chosen.
    """
    search = search_of(job)
    definition, _ = search.place(number)
    name = trial_name(job, number)
    key = Key(Kind.TRAINING_JOB, job.key.account, job.key.region, name)
    request = training_request(name, search.definitions[definition], point)
    facts = {
        "Job": job.key.name,
        "Since": job.created_at,
        "Number": number,
        "Definition": definition,
        "Point": dict(point),
        "Pending": list(pending),
        "Beside": min(search.parallel, search.total or search.parallel),
    }
    return Resource(
        key,
        resource_arn(key, partition_of(key.region)),
        {**request, "TuningJobArn": job.arn},
        JobStatus.IN_PROGRESS.value,
        {**enter({}, "Starting", now), FACTS: facts},
        dict(job.tags),
        created_at=round(now, 3),
        modified_at=round(now, 3),
        due_at=now,
    )


def training_request(name: str, definition: Json, point: Point) -> Json:
    """Return the CreateTrainingJob request that tries a point; checkpoints of trials lie apart."""
    request: Json = {member: value for member, value in definition.items() if member not in _OF_TUNING}
    request["TrainingJobName"] = name
    request["HyperParameters"] = {**definition.get("StaticHyperParameters", {}), **point}
    if "HyperParameterTuningResourceConfig" in definition:
        request["ResourceConfig"] = resource_config(definition)
    checkpoints = definition.get("CheckpointConfig")
    if checkpoints:
        place = f"{checkpoints['S3Uri'].rstrip('/')}/{name}"
        request["CheckpointConfig"] = {**checkpoints, "S3Uri": place}
    return request


def is_trial_of(child: Resource, job: Resource) -> bool:
    """Say whether a training job is a trial of this very tuning job, not of an earlier one of its name."""
    facts = child.detail.get(FACTS)
    return facts is not None and (facts["Job"], facts["Since"]) == (job.key.name, job.created_at)


def tuning_job_of(child: Resource) -> Key | None:
    """Return the tuning job whose trial a resource is, or None."""
    facts = child.detail.get(FACTS)
    return facts and Key(Kind.TUNING_JOB, child.key.account, child.key.region, facts["Job"])


def trial_of(child: Resource) -> Trial:
    """Read a trial's training job."""
    facts, detail = child.detail[FACTS], child.detail
    metrics = {one["MetricName"]: one["Value"] for one in detail.get("FinalMetricDataList", [])}
    return Trial(
        facts["Number"],
        child.key.name,
        child.arn,
        facts["Definition"],
        facts["Point"],
        child.status,
        metrics.get(OBJECTIVE_METRIC),
        child.created_at,
        detail.get("TrainingStartTime"),
        detail.get("TrainingEndTime"),
        detail.get("FailureReason"),
    )


def trials_of(children: Iterable[Resource]) -> list[Trial]:
    """Read trials' training jobs, in the order of launch."""
    return sorted(map(trial_of, children), key=lambda trial: trial.number)


def summary(trial: Trial, search: Search) -> Json:
    """Return a HyperParameterTrainingJobSummary."""
    objective = search.objectives[trial.definition]
    answer: Json = {
        "TrainingJobDefinitionName": search.definitions[trial.definition].get("DefinitionName"),
        "TrainingJobName": trial.name,
        "TrainingJobArn": trial.arn,
        "CreationTime": trial.created_at,
        "TrainingStartTime": trial.started_at,
        "TrainingEndTime": trial.ended_at,
        "TrainingJobStatus": trial.status,
        "TunedHyperParameters": dict(trial.point),
        "FailureReason": trial.failure,
        "ObjectiveStatus": trial.objective_status.value,
    }
    if trial.objective_status is ObjectiveStatus.SUCCEEDED:
        answer["FinalHyperParameterTuningJobObjectiveMetric"] = {
            "Type": "Maximize" if objective.maximise else "Minimize",
            "MetricName": objective.metric,
            "Value": trial.value,
        }
    return {member: value for member, value in answer.items() if value is not None}


def static_hyperparameters(definition: Json, objective: Objective) -> dict[str, str]:
    """Return StaticHyperParameters with the one that tells the algorithm what is optimised."""
    return {**definition.get("StaticHyperParameters", {}), OBJECTIVE_HYPERPARAMETER: objective.metric}


def resource_config(definition: Json) -> Json:
    """Return the ResourceConfig of a definition's trials: the first preference, if there are several."""
    wanted: Json | None = definition.get("HyperParameterTuningResourceConfig")
    if wanted is None:
        return dict(definition.get("ResourceConfig", {}))
    preferred = next(iter(wanted.get("InstanceConfigs", [])), None)
    if preferred is not None:
        return dict(preferred)
    return {member: value for member, value in wanted.items() if member != "AllocationStrategy"}

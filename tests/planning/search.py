"""A small world for the plans of tuning jobs: trials are kept on paper, and a test says what they come to.

Every plan is checked against what must always hold, whatever happens.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sagestead.domain import job_status
from sagestead.domain.resources import Json, Key, Kind, Resource, resource_arn
from sagestead.domain.search_space import Point
from sagestead.domain.tuning import Question
from sagestead.optimizer import suggest
from sagestead.planning import tuning
from sagestead.planning.steps import LaunchTrial, Plan, StopTrial
from sagestead.planning.trials import search_of, trial_draft, trial_of

IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:1.7-1"
DEFINITION: Json = {
    "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
    "StaticHyperParameters": {"num_round": "5", "_tuning_objective_metric": "validation:auc"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
}
RANGES: Json = {
    "IntegerParameterRanges": [{"Name": "depth", "MinValue": "1", "MaxValue": "1000"}],
    "CategoricalParameterRanges": [{"Name": "booster", "Values": ["gbtree", "dart"]}],
}
GRID: Json = {
    "CategoricalParameterRanges": [
        {"Name": "booster", "Values": ["gbtree", "dart"]},
        {"Name": "depth", "Values": ["1", "2"]},
    ]
}


def config(strategy: str, total: int | None, parallel: int, **more: object) -> Json:
    limits: Json = {"MaxParallelTrainingJobs": parallel}
    if total is not None:
        limits["MaxNumberOfTrainingJobs"] = total
    return {
        "Strategy": strategy,
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "validation:auc"},
        "ResourceLimits": {**limits, **more.pop("limits", {})},  # type: ignore[dict-item]  # a dict
        "ParameterRanges": GRID if strategy == "Grid" else RANGES,
        "RandomSeed": 7,
        **more,
    }


@dataclass
class Search:
    """One tuning job and its training jobs, by number."""

    job: Resource
    now: float = 1000.0
    children: dict[int, Resource] = field(default_factory=dict)
    curves: dict[str, list[float]] = field(default_factory=dict)
    asked: dict[int, Question] = field(default_factory=dict)
    points: dict[int, Point] = field(default_factory=dict)
    most_at_once: int = 0

    def plan(self, steps_done: int | None = None) -> Plan:
        """Plan once and check the plan; after `steps_done` steps nothing is recorded, as in a crash."""
        seen = tuning.Observed(tuple(self.children.values()), curves=self.curves)
        made = tuning.plan(self.job, seen, self.now)
        assert job_status.may_follow(self.job.status, made.status)
        for step in made.steps[:steps_done]:
            if isinstance(step, LaunchTrial):
                self._launch(step)
            elif isinstance(step, StopTrial):
                self._stop(step.name)
        under_way = [child for child in self.children.values() if not trial_of(child).is_over]
        self.most_at_once = max(self.most_at_once, len(under_way))
        assert len(under_way) <= search_of(self.job).parallel
        if steps_done is None:
            self.job = replace(
                self.job, status=made.status, detail=made.detail, due_at=made.look_again, version=0
            )
        return made

    def end(self, number: int, status: str = "Completed", value: float | None = None) -> None:
        child = self.children[number]
        metrics = [] if value is None else [{"MetricName": "ObjectiveMetric", "Value": value}]
        detail = {**child.detail, "FinalMetricDataList": metrics, "TrainingEndTime": self.now}
        if status == "Failed":
            detail["FailureReason"] = "ClientError: no"
        self.children[number] = replace(child, status=status, detail=detail)

    def report(self, number: int, *values: float) -> None:
        self.curves[self.children[number].key.name] = [-value for value in values]

    def under_way(self) -> list[int]:
        return [number for number, child in self.children.items() if not trial_of(child).is_over]

    def _launch(self, step: LaunchTrial) -> None:
        point = suggest(step.question)
        assert suggest(step.question) == point
        if step.number in self.asked:
            assert self.asked[step.number] == step.question, "asked again, another question"
        self.asked[step.number] = step.question
        assert step.number not in self.children
        child = trial_draft(self.job, step.number, point, step.pending, self.now)
        self.children[step.number] = child
        self.points[step.number] = point

    def _stop(self, name: str) -> None:
        number = next(number for number, child in self.children.items() if child.key.name == name)
        assert self.children[number].status == "InProgress"
        self.children[number] = replace(self.children[number], status="Stopping")


def begun(config: Json) -> Search:
    """Return a tuning job as it begins."""
    key = Key(Kind.TUNING_JOB, "123456789012", "eu-west-1", "hunt")
    spec = {"HyperParameterTuningJobConfig": config, "TrainingJobDefinition": DEFINITION}
    return Search(Resource(key, resource_arn(key), spec, "InProgress", created_at=1000.0, due_at=1000.0))

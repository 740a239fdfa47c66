"""Metrics of training jobs: which there are, and how they are read from log lines.

Rule: a metric is what the first group of its regular expression captures, as a finite number. Lines are read
as CloudWatch stores them, with a tab written as `#011`; the built-in expressions rely on it (spec:
xgboost-builtin.md section 4).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from sagestead.domain.images import trains_built_in

Definition = Mapping[str, str]
"""One of MetricDefinitions: `Name` and `Regex`."""

Search = Callable[[str, str], str | None]
"""(regular expression, line) -> what its first group captures."""

MAXIMISED = [
    "accuracy",
    "auc",
    "aucpr",
    "balanced_accuracy",
    "f1",
    "f1_binary",
    "f1_macro",
    "map",
    "ndcg",
    "precision",
    "precision_macro",
    "precision_micro",
    "recall",
    "recall_macro",
    "recall_micro",
    "r2",
]
MINIMISED = [
    "aft-nloglik",
    "cox-nloglik",
    "error",
    "gamma-deviance",
    "gamma-nloglik",
    "interval-regression-accuracy",
    "logloss",
    "mae",
    "mape",
    "merror",
    "mlogloss",
    "mphe",
    "mse",
    "poisson-nloglik",
    "rmse",
    "rmsle",
    "tweedie-nloglik",
]

TRAINING_NAMESPACE = "/aws/sagemaker/TrainingJobs"
"""CloudWatch's namespace of what training jobs print."""

ENDPOINT_NAMESPACE = "AWS/SageMaker"
"""CloudWatch's namespace of what endpoints are asked."""

ENDPOINT_UNITS = {
    "Invocations": "None",
    "InvocationModelErrors": "None",
    "Invocation4XXErrors": "None",
    "Invocation5XXErrors": "None",
    "ModelLatency": "Microseconds",
}
"""The metrics of endpoints that are counted, with their units."""

OBJECTIVE_METRIC = "ObjectiveMetric"
"""The name under which a trial of a tuning job repeats its objective."""

OBJECTIVE_HYPERPARAMETER = "_tuning_objective_metric"
"""The hyperparameter that tells an algorithm which metric is optimised."""

LONGEST_LINE = 8192
"""Characters; a longer line is no metric line, and no expression is tried on it."""


_NUMBER = r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"
_ROUND = re.compile(r"\[[0-9]+\]")
_REPORTED = re.compile(rf"#011(train|validation)-([a-z0-9_-]+):{_NUMBER}")


@cache
def _built_in() -> Mapping[str, str]:
    return {
        f"{data}:{metric}": rf".*\[[0-9]+\].*#011{data}-{metric}:{_NUMBER}.*"
        for metric in sorted(MAXIMISED + MINIMISED)
        for data in ("train", "validation")
    }


@cache
def _names() -> Mapping[str, str]:
    return {regex: name for name, regex in _built_in().items()}


def built_in_metric_definitions() -> list[dict[str, str]]:
    """Return MetricDefinitions of the built-in XGBoost, as DescribeTrainingJob shows them."""
    return [{"Name": name, "Regex": regex} for name, regex in _built_in().items()]


def is_built_in(regex: str) -> bool:
    """True for the expressions of the built-in algorithm, which are read all at once."""
    return regex in _names()


def definitions_of(job: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the metrics of a training job's request: its own, or those of its built-in algorithm.

    A tuning job's objective comes once more, as `ObjectiveMetric` (spec: tuning.md section 4).
    """
    algorithm = job["AlgorithmSpecification"]
    found = (
        built_in_metric_definitions()
        if trains_built_in(job)
        else list(algorithm.get("MetricDefinitions", []))
    )
    if "TuningJobArn" not in job:
        return found
    objective = job["HyperParameters"][OBJECTIVE_HYPERPARAMETER]
    return found + with_objective(found, objective)


def dimensions_of(job_name: str) -> tuple[tuple[str, str], ...]:
    """Return what tells a training job's metrics from those of others."""
    return (("TrainingJobName", job_name),)


def with_objective(definitions: Sequence[Definition], objective: str) -> list[dict[str, str]]:
    """Return the definitions of a metric under the name `ObjectiveMetric`."""
    return [
        {"Name": OBJECTIVE_METRIC, "Regex": one["Regex"]} for one in definitions if one["Name"] == objective
    ]


class Expressions:
    """The expressions of one log's metrics. A line costs what it reports, not what it might."""

    def __init__(self, definitions: Sequence[Definition]) -> None:
        self._own: list[tuple[int, str, str]] = []
        self._built_in: dict[str, list[tuple[int, str]]] = {}
        for place, one in enumerate(definitions):
            known = _names().get(one["Regex"])
            if known is None:
                self._own.append((place, one["Name"], one["Regex"]))
            else:
                self._built_in.setdefault(known, []).append((place, one["Name"]))

    def extract(self, line: str, search: Search) -> list[tuple[str, float]]:
        """Return (name, value) for each definition that finds a finite number in the line, in their order.

        Expressions that are not built in are left to `search`.
        """
        if len(line) > LONGEST_LINE:
            return []
        found = [(place, name, search(regex, line)) for place, name, regex in self._own]
        if self._built_in:
            for metric, text in _reported(line).items():
                found += [(place, name, text) for place, name in self._built_in.get(metric, ())]
        return [(name, value) for _, name, text in sorted(found) if (value := _number(text)) is not None]


def _reported(line: str) -> dict[str, str]:
    """Return what the built-in expressions capture, all at once and in linear time.

    Each of them is greedy: it captures the last number after the metric's name that stands behind a round.
    """
    begins = _ROUND.search(line)
    if begins is None:
        return {}
    return {f"{match[1]}:{match[2]}": match[3] for match in _REPORTED.finditer(line, begins.end())}


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None

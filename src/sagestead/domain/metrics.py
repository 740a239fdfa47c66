"""Metrics of training jobs: which there are, and how they are read from log lines.

Rule: a metric is what the first group of its regular expression captures, as a finite number. Lines are read
as CloudWatch stores them, with a tab written as `#011`; the built-in expressions rely on it (spec:
xgboost-builtin.md section 4).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache

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

LONGEST_LINE = 8192
"""Characters; a longer line is no metric line, and no expression is tried on it."""


@cache
def _built_in() -> tuple[tuple[str, str], ...]:
    number = r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"
    return tuple(
        (f"{data}:{metric}", rf".*\[[0-9]+\].*#011{data}-{metric}:{number}.*")
        for metric in sorted(MAXIMISED + MINIMISED)
        for data in ("train", "validation")
    )


def built_in_metric_definitions() -> list[dict[str, str]]:
    """Return MetricDefinitions of the built-in XGBoost, as DescribeTrainingJob shows them."""
    return [{"Name": name, "Regex": regex} for name, regex in _built_in()]


def regex_fault(regex: str) -> str | None:
    """Say what is wrong with a metric's expression, or return None."""
    try:
        groups = re.compile(regex).groups
    except (re.error, OverflowError, RecursionError) as fault:
        return f"is not a regular expression: {fault}"
    return None if groups else "captures nothing: put the number in a group, for example loss=([0-9.]+)"


def extract(definitions: Sequence[Mapping[str, str]], line: str) -> list[tuple[str, float]]:
    """Return (name, value) for each definition that finds a finite number in the line, in their order."""
    if len(line) > LONGEST_LINE:
        return []
    found = []
    for definition in definitions:
        match = _compiled(definition["Regex"]).search(line)
        if match and (value := _number(match[1])) is not None:
            found.append((definition["Name"], value))
    return found


@lru_cache(maxsize=4096)
def _compiled(regex: str) -> re.Pattern[str]:
    # A search that begins with `.*` finds what a match at the start finds; `\A` spares the other starts.
    return re.compile(rf"\A(?:{regex})" if regex.startswith(".*") and "|" not in regex else regex)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None

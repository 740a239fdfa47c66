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


def built_in_metric_definitions() -> list[dict[str, str]]:
    """Return MetricDefinitions of the built-in XGBoost, as DescribeTrainingJob shows them."""
    return [{"Name": name, "Regex": regex} for name, regex in _built_in().items()]


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
    reported = _reported(line)
    found = []
    for definition in definitions:
        name, regex = definition["Name"], definition["Regex"]
        text = reported.get(name) if _built_in().get(name) == regex else _captured(regex, line)
        if (value := _number(text)) is not None:
            found.append((name, value))
    return found


def _reported(line: str) -> dict[str, str]:
    """Return what the built-in expressions capture, all at once and in linear time.

    Each of them is greedy: it captures the last number after the metric's name that stands behind a round.
    """
    begins = _ROUND.search(line)
    if begins is None:
        return {}
    return {f"{match[1]}:{match[2]}": match[3] for match in _REPORTED.finditer(line, begins.end())}


def _captured(regex: str, line: str) -> str | None:
    match = _compiled(regex).search(line)
    return match[1] if match else None


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

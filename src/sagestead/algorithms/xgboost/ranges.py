"""Kinds of hyperparameter value: how the text is parsed, what it may be, and the message when it may not.

Rule: `parse` raises ValueError for text of another type; `check` raises `UserFault` in the container's words.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from sagestead.algorithms.xgboost.faults import UserFault


class Kind(Protocol):
    """A type of hyperparameter."""

    def parse(self, text: str) -> Any:  # noqa: ANN401 - its type is the kind's
        """Return the value that the text stands for; raise ValueError."""
        ...

    def check(self, name: str, value: Any) -> None:  # noqa: ANN401 - the same
        """Raise `UserFault` if the value is outside the range."""
        ...


def _in_interval(value: float, interval: str) -> bool:
    """Say whether a number is in an interval written as `[0, 1]`, `(0, 1]` or `[1, +inf)`."""
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    above = value > low if interval[0] == "(" else value >= low
    below = value < high if interval[-1] == ")" else value <= high
    return above and below


def _refuse(name: str, value: object, allowed: object) -> UserFault:
    return UserFault(f"Hyperparameter {name}: {value} is not in {allowed}")


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number in an interval."""

    interval: str

    def parse(self, text: str) -> int:
        """Read it as Python does."""
        return int(text)

    def check(self, name: str, value: int) -> None:
        """Refuse what is outside."""
        if not _in_interval(value, self.interval):
            raise _refuse(name, value, self.interval)


@dataclass(frozen=True, slots=True)
class Real:
    """A finite number in an interval."""

    interval: str

    def parse(self, text: str) -> float:
        """Read it as Python does."""
        return float(text)

    def check(self, name: str, value: float) -> None:
        """Refuse what is outside; NaN is."""
        if not math.isfinite(value) or not _in_interval(value, self.interval):
            raise _refuse(name, value, self.interval)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words. `special` has words that are refused with a sentence of their own."""

    words: Sequence[str]
    special: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def parse(self, text: str) -> str:
        """Take it as it is."""
        return text

    def check(self, name: str, value: str) -> None:
        """Refuse other words."""
        if value in self.special:
            raise UserFault(self.special[value])
        if value not in self.words:
            raise _refuse(name, value, list(self.words))


@dataclass(frozen=True, slots=True)
class Listed:
    """Words with commas between them, each one of some."""

    words: Sequence[str]

    def parse(self, text: str) -> list[str]:
        """Split at commas."""
        return [word.strip() for word in text.split(",")]

    def check(self, name: str, value: list[str]) -> None:
        """Refuse other words."""
        for word in value:
            if word not in self.words:
                raise UserFault(f"Hyperparameter {name}: value {word} not in range {list(self.words)}")


@dataclass(frozen=True, slots=True)
class Metrics(Listed):
    """Metrics with commas between them; some may carry a threshold: `error@0.7`, `ndcg@10`."""

    def check(self, name: str, value: list[str]) -> None:
        """Refuse unknown metrics and thresholds that are no numbers."""
        for word in value:
            metric, at, threshold = word.partition("@")
            if not at:
                Listed.check(self, name, [word])
            elif metric not in ("error", "ndcg", "map"):
                raise UserFault(
                    f"Metric '{word}' is not supported. Parameter 'eval_metric' with customized threshold "
                    "should be one of these options: 'error', 'ndcg', 'map'."
                )
            elif not _is_number(threshold.removesuffix("-")):
                raise UserFault(f"Threshold value 't' in '{metric}@t' expects float input.")


@dataclass(frozen=True, slots=True)
class Signs:
    """A tuple of -1, 0 and 1, written `(1,0,-1)`."""

    def parse(self, text: str) -> list[int]:
        """Read the whole numbers between the parentheses."""
        inner = re.fullmatch(r"\s*\((.*)\)\s*", text)
        if inner is None:
            raise ValueError(text)
        return [int(member) for member in inner[1].rstrip().removesuffix(",").split(",")]

    def check(self, name: str, value: list[int]) -> None:
        """Refuse other numbers."""
        for member in value:
            if member not in (-1, 0, 1):
                raise UserFault(f"Hyperparameter {name}: value {member} not in range [-1, 0, 1]")


@dataclass(frozen=True, slots=True)
class Nested:
    """Lists of column numbers in a list, written `[[1,2],[3,4]]`; numbers from 1 on."""

    def parse(self, text: str) -> list[list[int]]:
        """Read it as JSON."""
        try:
            groups = json.loads(text)
        except RecursionError:
            raise ValueError(text) from None
        if not isinstance(groups, list) or not all(isinstance(group, list) for group in groups):
            raise ValueError(text)
        if not all(type(member) is int for group in groups for member in group):
            raise ValueError(text)
        return groups

    def check(self, name: str, value: list[list[int]]) -> None:
        """Refuse numbers below 1."""
        for member in (member for group in value for member in group):
            if member < 1:
                raise UserFault(f"Hyperparameter {name}: value {member} not in range [1, +inf)")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

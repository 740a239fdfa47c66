"""Metric data as CloudWatch keeps it: series, points, and what a period of points comes to.

Rule: a point is a whole statistic set, so that many measurements may be kept as one point and nothing that is
asked of them (but percentiles) is lost.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

NO_UNIT = "None"
"""The unit of what has none."""


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one thing. `dimensions`: (name, value), by name."""

    account: str
    region: str
    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Statistic:
    """What measurements come to: how many, their sum, the least and the greatest."""

    samples: float
    total: float
    least: float
    most: float

    @classmethod
    def of(cls, value: float) -> Statistic:
        """Return the statistic of one measurement."""
        return cls(1.0, value, value, value)

    def __add__(self, other: Statistic) -> Statistic:
        return Statistic(
            self.samples + other.samples,
            self.total + other.total,
            min(self.least, other.least),
            max(self.most, other.most),
        )


@dataclass(frozen=True, slots=True)
class Point:
    """Measurements of one moment (milliseconds since the epoch); `sequence` is its writer's number for it."""

    sequence: int
    timestamp: int
    statistic: Statistic


def by_period(points: Iterable[Point], start: int, period: int) -> dict[int, list[Statistic]]:
    """Return the statistics in each period that has any, by the period's start; all in milliseconds."""
    found: dict[int, list[Statistic]] = {}
    for point in points:
        begins = start + (point.timestamp - start) // period * period
        found.setdefault(begins, []).append(point.statistic)
    return dict(sorted(found.items()))


def percentile(statistics: Sequence[Statistic], percent: float) -> float | None:
    """Return a percentile by linear interpolation; None when the measurements are not known one by one.

    They are where a point is of up to three of them, or of equal ones. The least and the greatest (0 and 100)
    are always known. `statistics` holds at least one.
    """
    if percent in (0, 100):
        return min(one.least for one in statistics) if percent == 0 else max(one.most for one in statistics)
    values: list[float] = []
    for one in statistics:
        known = _measurements(one)
        if known is None:
            return None
        values += known
    values.sort()
    place = (len(values) - 1) * percent / 100
    below, above = values[math.floor(place)], values[math.ceil(place)]
    return below + (above - below) * (place - math.floor(place))


def _measurements(one: Statistic) -> list[float] | None:
    """Return what a statistic was made of; None when that cannot be told."""
    if one.least == one.most:
        return [one.least] * max(1, round(one.samples))
    if one.samples == 2:  # noqa: PLR2004 - the least and the greatest
        return [one.least, one.most]
    if one.samples == 3:  # noqa: PLR2004 - what the sum has beside these
        return [one.least, min(max(one.total - one.least - one.most, one.least), one.most), one.most]
    return None

"""Keeps the metrics that a training job prints, while its log is carried.

Rule: a line is read once, where it is carried, and before it is in its stream. A point has its line's number,
so that a line that is carried again after a crash makes no second point.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import partial

from sagestead.control.metric_reading import MetricReader
from sagestead.domain.logs import LogStream
from sagestead.domain.measurements import Point, Series, Statistic
from sagestead.domain.metrics import OBJECTIVE_METRIC, TRAINING_NAMESPACE, definitions_of, dimensions_of
from sagestead.domain.resources import Json, Resource
from sagestead.ports import Metrics

MOST_METRICS = 40
KEPT_SECONDS = 63 * 86400
"""How long the metrics of a job are kept after its last one."""


class Meter:
    """Reads the lines of one stream of a training job, in order."""

    def __init__(self, job: Resource, stream: LogStream, metrics: Metrics) -> None:
        self._reader = MetricReader(definitions_of(job.spec))
        self._writer = stream.stream
        self._metrics = metrics
        key = job.key
        self._series = partial(
            Series, key.account, key.region, TRAINING_NAMESPACE, dimensions=dimensions_of(key.name)
        )

    def read(self, first: int, lines: Sequence[str], now: float) -> None:
        """Keep what is measured in lines (tabs written as `#011`), numbered from `first`, that came now."""
        found: dict[str, list[Point]] = {}
        for sequence, line in enumerate(lines, first):
            for name, value in self._reader.read(line):
                found.setdefault(name, []).append(Point(sequence, round(now * 1000), Statistic.of(value)))
        if found:
            self._metrics.put(self._writer, {self._series(name): points for name, points in found.items()})


def final_metrics(job: Resource, metrics: Metrics) -> list[Json]:
    """Return FinalMetricDataList of a job: the last value of each metric, as a 32-bit float widened.

    Metrics come in the order of their definitions; of many the objective of a tuning job is kept. What an
    earlier job of the same name measured does not count.
    """
    key = job.key
    newest = metrics.newest(key.account, key.region, TRAINING_NAMESPACE, dimensions_of(key.name))
    names = dict.fromkeys(definition["Name"] for definition in definitions_of(job.spec))
    found = [
        {
            "MetricName": name,
            "Value": _narrow(point.statistic.most),
            "Timestamp": float(point.timestamp // 1000),
        }
        for name in names
        if (point := newest.get(name)) is not None and point.timestamp >= int(job.created_at * 1000)
    ]
    kept = sorted(found, key=lambda one: one["MetricName"] != OBJECTIVE_METRIC)[:MOST_METRICS]
    return sorted(kept, key=lambda one: one["MetricName"] == OBJECTIVE_METRIC)


def _narrow(value: float) -> float:
    """Return the nearest 32-bit float; one that is too large as it is."""
    try:
        (narrow,) = struct.unpack("<f", struct.pack("<f", value))
    except OverflowError:
        return value
    return float(narrow)

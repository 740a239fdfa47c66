"""Metric data in SQL."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.sql.dml import ReturningInsert

from sagestead.domain.measurements import Point, Series, Statistic
from sagestead.store.database import Database
from sagestead.store.tables import metric_points, metric_series

KEPT_POINTS = 100_000
"""How far back from its newest point a writer's points of a series are kept, in sequence numbers."""

_LARGEST = 2**63 - 1
_POINT = metric_points.c


def _grow() -> ReturningInsert[Any]:
    new = insert(metric_series)
    latest = sa.func.max(metric_series.c.last_point, new.excluded.last_point)
    place = ["account", "region", "namespace", "dimensions", "name"]
    grown = new.on_conflict_do_update(index_elements=place, set_={"last_point": latest})
    return grown.returning(metric_series.c.id)


# Executed with every few lines of every job: statements are made once.
_GROW = _grow()
_ADD = (
    "INSERT INTO metric_points (series_id, writer, sequence, timestamp, samples, total, least, most) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (series_id, writer, sequence) DO UPDATE SET "
    "samples = excluded.samples, total = excluded.total, least = excluded.least, most = excluded.most"
)
_FORGET = sa.delete(metric_points).where(
    _POINT.series_id == sa.bindparam("of"),
    _POINT.writer == sa.bindparam("by"),
    _POINT.sequence < sa.bindparam("old"),
)


class SqlMetrics:
    """`Metrics` on a `Database`. The last points before a power loss may be lost, the last ones first."""

    def __init__(self, database: Database, kept: int = KEPT_POINTS) -> None:
        self._database = database
        self._kept = kept

    def put(self, writer: str, points: Mapping[Series, Sequence[Point]]) -> None:
        """Keep points of several series, all of them or none; the points of a series ascend."""
        with self._database.write(durable=False, announce=False) as connection:
            for series, some in points.items():
                if some:
                    self._put(connection, writer, series, some)

    def series(
        self, account: str, region: str, namespace: str | None, name: str | None, since: int
    ) -> list[Series]:
        """Return the series with a point since then, by namespace, dimensions and name."""
        column = metric_series.c
        query = sa.select(metric_series).where(
            column.account == account, column.region == region, column.last_point >= _bounded(since)
        )
        if namespace is not None:
            query = query.where(column.namespace == namespace)
        if name is not None:
            query = query.where(column.name == name)
        query = query.order_by(column.namespace, column.dimensions, column.name)
        with self._database.read() as connection:
            return [_series(row) for row in connection.execute(query)]

    def points(self, series: Series, start: int, end: int) -> list[Point]:
        """Return the points with start <= timestamp < end, in the order of time."""
        query = (
            _of(series)
            .where(_POINT.timestamp >= _bounded(start), _POINT.timestamp < _bounded(end))
            .order_by(_POINT.timestamp, _POINT.writer, _POINT.sequence)
        )
        with self._database.read() as connection:
            return [_point(row) for row in connection.execute(query)]

    def newest(
        self, account: str, region: str, namespace: str, dimensions: Sequence[tuple[str, str]]
    ) -> dict[str, Point]:
        """Return the newest point of each metric of one thing, by the metric's name."""
        column = metric_series.c
        of_thing = sa.select(column.id, column.name).where(
            column.account == account,
            column.region == region,
            column.namespace == namespace,
            column.dimensions == json.dumps(dimensions),
        )
        order = (_POINT.timestamp.desc(), _POINT.writer.desc(), _POINT.sequence.desc())
        query = sa.select(metric_points).order_by(*order).limit(1)
        with self._database.read() as connection:
            return {
                row.name: _point(connection.execute(query.where(_POINT.series_id == row.id)).one())
                for row in connection.execute(of_thing).all()
            }

    def expire(self, before: int) -> None:
        """Forget the series whose newest point is older."""
        old = sa.select(metric_series.c.id).where(metric_series.c.last_point < _bounded(before))
        with self._database.write(durable=False, announce=False) as connection:
            connection.execute(sa.delete(metric_points).where(_POINT.series_id.in_(old)))
            connection.execute(sa.delete(metric_series).where(metric_series.c.id.in_(old)))

    def _put(self, connection: sa.Connection, writer: str, series: Series, points: Sequence[Point]) -> None:
        newest = max(point.timestamp for point in points)
        series_id = connection.execute(_GROW, {**_place(series), "last_point": newest}).scalar_one()
        connection.exec_driver_sql(_ADD, [(series_id, writer, *_columns(point)) for point in points])
        if (old := points[-1].sequence - self._kept) > 0:
            connection.execute(_FORGET, {"of": series_id, "by": writer, "old": old})


def _place(series: Series) -> dict[str, str]:
    return {
        "account": series.account,
        "region": series.region,
        "namespace": series.namespace,
        "name": series.name,
        "dimensions": json.dumps(series.dimensions),
    }


def _of(series: Series) -> sa.Select[Any]:
    return (
        sa.select(metric_points)
        .join(metric_series, metric_series.c.id == _POINT.series_id)
        .where(*(metric_series.c[column] == value for column, value in _place(series).items()))
    )


def _columns(point: Point) -> tuple[int, int, float, float, float, float]:
    found = point.statistic
    return point.sequence, point.timestamp, found.samples, found.total, found.least, found.most


def _series(row: sa.Row[Any]) -> Series:
    dimensions = tuple((name, value) for name, value in json.loads(row.dimensions))
    return Series(row.account, row.region, row.namespace, row.name, dimensions)


def _point(row: sa.Row[Any]) -> Point:
    statistic = Statistic(row.samples, row.total, row.least, row.most)
    return Point(row.sequence, row.timestamp, statistic)


def _bounded(value: int) -> int:
    """Return the nearest integer that SQL can hold."""
    return max(-_LARGEST, min(value, _LARGEST))

"""The law of `Metrics`, held against every adapter."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sagestead.domain.measurements import Point, Series, Statistic
from sagestead.ports import Metrics
from sagestead.store.database import Database, open_database
from sagestead.store.metrics import SqlMetrics

NAMESPACE = "/aws/sagemaker/TrainingJobs"
AUC = Series("123456789012", "us-east-1", NAMESPACE, "validation:auc", (("TrainingJobName", "job"),))
OTHER = replace(AUC, dimensions=(("TrainingJobName", "other é"),))


def point(sequence: int, timestamp: int, value: float) -> Point:
    return Point(sequence, timestamp, Statistic.of(value))


def newest(metrics: Metrics, series: Series) -> dict[str, Point]:
    return metrics.newest(series.account, series.region, series.namespace, series.dimensions)


class TestSqlMetrics:
    @pytest.fixture
    def database(self, folder: Path) -> Iterator[Database]:
        database = open_database(folder)
        yield database
        database.close()

    @pytest.fixture
    def metrics(self, database: Database) -> Metrics:
        return SqlMetrics(database)

    def test_points_come_back_in_the_order_of_time(self, metrics: Metrics) -> None:
        metrics.put("algo-2", {AUC: [point(7, 1500, 0.7)]})
        metrics.put("algo-1", {AUC: [point(3, 1000, 0.5), point(9, 2000, -1e300)], OTHER: [point(4, 1, 9.0)]})
        assert [one.statistic.most for one in metrics.points(AUC, 0, 10_000)] == [0.5, 0.7, -1e300]
        assert metrics.points(AUC, 1000, 1500) == [point(3, 1000, 0.5)]
        assert newest(metrics, AUC) == {AUC.name: point(9, 2000, -1e300)}
        assert newest(metrics, replace(AUC, dimensions=())) == {}
        assert metrics.points(replace(AUC, account="9" * 12), 0, 10_000) == []
        assert len(metrics.points(AUC, -(10**30), 10**30)) == 3

    def test_a_point_put_again_keeps_its_moment(self, metrics: Metrics) -> None:
        metrics.put("w", {AUC: [point(1, 1000, 0.5)]})
        metrics.put("w", {AUC: [point(1, 3000, 0.75)]})
        assert metrics.points(AUC, 0, 10_000) == [point(1, 1000, 0.75)]

    def test_of_points_of_the_same_moment_the_last_one_is_the_last(self, metrics: Metrics) -> None:
        metrics.put("w", {AUC: [point(1, 5, 0.1), point(2, 5, 0.2)]})
        assert newest(metrics, AUC)[AUC.name] == point(2, 5, 0.2)

    def test_series_are_found_by_namespace_name_and_age(self, metrics: Metrics) -> None:
        loss = replace(AUC, name="loss")
        metrics.put("w", {AUC: [point(1, 1000, 0.5)], OTHER: [point(1, 9000, 0.5)], loss: [point(1, 5, 0.5)]})
        metrics.put("w", {AUC: []})
        account, region = AUC.account, AUC.region
        assert metrics.series(account, region, None, None, 0) == [loss, AUC, OTHER]
        assert metrics.series(account, region, NAMESPACE, "validation:auc", 1001) == [OTHER]
        assert metrics.series(account, region, "AWS/SageMaker", None, 0) == []
        assert metrics.series(account, "eu-west-1", None, None, 0) == []

    def test_what_is_old_is_forgotten_and_what_goes_on_is_kept(self, metrics: Metrics) -> None:
        metrics.put("w", {AUC: [point(1, 1000, 0.5), point(2, 5000, 0.6)], OTHER: [point(1, 4999, 0.5)]})
        metrics.expire(5000)
        assert metrics.series(AUC.account, AUC.region, None, None, 0) == [AUC]
        assert len(metrics.points(AUC, 0, 10_000)) == 2
        assert metrics.points(OTHER, 0, 10_000) == []

    def test_a_long_series_keeps_its_newest_points(self, database: Database) -> None:
        metrics = SqlMetrics(database, kept=2)
        for number in range(6):
            metrics.put("w", {AUC: [point(number, number, 1.0)]})
        metrics.put("v", {AUC: [point(0, 0, 1.0)]})
        assert [one.sequence for one in metrics.points(AUC, 0, 10)] == [0, 3, 4, 5]

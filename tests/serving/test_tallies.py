"""What a front door counts of its invocations, and when it is written down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sagestead.domain.measurements import Point, Series, Statistic
from sagestead.domain.routes import Route, Variant
from sagestead.serving.tallies import Bookkeeper, Tallies
from sagestead.store.database import Database, open_database
from sagestead.store.metrics import SqlMetrics

ACCOUNT, REGION = "123456789012", "us-east-1"
NOON = 1_700_000_000 // 60 * 60


def route() -> Route:
    return Route(ACCOUNT, REGION, "pets", (Variant("AllTraffic", 1.0, ("one",)),))


def series(name: str) -> Series:
    dimensions = (("EndpointName", "pets"), ("VariantName", "AllTraffic"))
    return Series(ACCOUNT, REGION, "AWS/SageMaker", name, dimensions)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path)
    yield opened
    opened.close()


def test_answers_are_counted_by_their_kind() -> None:
    tallies, pets = Tallies(), route()
    for seconds, status in ((0.001, 200), (0.003, 404), (0.002, 500), (0.006, 0)):
        tallies.note(pets, pets.variants[0], seconds, status)
    taken = {one.name: points[0].statistic for one, points in tallies.take(NOON).items()}
    latency = taken.pop("ModelLatency")
    assert (latency.samples, latency.least, latency.most) == (4, 1000.0, 6000.0)
    assert latency.total == pytest.approx(12000)
    assert taken == {
        "Invocations": Statistic(4, 4, 1, 1),
        "InvocationModelErrors": Statistic(4, 3, 0, 1),
        "Invocation4XXErrors": Statistic(4, 1, 0, 1),
        "Invocation5XXErrors": Statistic(4, 1, 0, 1),
    }


def test_a_minute_is_one_point_that_grows_and_only_news_are_taken() -> None:
    tallies, pets = Tallies(), route()
    assert not tallies.take(NOON)
    tallies.note(pets, pets.variants[0], 0.001, 200)
    assert tallies.take(NOON + 1)[series("Invocations")] == [
        Point(NOON // 60, NOON * 1000, Statistic(1, 1, 1, 1))
    ]
    assert not tallies.take(NOON + 2)
    changed = route()  # the endpoint was updated: another variant of the same name
    tallies.note(changed, changed.variants[0], 0.001, 200)
    assert tallies.take(NOON + 61)[series("Invocations")] == [
        Point(NOON // 60, NOON * 1000, Statistic(2, 2, 1, 1))
    ]
    tallies.note(pets, pets.variants[0], 0.001, 200)
    assert tallies.take(NOON + 62)[series("Invocations")] == [
        Point(NOON // 60 + 1, (NOON + 60) * 1000, Statistic(1, 1, 1, 1))
    ]


def test_what_the_store_refuses_is_written_later(database: Database, tmp_path: Path) -> None:
    closed = open_database(tmp_path / "other")
    with closed.write() as connection:
        connection.exec_driver_sql("DROP TABLE metric_series")
    metrics, tallies, pets = SqlMetrics(database), Tallies(), route()
    books = Bookkeeper(tallies, SqlMetrics(closed), "front-0", lambda: NOON)
    assert not books.collect()
    tallies.note(pets, pets.variants[0], 0.001, 200)
    assert books.collect()
    books.write()
    books._metrics = metrics
    assert books.collect()
    books.write()
    assert not books.collect()
    found = metrics.points(series("Invocations"), 0, 2**60)
    assert [point.statistic for point in found] == [Statistic(1, 1, 1, 1)]
    closed.close()

"""Lines become measurements once, and the last of them is what a job has come to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sagestead.control.meter import Meter, final_metrics
from sagestead.domain.resources import Key, Kind, Resource
from sagestead.planning.streams import training_stream
from sagestead.store.database import open_database
from sagestead.store.metrics import SqlMetrics

DEFINITIONS = [{"Name": "loss", "Regex": "loss=([0-9.e+-]+)"}, {"Name": "f1", "Regex": "f1=([0-9.]+)"}]
JOB = Resource(
    Key(Kind.TRAINING_JOB, "123456789012", "us-east-1", "job"),
    "arn",
    {"AlgorithmSpecification": {"TrainingImage": "mine", "MetricDefinitions": DEFINITIONS}},
    created_at=1000.0,
)


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[SqlMetrics]:
    database = open_database(tmp_path)
    yield SqlMetrics(database)
    database.close()


def values(metrics: SqlMetrics, name: str) -> list[float]:
    (series,) = metrics.series("123456789012", "us-east-1", None, name, 0)
    return [point.statistic.most for point in metrics.points(series, 0, 2**60)]


def test_lines_that_are_carried_again_are_measured_once(metrics: SqlMetrics) -> None:
    stream = training_stream(JOB)
    Meter(JOB, stream, metrics).read(0, ["loss=3", "nothing", "loss=2 f1=0.5"], 1001.0)
    again = Meter(JOB, stream, metrics)
    again.read(2, ["loss=2 f1=0.5"], 1005.0)
    again.read(3, ["loss=1"], 1006.9)
    assert values(metrics, "loss") == [3.0, 2.0, 1.0]
    assert final_metrics(JOB, metrics) == [
        {"MetricName": "loss", "Value": 1.0, "Timestamp": 1006.0},
        {"MetricName": "f1", "Value": 0.5, "Timestamp": 1001.0},
    ]


def test_final_values_are_32_bit_floats_and_a_larger_one_stays(metrics: SqlMetrics) -> None:
    Meter(JOB, training_stream(JOB), metrics).read(0, ["loss=1e300", "f1=0.03457"], 1001.0)
    assert [one["Value"] for one in final_metrics(JOB, metrics)] == [1e300, 0.03457000106573105]


def test_what_an_earlier_job_of_the_same_name_measured_does_not_count(metrics: SqlMetrics) -> None:
    Meter(JOB, training_stream(JOB), metrics).read(0, ["loss=3 f1=0.5"], 1001.0)
    later = replace(JOB, created_at=2000.0)
    assert final_metrics(later, metrics) == []
    Meter(later, training_stream(later), metrics).read(0, ["loss=4"], 2001.0)
    assert [(one["MetricName"], one["Value"]) for one in final_metrics(later, metrics)] == [("loss", 4.0)]
    assert values(metrics, "loss") == [3.0, 4.0]

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.control.calls import ACCOUNT, Client, principal

from sagestead.control.operations.cloudwatch import OPERATIONS
from sagestead.domain.measurements import Point, Series, Statistic
from sagestead.store.database import Database, open_database
from sagestead.store.metrics import SqlMetrics

NAMESPACE = "/aws/sagemaker/TrainingJobs"
NOON = 1_700_000_000 // 3600 * 3600
"""A whole hour before the client's now."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(params=["json", "query"])
def cloudwatch(database: Database, request: pytest.FixtureRequest) -> Client:
    return Client("cloudwatch", OPERATIONS, database, request.param)


def write(database: Database, job: str, metric: str, *values: tuple[float, float]) -> None:
    """Write (seconds after noon, value)."""
    series = Series(ACCOUNT, "us-east-1", NAMESPACE, metric, (("TrainingJobName", job),))
    points = [
        Point(number, round((NOON + at) * 1000), Statistic.of(value))
        for number, (at, value) in enumerate(values)
    ]
    SqlMetrics(database).put("algo-1", {series: points})


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(NOON + seconds, UTC)


def of(job: str, metric: str = "loss") -> dict[str, Any]:
    dimensions = [{"Name": "TrainingJobName", "Value": job}]
    return {"Namespace": NAMESPACE, "MetricName": metric, "Dimensions": dimensions}


def query(number: str, job: str, stat: str = "Average", period: int = 1) -> dict[str, Any]:
    return {"Id": number, "MetricStat": {"Metric": of(job), "Period": period, "Stat": stat}}


def test_statistics_of_each_period_from_the_minute_of_the_start(
    cloudwatch: Client, database: Database
) -> None:
    write(database, "job", "loss", (10.5, 4.0), (59.999, 2.0), (60.0, 1.0), (181.0, -1.0))
    answer = cloudwatch(
        "GetMetricStatistics",
        **of("job"),
        StartTime=at(10.2),
        EndTime=at(181),
        Period=60,
        Statistics=["SampleCount", "Sum", "Average", "Minimum", "Maximum"],
        ExtendedStatistics=["p50"],
    )
    assert answer["Label"] == "loss"
    assert answer["Datapoints"] == [
        {
            "Timestamp": at(0),
            "SampleCount": 2.0,
            "Sum": 6.0,
            "Average": 3.0,
            "Minimum": 2.0,
            "Maximum": 4.0,
            "Unit": "None",
            "ExtendedStatistics": {"p50": 3.0},
        },
        {
            "Timestamp": at(60),
            "SampleCount": 1.0,
            "Sum": 1.0,
            "Average": 1.0,
            "Minimum": 1.0,
            "Maximum": 1.0,
            "Unit": "None",
            "ExtendedStatistics": {"p50": 1.0},
        },
    ]


def test_every_value_is_there_second_by_second(cloudwatch: Client, database: Database) -> None:
    write(database, "job", "loss", *((second + 0.25, 1.0 / (second + 1)) for second in range(100)))
    asked = {**of("job"), "StartTime": at(0.9), "EndTime": at(100), "Period": 1, "Statistics": ["Average"]}
    points = cloudwatch("GetMetricStatistics", **asked)["Datapoints"]
    assert [(one["Timestamp"], one["Average"]) for one in points] == [
        (at(second), 1.0 / (second + 1)) for second in range(100)
    ]


def test_what_was_not_measured_has_no_data(cloudwatch: Client, database: Database) -> None:
    write(database, "job", "loss", (1, 1.0))
    span = {"StartTime": at(0), "EndTime": at(60), "Period": 60, "Statistics": ["Sum"]}
    for asked in (
        of("other"),
        of("job", "auc"),
        {**of("job"), "Dimensions": []},
        {**of("job"), "Unit": "Count"},
    ):
        assert cloudwatch("GetMetricStatistics", **asked, **span)["Datapoints"] == []
    cloudwatch.who = principal("999999999999")
    assert cloudwatch("GetMetricStatistics", **of("job"), **span)["Datapoints"] == []


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"Statistics": None}, "InvalidParameterCombination", "At least one of the parameters"),
    ({"Period": 1}, "InvalidParameterCombination", "3,600 datapoints, which exceeds the limit of 1,440"),
    ({"Period": 7}, "InvalidParameterValue", "Period 7 must be"),
    ({"Period": 90}, "InvalidParameterValue", "multiple of 60"),
    ({"EndTime": at(0)}, "InvalidParameterValue", "StartTime must be less than"),
    ({"ExtendedStatistics": ["tm90"]}, "InvalidParameterValue", "'tm90' in ExtendedStatistics"),
]


def test_wrong_questions_are_refused(cloudwatch: Client) -> None:
    right = {**of("job"), "StartTime": at(0), "EndTime": at(3600), "Period": 60, "Statistics": ["Sum"]}
    for change, code, sentence in WRONG:
        asked = {name: value for name, value in {**right, **change}.items() if value is not None}
        refusal = cloudwatch.refuses("GetMetricStatistics", **asked)
        assert (refusal.code, refusal.status) == (code, 400)
        assert sentence in refusal.sentence
    del right["MetricName"]
    assert "'metricName'" in cloudwatch.refuses("GetMetricStatistics", **right).sentence


def test_data_of_several_metrics_in_pages(cloudwatch: Client, database: Database) -> None:
    write(database, "a", "loss", *((second, float(second)) for second in range(5)))
    write(database, "b", "loss", (2, 7.0), (2.5, 9.0))
    asked: dict[str, Any] = {
        "MetricDataQueries": [
            query("m1", "a"),
            {**query("hidden", "a"), "ReturnData": False},
            {**query("m2", "b", "Maximum", 60), "Label": "of b"},
            query("m3", "none", "p99"),
        ],
        "StartTime": at(0),
        "EndTime": at(10),
        "ScanBy": "TimestampAscending",
    }
    whole = cloudwatch("GetMetricData", **asked)
    assert "NextToken" not in whole
    first, second, third = whole["MetricDataResults"]
    assert first == {
        "Id": "m1",
        "Label": "loss",
        "Timestamps": [at(second) for second in range(5)],
        "Values": [0.0, 1.0, 2.0, 3.0, 4.0],
        "StatusCode": "Complete",
    }
    assert (second["Label"], second["Timestamps"], second["Values"]) == ("of b", [at(0)], [9.0])
    assert (third["Id"], third["Values"]) == ("m3", [])
    for order in ("TimestampAscending", "TimestampDescending"):
        pages: list[tuple[str, float]] = []
        token: dict[str, str] = {}
        while True:
            page = cloudwatch("GetMetricData", **{**asked, "ScanBy": order}, MaxDatapoints=2, **token)
            pages += [(one["Id"], value) for one in page["MetricDataResults"] for value in one["Values"]]
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}
        values = [0.0, 1.0, 2.0, 3.0, 4.0][:: 1 if order == "TimestampAscending" else -1]
        assert pages == [*(("m1", value) for value in values), ("m2", 9.0)]


NOT_CARRIED_OUT: list[tuple[dict[str, Any], str]] = [
    ({"Expression": "m1 / 2", "MetricStat": None}, "Expression of MetricDataQueries 'm1' is not carried out"),
    ({"MetricStat": None}, "has no MetricStat"),
    ({"AccountId": "999999999999"}, "names the account 999999999999"),
    ({"Id": "M1"}, "lower-case letter"),
    ({"Label": "${MAX}"}, "Dynamic text"),
    ({"Period": 60}, "belongs to an Expression"),
    ({"MetricStat": {"Metric": {"Namespace": "x"}, "Period": 60, "Stat": "Sum"}}, "needs a Namespace and"),
    ({"MetricStat": {"Metric": of("job"), "Period": 60, "Stat": "IQM"}}, "'IQM' in Stat"),
]


def test_queries_that_are_not_carried_out_are_refused(cloudwatch: Client) -> None:
    span = {"StartTime": at(0), "EndTime": at(60)}
    for change, sentence in NOT_CARRIED_OUT:
        asked = {name: value for name, value in {**query("m1", "job"), **change}.items() if value is not None}
        assert sentence in cloudwatch.refuses("GetMetricData", MetricDataQueries=[asked], **span).sentence
    twice = [query("m1", "a"), query("m1", "b")]
    assert "not unique" in cloudwatch.refuses("GetMetricData", MetricDataQueries=twice, **span).sentence


def test_metrics_are_listed(cloudwatch: Client, database: Database) -> None:
    write(database, "b", "loss", (0, 1.0))
    write(database, "a", "loss", (0, 1.0))
    write(database, "a", "auc", (0, 1.0))
    write(database, "a", "old", (-15 * 86400, 1.0))
    write(database, "a", "yesterday", (-86400, 1.0))

    def listed(**asked: Any) -> list[tuple[str, str]]:
        metrics = cloudwatch("ListMetrics", **asked)["Metrics"]
        return [(one["Dimensions"][0]["Value"], one["MetricName"]) for one in metrics]

    assert listed() == [("a", "auc"), ("a", "loss"), ("a", "yesterday"), ("b", "loss")]
    assert listed(RecentlyActive="PT3H", MetricName="loss") == [("a", "loss"), ("b", "loss")]
    assert listed(Dimensions=[{"Name": "TrainingJobName", "Value": "b"}]) == [("b", "loss")]
    assert listed(Namespace="AWS/Lambda") == []
    assert cloudwatch.refuses("ListMetrics", NextToken="x").code == "InvalidNextToken"
    assert "no account is linked" in cloudwatch.refuses("ListMetrics", IncludeLinkedAccounts=True).sentence


def test_long_lists_come_in_pages(cloudwatch: Client, database: Database) -> None:
    for number in range(501):
        write(database, f"job-{number:03}", "loss", (0, 1.0))
    first = cloudwatch("ListMetrics")
    second = cloudwatch("ListMetrics", NextToken=first["NextToken"])
    assert len(first["Metrics"]) == 500
    assert [one["Dimensions"][0]["Value"] for one in second["Metrics"]] == ["job-500"]
    assert "NextToken" not in second

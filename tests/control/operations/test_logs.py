from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.control.calls import ACCOUNT, Client, principal

from sagestead.control.operations.logs import OPERATIONS
from sagestead.domain.logs import LogStream
from sagestead.store.database import Database, open_database
from sagestead.store.logs import SqlLogs

JOBS = "/aws/sagemaker/TrainingJobs"
ARN = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def logs(database: Database) -> Client:
    return Client("logs", OPERATIONS, database)


def write(database: Database, stream: str, *messages: str, at: float = 100.0, group: str = JOBS) -> None:
    SqlLogs(database).append(LogStream(ACCOUNT, "us-east-1", group, stream), messages, at)


def messages(answer: Any) -> list[str]:
    return [event["message"] for event in answer["events"]]


def test_groups_are_listed_by_name(logs: Client, database: Database) -> None:
    for group in (JOBS, "/aws/sagemaker/Endpoints/a", "/aws/sagemaker/Endpoints/b"):
        write(database, "s", "x", group=group)
    prefix = "/aws/sagemaker/E"
    first = logs("DescribeLogGroups", logGroupNamePrefix=prefix, limit=1)
    (group,) = first["logGroups"]
    assert group == {
        "logGroupName": "/aws/sagemaker/Endpoints/a",
        "creationTime": 100_000,
        "metricFilterCount": 0,
        "arn": f"{ARN}:/aws/sagemaker/Endpoints/a:*",
        "logGroupArn": f"{ARN}:/aws/sagemaker/Endpoints/a",
        "storedBytes": 0,
        "logGroupClass": "STANDARD",
    }
    rest = logs("DescribeLogGroups", logGroupNamePrefix=prefix, nextToken=first["nextToken"])
    assert [one["logGroupName"] for one in rest["logGroups"]] == ["/aws/sagemaker/Endpoints/b"]
    assert "nextToken" not in rest
    assert len(logs("DescribeLogGroups", logGroupNamePattern="ngJo")["logGroups"]) == 1
    assert logs("DescribeLogGroups", logGroupClass="DELIVERY")["logGroups"] == []
    assert "includeLinkedAccounts of DescribeLogGroups is not carried out" in logs.refuses(
        "DescribeLogGroups", includeLinkedAccounts=True
    ).sentence  # fmt: skip


def test_a_group_that_is_not_there_is_not_found(logs: Client, database: Database) -> None:
    write(database, "s", "x")
    for refusal in (
        logs.refuses("DescribeLogStreams", logGroupName="none"),
        logs.refuses("GetLogEvents", logGroupName="none", logStreamName="s"),
        logs.refuses("FilterLogEvents", logGroupName="none"),
    ):
        assert (refusal.code, refusal.status) == ("ResourceNotFoundException", 400)
        assert refusal.sentence == "The specified log group does not exist."
    for refusal in (
        logs.refuses("GetLogEvents", logGroupName=JOBS, logStreamName="none"),
        logs.refuses("FilterLogEvents", logGroupName=JOBS, logStreamNames=["none"]),
    ):
        assert refusal.code == "ResourceNotFoundException"
        assert refusal.sentence == "The specified log stream does not exist."
    logs.who = principal(region="eu-west-1")
    assert logs.refuses("DescribeLogStreams", logGroupName=JOBS).code == "ResourceNotFoundException"


def test_a_group_without_matching_streams_has_none(logs: Client, database: Database) -> None:
    write(database, "job/algo-1-1", "x")
    answer = logs("DescribeLogStreams", logGroupName=JOBS, logStreamNamePrefix="other/")
    assert answer == {"logStreams": []}


def test_streams_are_listed_by_name_or_by_last_event(logs: Client, database: Database) -> None:
    for name, at in (("b", 1.0), ("a", 3.0), ("c", 2.0)):
        write(database, name, "x", at=at)

    def names(**members: Any) -> list[str]:
        found: list[str] = []
        token: dict[str, str] = {}
        while True:
            answer = logs("DescribeLogStreams", logGroupName=JOBS, limit=2, **members, **token)
            found += [one["logStreamName"] for one in answer["logStreams"]]
            if "nextToken" not in answer:
                return found
            token = {"nextToken": answer["nextToken"]}

    assert names() == ["a", "b", "c"]
    assert names(descending=True) == ["c", "b", "a"]
    assert names(orderBy="LastEventTime") == ["b", "c", "a"]
    assert names(orderBy="LastEventTime", descending=True) == ["a", "c", "b"]
    assert names(logStreamNamePrefix="b") == ["b"]
    (stream,) = logs("DescribeLogStreams", logGroupIdentifier=f"{ARN}:{JOBS}", logStreamNamePrefix="a")[
        "logStreams"
    ]
    assert stream == {
        "logStreamName": "a",
        "creationTime": 3000,
        "firstEventTimestamp": 3000,
        "lastEventTimestamp": 3000,
        "lastIngestionTime": 3000,
        "arn": f"{ARN}:{JOBS}:log-stream:a",
        "storedBytes": 0,
    }


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("DescribeLogStreams", {}),
        ("DescribeLogStreams", {"logGroupName": JOBS, "logGroupIdentifier": JOBS}),
        (
            "DescribeLogStreams",
            {"logGroupName": JOBS, "orderBy": "LastEventTime", "logStreamNamePrefix": "a"},
        ),
        ("DescribeLogStreams", {"logGroupName": JOBS, "nextToken": "?"}),
        ("DescribeLogStreams", {"logGroupName": JOBS, "nextToken": "WzFd"}),
        ("DescribeLogGroups", {"logGroupNamePrefix": "a", "logGroupNamePattern": "a"}),
        ("GetLogEvents", {"logGroupName": JOBS, "logStreamName": "s", "nextToken": "f/x"}),
        ("FilterLogEvents", {"logGroupName": JOBS, "logStreamNames": ["s"], "logStreamNamePrefix": "s"}),
        ("FilterLogEvents", {"logGroupName": JOBS, "nextToken": "é"}),
        ("FilterLogEvents", {"logGroupName": JOBS, "startFromHead": False}),
        ("FilterLogEvents", {"logGroupName": JOBS, "filterPattern": "{ $.a = 1 }"}),
        ("FilterLogEvents", {"logGroupName": JOBS, "filterPattern": "[ip, user]"}),
        ("FilterLogEvents", {"logGroupName": JOBS, "filterPattern": "%a.b%"}),
        ("FilterLogEvents", {"logGroupName": JOBS, "filterPattern": "a -b"}),
        ("FilterLogEvents", {"logGroupName": JOBS, "filterPattern": "?a ?b"}),
    ],
)
def test_parameters_that_exclude_each_other_or_are_not_carried_out(
    logs: Client, database: Database, operation: str, members: Any
) -> None:
    write(database, "s", "x")
    assert logs.refuses(operation, **members).code == "InvalidParameterException"


def test_a_broken_constraint_is_an_invalid_parameter(logs: Client) -> None:
    refusal = logs.refuses("DescribeLogGroups", limit=51)
    assert refusal.code == "InvalidParameterException"
    assert "Value '51' at 'limit' failed to satisfy constraint" in refusal.sentence


def test_a_reader_follows_a_stream(logs: Client, database: Database) -> None:
    write(database, "s", "0", "1", "2")
    stream = {"logGroupName": JOBS, "logStreamName": "s"}
    first = logs("GetLogEvents", **stream, startFromHead=True, limit=2)
    assert first["events"][0] == {"timestamp": 100_000, "message": "0", "ingestionTime": 100_000}
    second = logs("GetLogEvents", **stream, nextToken=first["nextForwardToken"], startFromHead=True)
    assert messages(first) + messages(second) == ["0", "1", "2"]
    nothing = logs("GetLogEvents", **stream, nextToken=second["nextForwardToken"])
    assert nothing["events"] == []
    assert nothing["nextForwardToken"] == second["nextForwardToken"]
    write(database, "s", "3", at=101.0)
    assert messages(logs("GetLogEvents", **stream, nextToken=nothing["nextForwardToken"])) == ["3"]
    assert messages(logs("GetLogEvents", **stream, nextToken=first["nextBackwardToken"])) == []


def test_a_reader_goes_back_from_the_end(logs: Client, database: Database) -> None:
    write(database, "s", *(str(number) for number in range(5)))
    stream = {"logGroupName": JOBS, "logStreamName": "s", "limit": 2}
    newest = logs("GetLogEvents", **stream)
    assert messages(newest) == ["3", "4"]
    before = logs("GetLogEvents", **stream, nextToken=newest["nextBackwardToken"])
    assert messages(before) == ["1", "2"]
    oldest = logs("GetLogEvents", **stream, nextToken=before["nextBackwardToken"])
    assert messages(oldest) == ["0"]
    assert messages(logs("GetLogEvents", **stream, nextToken=oldest["nextBackwardToken"])) == []


def test_events_are_cut_by_time(logs: Client, database: Database) -> None:
    for at in range(5):
        write(database, "s", str(at), at=float(at))
    stream = {"logGroupName": JOBS, "logStreamName": "s", "startTime": 1000, "endTime": 3000}
    assert messages(logs("GetLogEvents", **stream, startFromHead=True)) == ["1", "2"]
    assert messages(logs("GetLogEvents", **stream)) == ["1", "2"]
    assert messages(logs("FilterLogEvents", logGroupName=JOBS, startTime=1000, endTime=3000)) == [
        "1",
        "2",
        "3",
    ]
    assert messages(logs("GetLogEvents", logGroupName=JOBS, logStreamName="s", endTime=2**63 - 1)) == list(
        "01234"
    )


def test_an_answer_is_at_most_a_megabyte(logs: Client, database: Database) -> None:
    write(database, "s", *(str(number) * 200_000 for number in range(9)))
    stream = {"logGroupName": JOBS, "logStreamName": "s"}
    assert [line[0] for line in messages(logs("GetLogEvents", **stream, startFromHead=True))] == list("01234")
    assert [line[0] for line in messages(logs("GetLogEvents", **stream))] == list("45678")


def test_streams_are_searched_in_the_order_of_time(logs: Client, database: Database) -> None:
    write(database, "AllTraffic/b", "one error", at=1.0)
    write(database, "AllTraffic/a", "two", 'an "odd error"', at=2.0)
    write(database, "AllTraffic/b", "three Error", "four error", at=3.0)
    write(database, "Other/x", "error", at=2.0)
    found = logs("FilterLogEvents", logGroupName=JOBS, logStreamNamePrefix="AllTraffic/")
    assert messages(found) == ["one error", "two", 'an "odd error"', "three Error", "four error"]
    assert found["searchedLogStreams"] == []
    assert len({event["eventId"] for event in found["events"]}) == 5
    assert "nextToken" not in found
    errors = logs(
        "FilterLogEvents", logGroupName=JOBS, logStreamNames=["AllTraffic/b"], filterPattern="error"
    )
    assert messages(errors) == ["one error", "four error"]
    phrase = logs("FilterLogEvents", logGroupName=JOBS, filterPattern=r'an "\"odd error\""')
    assert messages(phrase) == ['an "odd error"']


@given(data=st.data())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pages_of_a_search_neither_repeat_nor_skip(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    database = open_database(tmp_path_factory.mktemp("store"))
    client = Client("logs", OPERATIONS, database)
    wanted = []
    for number in range(data.draw(st.integers(1, 12))):
        stream, at = data.draw(st.sampled_from("abc")), float(number // 3)
        write(database, stream, str(number), at=at)
        wanted.append((at, stream, number))
    limit = data.draw(st.integers(1, 4))
    found: list[str] = []
    answer = client("FilterLogEvents", logGroupName=JOBS, limit=limit)
    found += messages(answer)
    while "nextToken" in answer:
        answer = client("FilterLogEvents", logGroupName=JOBS, limit=limit, nextToken=answer["nextToken"])
        found += messages(answer)
    assert found == [str(number) for _, _, number in sorted(wanted)]
    database.close()

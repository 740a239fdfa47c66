"""The law of `Logs`, held against every adapter."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from sagestead.domain.logs import LogEvent, LogStream, StreamSummary
from sagestead.ports import Logs
from sagestead.store.database import Database, open_database
from sagestead.store.logs import SqlLogs

STREAM = LogStream("123456789012", "us-east-1", "/aws/sagemaker/TrainingJobs", "job/algo-1-1000")


class TestSqlLogs:
    @pytest.fixture
    def database(self, folder: Path) -> Iterator[Database]:
        database = open_database(folder)
        yield database
        database.close()

    @pytest.fixture
    def logs(self, database: Database) -> Logs:
        return SqlLogs(database)

    def test_lines_keep_their_order_and_are_numbered_without_gaps(self, logs: Logs) -> None:
        logs.append(STREAM, ["one", "two"], 1.0)
        logs.append(STREAM, ["three é"], 2.5)
        assert logs.events(STREAM, 0, 10, None, None) == [
            LogEvent(0, 1000, 1000, "one"),
            LogEvent(1, 1000, 1000, "two"),
            LogEvent(2, 2500, 2500, "three é"),
        ]
        assert [event.message for event in logs.events(STREAM, 1, 1, None, None)] == ["two"]
        assert [event.message for event in logs.events(STREAM, 0, 9, 1001, None)] == ["three é"]
        assert [event.message for event in logs.events(STREAM, 0, 9, 1000, 2500)] == ["one", "two"]
        assert [event.message for event in logs.last(STREAM, 2)] == ["two", "three é"]

    def test_a_long_stream_keeps_its_newest_lines(self, database: Database) -> None:
        logs, other = SqlLogs(database, kept=3), replace(STREAM, stream="other")
        logs.append(other, ["untouched"], 1.0)
        for number in range(4):
            logs.append(STREAM, [f"{number}a", f"{number}b"], 1.0)
        found = logs.events(STREAM, 0, 10, None, None)
        assert [(event.sequence, event.message) for event in found] == [(5, "2b"), (6, "3a"), (7, "3b")]
        assert [event.message for event in logs.events(other, 0, 10, None, None)] == ["untouched"]

    def test_times_that_no_database_holds_are_only_far_away(self, logs: Logs) -> None:
        logs.append(STREAM, ["one"], 1.0)
        assert logs.events(STREAM, 0, 10, 10**30, None) == []
        assert len(logs.events(STREAM, -(10**30), 10**30, -(10**30), 10**30)) == 1

    def test_groups_and_streams_are_found_by_prefix(self, logs: Logs) -> None:
        other = replace(STREAM, group="/aws/sagemaker/Endpoints/a_b", stream="AllTraffic/i-1")
        logs.append(STREAM, [], 1.0)
        logs.append(other, ["ping"], 2.0)
        logs.append(other, ["pong"], 3.0)
        account, region = STREAM.account, STREAM.region
        assert logs.groups(account, region, "/aws/sagemaker/") == [other.group, STREAM.group]
        assert logs.groups(account, region, "/aws/sagemaker/Endpoints/a%") == []
        assert logs.groups(account, "eu-west-1", "") == []
        assert logs.streams(account, region, other.group, "All") == [
            StreamSummary(other, 2000, 2000, 3000, 3000)
        ]
        assert logs.streams(account, region, STREAM.group, "") == [
            StreamSummary(STREAM, 1000, None, None, None)
        ]
        assert logs.streams(account, region, STREAM.group, "x") == []

    def test_an_unknown_stream_has_no_events(self, logs: Logs) -> None:
        assert logs.events(STREAM, 0, 10, None, None) == []
        assert logs.last(STREAM, 10) == []

    def test_writers_at_once_leave_no_gap(self, logs: Logs) -> None:
        def write(who: int) -> None:
            for index in range(20):
                logs.append(STREAM, [f"{who}/{index}", f"{who}/{index}b"], 1.0)

        threads = [Thread(target=write, args=(who,)) for who in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        events = logs.events(STREAM, 0, 1000, None, None)
        assert [event.sequence for event in events] == list(range(160))
        first = [event.message for event in events if event.message.startswith("1/")]
        assert first == [f"1/{index}{half}" for index in range(20) for half in ("", "b")]

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagestead.control.log_agent import CHUNK, LONGEST_LINE, Tail, as_message, split_lines
from sagestead.domain.logs import LogStream
from sagestead.store import SqlLogs, open_database

STREAM = LogStream("123456789012", "eu-west-1", "/aws/sagemaker/TrainingJobs", "t/algo-1-1")


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[SqlLogs]:
    database = open_database(tmp_path)
    yield SqlLogs(database)
    database.close()


class Log:
    """A log that is written while it is carried."""

    def __init__(self, folder: Path, logs: SqlLogs) -> None:
        self.content = b""
        self.note = folder / "log.carried"
        self._logs = logs

    def tail(self) -> Tail:
        """Return what carries it, as after a restart."""
        return Tail(self._read, self.note, STREAM, self._logs, lambda: 5.0)

    def messages(self) -> list[str]:
        return [event.message for event in self._logs.events(STREAM, 0, 10_000, None, None)]

    def _read(self, offset: int, limit: int) -> bytes:
        return self.content[offset : offset + limit]


@pytest.fixture
def log(tmp_path: Path, logs: SqlLogs) -> Log:
    return Log(tmp_path, logs)


def test_lines_arrive_once_and_the_unfinished_one_at_the_end(log: Log) -> None:
    tail = log.tail()
    log.content += b"one\ntw"
    assert tail.pump(is_all=False)
    assert log.messages() == ["one"]
    assert not tail.pump(is_all=False)
    log.content += b"o\r\n\nthree"
    tail.pump(is_all=False)
    assert log.messages() == ["one", "two", ""]
    tail.pump(is_all=True)
    tail.pump(is_all=True)
    assert log.messages() == ["one", "two", "", "three"]


def test_a_stream_is_there_before_its_first_line(log: Log, logs: SqlLogs) -> None:
    log.tail().pump(is_all=False)
    assert [one.stream for one in logs.streams(STREAM.account, STREAM.region, STREAM.group, "t/")] == [STREAM]


def test_a_restart_carries_nothing_twice(log: Log) -> None:
    log.content = b"one\ntwo\nthree\n"
    log.tail().pump(is_all=False)
    log.content += b"four\n"
    log.tail().pump(is_all=False)
    assert log.messages() == ["one", "two", "three", "four"]


@pytest.mark.parametrize("note", [None, "4 1", "0 0", "torn", "400 90"])
def test_the_stream_has_the_last_word_when_the_note_is_old_or_broken(log: Log, note: str | None) -> None:
    log.content = b"one\ntwo\nthree"
    log.tail().pump(is_all=True)
    log.note.unlink() if note is None else log.note.write_text(note)
    log.content += b" and more\nfour\n"
    log.tail().pump(is_all=True)
    assert log.messages()[-1] == "four"
    assert log.messages()[:3] == ["one", "two", "three"]


def test_tabs_and_broken_text() -> None:
    assert as_message(b"[0]\ttrain-auc:0.5\n") == "[0]#011train-auc:0.5"
    assert as_message(b"caf\xe9 \xff\r\n") == "caf\N{REPLACEMENT CHARACTER} \N{REPLACEMENT CHARACTER}"


@given(st.binary(max_size=200), st.lists(st.integers(1, 90), max_size=8))
def test_lines_are_the_same_however_they_arrive(content: bytes, cuts: list[int]) -> None:
    whole = split_lines(content, is_all=True)
    assert b"".join(whole) == content
    piecewise: list[bytes] = []
    start, end = 0, 0
    for cut in [*cuts, len(content)]:
        end = min(end + cut, len(content))
        lines = split_lines(content[start:end], is_all=False)
        piecewise += lines
        start += sum(map(len, lines))
    piecewise += split_lines(content[start:], is_all=True)
    assert piecewise == whole


def test_an_endless_line_is_cut_and_memory_stays_bounded(log: Log) -> None:
    log.content = b"x" * (CHUNK + LONGEST_LINE + 7)
    log.tail().pump(is_all=True)
    lengths = [len(message) for message in log.messages()]
    assert set(lengths[:-1]) == {LONGEST_LINE}
    assert lengths[-1] == 7

"""Log streams in SQL: events of a stream are numbered from 0 without gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.sql.dml import ReturningUpdate

from sagestead.domain.logs import LogEvent, LogStream, StreamSummary
from sagestead.store.database import Database
from sagestead.store.tables import log_events, log_streams

KEPT_LINES = 100_000
"""A stream keeps its newest lines, so many; older ones go when new ones come."""

_LARGEST = 2**63 - 1
_PLACE = ("account", "region", "log_group", "stream")


def _grow() -> ReturningUpdate[Any]:
    columns = log_streams.c
    by: sa.BindParameter[int] = sa.bindparam("by")
    at: sa.BindParameter[int] = sa.bindparam("at")
    return (
        sa.update(log_streams)
        .where(*(columns[column] == sa.bindparam(f"of_{column}") for column in _PLACE))
        .values(
            events=columns.events + by,
            first_event=sa.func.coalesce(sa.func.min(columns.first_event, at), at),
            last_event=sa.func.coalesce(sa.func.max(columns.last_event, at), at),
        )
        .returning(columns.id, columns.events)
    )


# Executed with every few lines of everything that runs: statements are made once.
_GROW = _grow()
_MAKE = insert(log_streams).on_conflict_do_nothing()
_ADD = "INSERT INTO log_events (stream_id, sequence, timestamp, message) VALUES (?, ?, ?, ?)"
_FORGET = sa.delete(log_events).where(
    log_events.c.stream_id == sa.bindparam("of"), log_events.c.sequence < sa.bindparam("old")
)


class SqlLogs:
    """`Logs` on a `Database`. The last lines before a power loss may be lost, the last ones first."""

    def __init__(self, database: Database, kept: int = KEPT_LINES) -> None:
        self._database = database
        self._kept = kept

    def append(self, stream: LogStream, messages: Sequence[str], now: float) -> None:
        """Add lines (tabs already written as `#011`), making the stream if need be."""
        place, at = _place(stream), round(now * 1000)
        growth = {f"of_{column}": value for column, value in place.items()} | {"by": len(messages), "at": at}
        with self._database.write(durable=False, announce=False) as connection:
            row = connection.execute(_GROW, growth).first() if messages else None
            if row is None:
                connection.execute(_MAKE, place | {"created": at, "events": 0})
            if not messages:
                return
            row = row or connection.execute(_GROW, growth).one()
            first = row.events - len(messages)
            events = [(row.id, sequence, at, message) for sequence, message in enumerate(messages, first)]
            connection.exec_driver_sql(_ADD, events)
            if row.events > self._kept:
                connection.execute(_FORGET, {"of": row.id, "old": row.events - self._kept})

    def groups(self, account: str, region: str, prefix: str) -> list[str]:
        """Return group names by name."""
        group = log_streams.c.log_group
        query = (
            sa.select(group)
            .distinct()
            .where(log_streams.c.account == account, log_streams.c.region == region, _starts(group, prefix))
        )
        with self._database.read() as connection:
            return list(connection.execute(query.order_by(group)).scalars())

    def streams(self, account: str, region: str, group: str, prefix: str) -> list[StreamSummary]:
        """Return the streams of a group by name."""
        query = sa.select(log_streams).where(
            log_streams.c.account == account,
            log_streams.c.region == region,
            log_streams.c.log_group == group,
            _starts(log_streams.c.stream, prefix),
        )
        with self._database.read() as connection:
            return [_summary(row) for row in connection.execute(query.order_by(log_streams.c.stream))]

    def events(
        self, stream: LogStream, first: int, limit: int, start: int | None, end: int | None
    ) -> list[LogEvent]:
        """Return events with sequence >= `first` and start <= timestamp < end, in order."""
        conditions = [log_events.c.sequence >= _bounded(first)]
        if start is not None:
            conditions.append(log_events.c.timestamp >= _bounded(start))
        if end is not None:
            conditions.append(log_events.c.timestamp < _bounded(end))
        query = _of(stream).where(*conditions).order_by(log_events.c.sequence).limit(_bounded(limit))
        with self._database.read() as connection:
            return [_event(row) for row in connection.execute(query)]

    def last(self, stream: LogStream, count: int) -> list[LogEvent]:
        """Return the last `count` events, in order."""
        query = _of(stream).order_by(log_events.c.sequence.desc()).limit(_bounded(count))
        with self._database.read() as connection:
            found = [_event(row) for row in connection.execute(query)]
        return found[::-1]


def _place(stream: LogStream) -> dict[str, str]:
    return dict(zip(_PLACE, (stream.account, stream.region, stream.group, stream.stream), strict=True))


def _is(stream: LogStream) -> list[sa.ColumnElement[bool]]:
    return [log_streams.c[column] == value for column, value in _place(stream).items()]


def _of(stream: LogStream) -> sa.Select[Any]:
    return (
        sa.select(log_events)
        .join(log_streams, log_streams.c.id == log_events.c.stream_id)
        .where(*_is(stream))
    )


def _starts(column: sa.Column[Any], prefix: str) -> sa.ColumnElement[bool]:
    return sa.func.substr(column, 1, len(prefix)) == prefix


def _bounded(value: int) -> int:
    """Return the nearest integer that SQL can hold."""
    return max(-_LARGEST, min(value, _LARGEST))


def _event(row: sa.Row[Any]) -> LogEvent:
    return LogEvent(row.sequence, row.timestamp, row.timestamp, row.message)


def _summary(row: sa.Row[Any]) -> StreamSummary:
    stream = LogStream(row.account, row.region, row.log_group, row.stream)
    return StreamSummary(stream, row.created, row.first_event, row.last_event, row.last_event)

"""The index of the object store: one SQLite database, in WAL mode with synchronous=FULL.

Rule: what `write` returns has survived power loss. Writers that wait at the same time share one commit;
each has a savepoint of its own, so that a refused one takes nothing back but its own changes.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar

from sagestead.domain.errors import Unavailable
from sagestead.objects.schema import migrate

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

_BATCH = 128
_BUSY_SECONDS = 30.0


class _Job(Generic[T]):
    """One write that waits for its commit."""

    def __init__(self, work: Work[T]) -> None:
        self._work = work
        self._result: T | None = None
        self._error: BaseException | None = None
        self.done = False

    def run(self, connection: sqlite3.Connection) -> None:
        connection.execute("SAVEPOINT job")
        try:
            self._result = self._work(connection)
        except BaseException as error:  # noqa: BLE001 - handed to the caller, on its own thread
            self._error = error
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")

    def fail(self, error: BaseException) -> None:
        self._error = error
        self.done = True

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # set by run, and T may be None


class Index:
    """Connections to the database at `path`. Safe for many threads and many processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: deque[_Job[Any]] = deque()
        self._turn = Lock()
        self._idle: deque[sqlite3.Connection] = deque()
        self._writer = self._connect()
        try:
            migrate(self._writer)
        except BaseException:
            self._writer.close()
            raise

    def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction that is durable when this returns; what it raises undoes it."""
        job = _Job(work)
        self._waiting.append(job)
        with self._turn:
            if not job.done:
                self._commit_waiting()
        return job.result()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection that sees one state of the database throughout."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")
        finally:
            self._idle.append(connection)

    def close(self) -> None:
        """Close every idle connection."""
        self._writer.close()
        while self._idle:
            self._idle.pop().close()

    def _commit_waiting(self) -> None:
        """Commit the oldest waiting jobs together; the caller's own is reached before it returns."""
        jobs = [self._waiting.popleft() for _ in range(len(self._waiting))]
        for first in range(0, len(jobs), _BATCH):
            self._commit(jobs[first : first + _BATCH])

    def _commit(self, jobs: list[_Job[Any]]) -> None:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                for job in jobs:
                    job.run(self._writer)
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
        except BaseException as error:  # noqa: BLE001 - every waiting caller raises it on its own thread
            for job in jobs:
                job.fail(_cause(error))
        else:
            for job in jobs:
                job.done = True

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection


def _cause(error: BaseException) -> BaseException:
    busy = (
        isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
    )
    return Unavailable("The object index is busy. Try again.", code="SlowDown") if busy else error

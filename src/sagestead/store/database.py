"""One SQLite file that several processes and threads read and write at once.

Rule: a durable write is on the disk before it is acknowledged (WAL, `synchronous=FULL`); every write takes
the write lock when it begins, so that it never fails half-way; nobody but the owner may read the file. Who
waits for the writes of others hears a bell after each (`bell.py`).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sagestead.store.bell import Bell
from sagestead.store.tables import HEAD, counters

BUSY_SECONDS = 10.0
"""How long a write waits for the writes of other processes."""

LOOK_SECONDS = 0.02
"""How often to look whether anybody has written, where no bell is heard."""

_COUNT = (
    sa.update(counters)
    .where(counters.c.name == sa.bindparam("of"))
    .values(value=counters.c.value + 1)
    .returning(counters.c.value)
)


class UnknownSchema(Exception):  # noqa: N818 - says what the file is, the program is fine
    """The file was written by a newer version of this program."""


class Database:
    """An open `store.db` whose schema is current. `listener`: this process's name, if it waits for others."""

    def __init__(self, path: Path, listener: str | None = None) -> None:
        self._engine = _engine(path)
        self._bell = Bell(path.with_name("bells"))
        self._ear = None if listener is None else self._bell.listen(listener)
        self._writing = threading.Lock()
        self._watching = threading.Lock()
        self._watch = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._seen: int | None = None
        self._revision = 0

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Yield a connection that sees one moment of the database."""
        with self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self, *, durable: bool = True, announce: bool = True) -> Iterator[sa.Connection]:
        """Yield a connection that alone may write; commits at the end, undoes on an exception.

        `durable` False: may be lost at power loss, in order. `announce`: `revision()` changes.
        """
        options = {"begin": "IMMEDIATE", "synchronous": "FULL" if durable else "NORMAL"}
        engine = self._engine.execution_options(**options)
        with self._writing, engine.begin() as connection:
            yield connection
            if announce:
                count(connection, "revision")
        if announce:
            self._bell.ring()

    def wait(self, seconds: float) -> None:
        """Wait for an announced write of any process, at most so long; for one thread at a time."""
        if self._ear is not None:
            self._ear.wait(seconds)
        else:
            time.sleep(max(0.0, min(seconds, LOOK_SECONDS)))

    def wake(self) -> None:
        """Have whoever waits return soon; may be called from a signal handler."""
        if self._ear is not None:
            self._ear.wake()

    def revision(self) -> int:
        """Return a number that grows with every announced write of any process (microseconds)."""
        with self._watching:
            seen = self._watch.execute("PRAGMA data_version").fetchone()[0]
            if seen != self._seen:
                row = self._watch.execute("SELECT value FROM counters WHERE name = 'revision'").fetchone()
                self._seen, self._revision = seen, row[0]
            return self._revision

    def first(self, query: str, values: Mapping[str, object]) -> tuple[Any, ...] | None:
        """Return the first row that an SQL query finds, as it is stored, or None (microseconds)."""
        with self._watching:
            row: tuple[Any, ...] | None = self._watch.execute(query, values).fetchone()
        return row

    def is_any(self, query: str, values: Mapping[str, object]) -> bool:
        """True when an SQL query finds a row (microseconds)."""
        return self.first(query, values) is not None

    def close(self) -> None:
        """Close every connection; the database must not be used afterwards."""
        self._engine.dispose()
        self._watch.close()
        if self._ear is not None:
            self._ear.close()


def open_database(folder: Path, listener: str | None = None) -> Database:
    """Open `store.db` in a folder, making or migrating it if need be; `listener`: see `Database`.

    Raises:
        UnknownSchema: a newer version of this program wrote it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "store.db"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
    if _schema(path) != HEAD:
        _migrate(path)
    return Database(path, listener)


def count(connection: sa.Connection, name: str) -> int:
    """Add one to a counter; returns its new value."""
    return int(connection.execute(_COUNT, {"of": name}).scalar_one())


def _schema(path: Path) -> str | None:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
    try:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            return None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return str(row[0]) if row else None
    finally:
        connection.close()


def _migrate(path: Path) -> None:
    """Bring the schema to HEAD; of several processes one does it and the others wait."""
    with path.with_name("store.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _schema(path) == HEAD:
            return
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
        engine = _engine(path)
        try:
            with engine.execution_options(begin="IMMEDIATE").begin() as transaction:
                _upgrade(transaction, path)
        finally:
            engine.dispose()


def _upgrade(connection: sa.Connection, path: Path) -> None:
    # Alembic takes a tenth of a second to import, and is needed only when something is to be migrated.
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config  # noqa: PLC0415 - see above
    from alembic.util import CommandError  # noqa: PLC0415 - see above

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise UnknownSchema(
            f"{path} was written by a newer version of this program ({error}); upgrade the program, "
            "or choose another data folder."
        ) from error


def _engine(path: Path) -> sa.Engine:
    url = sa.URL.create("sqlite+pysqlite", database=str(path))
    engine = sa.create_engine(
        url, connect_args={"timeout": BUSY_SECONDS}, pool_size=8, max_overflow=56, pool_timeout=BUSY_SECONDS
    )
    sa.event.listen(engine, "connect", _prepare)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, _: object) -> None:
    """Keep the driver from opening transactions of its own; have macOS write through the disk's cache."""
    connection.isolation_level = None
    connection.execute("PRAGMA fullfsync = ON")


def _begin(connection: sa.Connection) -> None:
    """Begin by the driver itself: every transaction pays for it."""
    options, driver = connection.get_execution_options(), connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - the engine's URL says so
    if "synchronous" in options:  # how to write is nothing to readers
        driver.execute(f"PRAGMA synchronous = {options['synchronous']}")
    driver.execute(f"BEGIN {options.get('begin', 'DEFERRED')}")

"""Opening `store.db`: made, migrated, private, quick."""

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from sagestead.domain.resources import Key, Kind
from sagestead.store import SqlResources
from sagestead.store.database import Database, UnknownSchema, open_database
from sagestead.store.tables import HEAD, metadata

OPEN = """
import pathlib, sys
from sagestead.domain.resources import Key, Kind
from sagestead.store import SqlResources
from sagestead.store.database import open_database
open_database(pathlib.Path(sys.argv[1]))
"""

WRITE = """
import itertools, pathlib, sys
from sagestead.domain.resources import Key, Kind, Resource
from sagestead.store import SqlResources, open_database
resources = SqlResources(open_database(pathlib.Path(sys.argv[1])))
for number in itertools.count():
    resources.create(Resource(Key(Kind.MODEL, "1", "r", f"m{number}"), "arn", {}))
    print(number, flush=True)
"""


def test_the_migrations_make_the_tables_that_the_program_knows(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    with database.read() as connection:
        context = MigrationContext.configure(connection)
        assert context.get_current_revision() == HEAD
        assert compare_metadata(context, metadata) == []
    database.close()


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    database = open_database(folder)
    with database.write() as connection:
        connection.execute(sa.text("SELECT 1"))
    files = sorted(path for path in folder.iterdir() if path.name.startswith("store.db"))
    assert [(path.name, path.stat().st_mode & 0o777) for path in files] == [
        ("store.db", 0o600),
        ("store.db-shm", 0o600),
        ("store.db-wal", 0o600),
    ]
    assert folder.stat().st_mode & 0o777 == 0o700
    database.close()


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    open_database(tmp_path).close()
    (tmp_path / "store.db").chmod(0o644)
    open_database(tmp_path).close()
    assert (tmp_path / "store.db").stat().st_mode & 0o777 == 0o600


def test_opening_what_is_current_is_quick(tmp_path: Path) -> None:
    open_database(tmp_path).close()
    durations = []
    for _ in range(5):
        start = time.perf_counter()
        open_database(tmp_path).close()
        durations.append(time.perf_counter() - start)
    assert min(durations) < 0.15


def test_of_several_processes_one_makes_the_tables(tmp_path: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", OPEN, str(tmp_path)]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    open_database(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "store.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(UnknownSchema, match="written by a newer version"):
        open_database(tmp_path)


def fail_half_way(database: Database) -> None:
    with database.write() as connection:
        connection.execute(sa.text("DELETE FROM counters WHERE name = 'routes'"))
        _ = 1 / 0


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    before = database.revision()
    with pytest.raises(ZeroDivisionError):
        fail_half_way(database)
    with database.read() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM counters")).scalar_one() == 2
    assert database.revision() == before
    database.close()


def test_a_write_is_on_the_disk_before_it_is_acknowledged(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    with database.write() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    database.close()


def test_an_acknowledged_write_survives_a_kill(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITE, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(20)]
        writer.kill()
        acknowledged += [int(line) for line in writer.stdout if line.endswith("\n")]
    database = open_database(tmp_path)
    resources = SqlResources(database)
    for number in acknowledged:
        assert resources.get(Key(Kind.MODEL, "1", "r", f"m{number}")) is not None
    database.close()

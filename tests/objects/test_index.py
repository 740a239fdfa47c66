"""Many writers: one commit for those that wait together, one winner of a condition, each undone alone."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from sagestead.objects.index import Index
from sagestead.objects.model import Condition, Draft
from sagestead.objects.refusals import PreconditionFailed
from sagestead.objects.schema import MIGRATIONS, NewerSchema
from sagestead.objects.store import FolderObjects

ACCOUNT = "123456789012"


def test_of_twelve_conditional_writers_one_wins(store: FolderObjects) -> None:
    bucket = store.buckets.create(ACCOUNT, "bucket", "us-east-1")
    start = Barrier(12)

    def put(number: int) -> int | None:
        with store.blobs.writer() as writer:
            writer.write(b"%d" % number)
            written = writer.finish()
        start.wait()
        try:
            store.versions.put(
                bucket, "k", Draft([written.segment], "e"), Condition(if_none_match=frozenset("*"))
            )
        except PreconditionFailed:
            return None
        return number

    with ThreadPoolExecutor(12) as pool:
        winners = [number for number in pool.map(put, range(12)) if number is not None]
    assert store.read(ACCOUNT, "bucket", "k", 10) == b"%d" % winners[0]
    assert len(winners) == 1


def test_a_refused_write_undoes_only_itself(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.db")
    insert = "INSERT INTO buckets (account, name, region, created_at) VALUES ('1', ?, 'r', 0)"
    start = Barrier(8)

    def write(number: int) -> str:
        def work(connection: sqlite3.Connection) -> str:
            connection.execute(insert, (str(number),))
            if number % 2:
                raise KeyError(number)
            return "kept"

        start.wait()
        try:
            return index.write(work)
        except KeyError:
            return "undone"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(write, range(8)))
    with index.read() as connection:
        names = [row["name"] for row in connection.execute("SELECT name FROM buckets ORDER BY name")]
    assert outcomes == ["kept", "undone"] * 4
    assert names == ["0", "2", "4", "6"]
    index.close()


def test_an_open_read_sees_one_state(store: FolderObjects, tmp_path: Path) -> None:
    index = Index(tmp_path / "objects" / "index.db")
    with index.read() as connection:
        before = connection.execute("SELECT count(*) FROM buckets").fetchone()[0]
        store.buckets.create(ACCOUNT, "bucket", "us-east-1")
        assert connection.execute("SELECT count(*) FROM buckets").fetchone()[0] == before
    index.close()


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "index.db") as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(NewerSchema):
        Index(tmp_path / "index.db")


def test_a_reader_in_another_process_keeps_its_bytes(store: FolderObjects, tmp_path: Path) -> None:
    bucket = store.buckets.create(ACCOUNT, "bucket", "us-east-1")
    with store.blobs.writer() as writer:
        writer.write(b"held")
        written = writer.finish()
    store.versions.put(bucket, "k", Draft([written.segment], "e"))
    program = (
        "import sys, pathlib\n"
        "from sagestead.objects.store import FolderObjects\n"
        "store = FolderObjects(pathlib.Path(sys.argv[1]), lambda: 1.0)\n"
        f"bucket = store.buckets.get('{ACCOUNT}', 'bucket')\n"
        "with store.versions.open(bucket, 'k') as (version, snapshot):\n"
        "    print('open', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    print(b''.join(snapshot.read(0, version.size)).decode(), flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "objects")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        store.versions.delete(bucket, "k")
        assert store.stat(ACCOUNT, "bucket", "k") is None
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "held\n"

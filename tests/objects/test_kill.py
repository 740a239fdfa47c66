"""A process killed in the middle of writing loses nothing that it acknowledged and leaves nothing half."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from sagestead.objects.refusals import Corrupt
from sagestead.objects.store import FolderObjects

ACCOUNT = "123456789012"
WRITER = Path(__file__).with_name("writer_process.py")


def killed_writer(folder: Path, acknowledgements: int) -> dict[str, str]:
    """Run a writer, kill it after so many acknowledgements; returns key -> SHA-256 of the last one."""
    with subprocess.Popen(
        [sys.executable, str(WRITER), str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(acknowledgements)]
        process.kill()
        lines += process.stdout.readlines()
    return dict(line.split() for line in lines if line.endswith("\n"))


def test_every_acknowledged_object_survives_kill(tmp_path: Path) -> None:
    folder = tmp_path / "objects"
    store = FolderObjects(folder, lambda: 1.0)
    store.buckets.create(ACCOUNT, "bucket", "us-east-1")
    acknowledged: dict[str, str] = {}
    for _ in range(3):
        acknowledged |= killed_writer(folder, 150)
        store.close()
        store = FolderObjects(folder, lambda: 1.0)
        store.collect_orphans()
        seen = {
            entry.key: hashlib.sha256(store.read(ACCOUNT, "bucket", entry.key, 1 << 30)).hexdigest()
            for entry in store.list(ACCOUNT, "bucket", "")
        }
        assert acknowledged.keys() <= seen.keys()
        newer = {key for key, digest in acknowledged.items() if seen[key] != digest}
        assert len(newer) <= 4 * 3, "only a put that was under way when the kill came may have gone further"
        assert len(list((folder / "blobs").glob("??/*"))) == len(seen)
    store.close()


def test_a_file_cut_short_is_noticed(store: FolderObjects, tmp_path: Path) -> None:
    store.buckets.create(ACCOUNT, "bucket", "us-east-1")
    (tmp_path / "source").write_bytes(b"0123456789")
    store.store(ACCOUNT, "bucket", "key", tmp_path / "source", "text/plain")
    (blob,) = (tmp_path / "objects" / "blobs").glob("??/*")
    blob.chmod(0o600)
    blob.write_bytes(b"01234")
    with pytest.raises(Corrupt):
        store.read(ACCOUNT, "bucket", "key", 100)

"""The port: what jobs and models see of the object store."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from sagestead.domain.errors import Invalid
from sagestead.objects.refusals import Corrupt, NoSuchBucket
from sagestead.objects.store import FolderObjects
from sagestead.ports import Objects

A, B = "111111111111", "222222222222"


def put(store: FolderObjects, folder: Path, key: str, content: bytes, account: str = A) -> None:
    source = folder / "source"
    source.write_bytes(content)
    store.store(account, "bucket", key, source, "text/csv")


def test_it_is_an_objects_port(store: FolderObjects) -> None:
    port: Objects = store
    assert not port.has_bucket(A, "bucket")


def test_what_is_stored_is_found_read_and_listed(store: FolderObjects, tmp_path: Path) -> None:
    store.buckets.create(A, "bucket", "eu-west-1")
    put(store, tmp_path, "data/x.csv", b"1,2\n")
    found = store.stat(A, "bucket", "data/x.csv")
    assert found is not None
    assert (found.size, found.etag, found.content_type, found.modified_at) == (
        4,
        hashlib.md5(b"1,2\n").hexdigest(),  # noqa: S324 - S3's ETag is an MD5
        "text/csv",
        1_700_000_000.25,
    )
    assert store.read(A, "bucket", "data/x.csv", 4) == b"1,2\n"
    assert list(store.list(A, "bucket", "data/")) == [found]
    with pytest.raises(Invalid):
        store.read(A, "bucket", "data/x.csv", 3)


def test_absent_things(store: FolderObjects, tmp_path: Path) -> None:
    assert store.stat(A, "bucket", "x") is None
    assert list(store.list(A, "bucket", "")) == []
    store.remove(A, "bucket", "x")
    for operation in (
        lambda: store.read(A, "bucket", "x", 1),
        lambda: store.fetch(A, "bucket", "x", tmp_path / "out"),
        lambda: put(store, tmp_path, "x", b""),
    ):
        with pytest.raises(KeyError):
            operation()


def test_the_same_names_in_two_accounts_never_meet(store: FolderObjects, tmp_path: Path) -> None:
    for account in (A, B):
        store.buckets.create(account, "bucket", "us-east-1")
        put(store, tmp_path, "key", account.encode(), account)
    store.remove(A, "bucket", "key")
    assert store.read(B, "bucket", "key", 100) == B.encode()
    with pytest.raises(NoSuchBucket):
        store.buckets.get("333333333333", "bucket")


def test_keys_that_would_be_paths_are_only_names(store: FolderObjects, tmp_path: Path) -> None:
    store.buckets.create(A, "bucket", "us-east-1")
    keys = ["a", "a/", "a/b", "a//b", "../x", "/", ".", "k" * 1024, "é\n\x01", "\U0001f600"]
    for key in keys:
        put(store, tmp_path, key, key.encode())
    assert [entry.key for entry in store.list(A, "bucket", "")] == sorted(keys, key=str.encode)
    for key in keys:
        assert store.read(A, "bucket", key, 2000) == key.encode()
    assert [entry.key for entry in store.list(A, "bucket", "a/")] == ["a/", "a//b", "a/b"]


def test_fetch_shares_the_blob_and_answers_its_digest(store: FolderObjects, tmp_path: Path) -> None:
    store.buckets.create(A, "bucket", "us-east-1")
    put(store, tmp_path, "model.tar.gz", b"model")
    target = tmp_path / "fetched"
    assert store.fetch(A, "bucket", "model.tar.gz", target) == hashlib.sha256(b"model").hexdigest()
    assert target.read_bytes() == b"model"
    assert target.stat().st_nlink == 2
    store.remove(A, "bucket", "model.tar.gz")
    assert target.read_bytes() == b"model"


def test_fetch_refuses_bytes_that_changed(store: FolderObjects, tmp_path: Path) -> None:
    store.buckets.create(A, "bucket", "us-east-1")
    put(store, tmp_path, "key", b"0123456789")
    (blob,) = (tmp_path / "objects" / "blobs").glob("??/*")
    blob.chmod(0o600)
    blob.write_bytes(b"0123456788")
    with pytest.raises(Corrupt):
        store.fetch(A, "bucket", "key", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(Corrupt):
        store.read(A, "bucket", "key", 10)


def test_blobs_of_what_was_replaced_or_deleted_are_removed(store: FolderObjects, tmp_path: Path) -> None:
    store.buckets.create(A, "bucket", "us-east-1")
    blobs = tmp_path / "objects" / "blobs"
    put(store, tmp_path, "key", b"one")
    put(store, tmp_path, "key", b"two")
    assert [path.read_bytes() for path in blobs.glob("??/*")] == [b"two"]
    store.remove(A, "bucket", "key")
    assert list(blobs.glob("??/*")) == []


def test_orphans_are_collected_and_nothing_else(store: FolderObjects, tmp_path: Path) -> None:
    store.buckets.create(A, "bucket", "us-east-1")
    put(store, tmp_path, "key", b"kept")
    (tmp_path / "objects" / "blobs" / "00" / "00aa").write_bytes(b"left by a crash")
    assert store.collect_orphans() == 1
    assert store.collect_orphans() == 0
    assert store.read(A, "bucket", "key", 10) == b"kept"


def test_a_reader_keeps_its_bytes_while_they_are_deleted(store: FolderObjects, tmp_path: Path) -> None:
    store.buckets.create(A, "bucket", "us-east-1")
    put(store, tmp_path, "key", b"held")
    put(store, tmp_path, "other", b"x")
    with store.versions.open(store.buckets.get(A, "bucket"), "key") as (version, snapshot):
        store.remove(A, "bucket", "key")
        assert b"".join(snapshot.read(0, version.size)) == b"held"
    store.remove(A, "bucket", "other")
    assert list((tmp_path / "objects" / "blobs").glob("??/*")) == []


def test_a_reader_that_is_given_up_lets_go(store: FolderObjects, tmp_path: Path) -> None:
    bucket = store.buckets.create(A, "bucket", "us-east-1")
    put(store, tmp_path, "key", b"held")
    _, snapshot = store.versions.snapshot(bucket, "key")
    chunks = snapshot.read(0, 4)
    assert next(chunks) == b"held"
    del snapshot, chunks
    store.remove(A, "bucket", "key")
    assert list((tmp_path / "objects" / "blobs").glob("??/*")) == []


def test_two_processes_see_each_other(store: FolderObjects, tmp_path: Path) -> None:
    store.buckets.create(A, "bucket", "us-east-1")
    second = FolderObjects(tmp_path / "objects", lambda: 1.0)
    put(second, tmp_path, "key", b"seen")
    assert store.read(A, "bucket", "key", 10) == b"seen"
    second.close()


@pytest.mark.usefixtures("store")
def test_the_folder_is_for_its_owner(tmp_path: Path) -> None:
    assert os.stat(tmp_path / "objects").st_mode & 0o077 == 0  # noqa: PTH116 - the mode itself

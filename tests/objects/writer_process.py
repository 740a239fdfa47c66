"""Puts objects from four threads until it is killed; says on standard output what was acknowledged."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sagestead.objects.model import Draft
from sagestead.objects.store import FolderObjects

ACCOUNT = "123456789012"


def put_forever(store: FolderObjects, name: str) -> None:
    bucket = store.buckets.get(ACCOUNT, "bucket")
    for number in itertools.count():
        key = f"{name}/{number % 50}"
        with store.blobs.writer() as writer:
            digest = hashlib.sha256()
            for _ in range(random.randrange(1, 40)):  # noqa: S311 - sizes need no secrecy
                piece = os.urandom(8192)
                digest.update(piece)
                writer.write(piece)
            written = writer.finish()
        store.versions.put(bucket, key, Draft([written.segment], written.md5.hex()))
        sys.stdout.write(f"{key} {digest.hexdigest()}\n")
        sys.stdout.flush()


def main() -> None:
    store = FolderObjects(Path(sys.argv[1]), time.time)
    with ThreadPoolExecutor(4) as pool:
        for thread in range(4):
            pool.submit(put_forever, store, f"{os.getpid()}-{thread}")


if __name__ == "__main__":
    main()

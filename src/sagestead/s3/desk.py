"""What every operation works with, and the forms that an operation can have.

Rule: operations are plain functions that may wait for the disk, so they run on threads; only `handler.py`
runs on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from sagestead.domain.errors import Denied
from sagestead.objects.blobs import Snapshot, Written
from sagestead.objects.model import Bucket
from sagestead.objects.refusals import Corrupt
from sagestead.objects.store import FolderObjects
from sagestead.s3.checksums import Declared
from sagestead.s3.request import S3Request
from sagestead.wire.http import Response, Stream

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Intake:
    """An upload that may begin: what to compute while it arrives, and what to do with it."""

    declared: Declared
    algorithms: frozenset[str]
    finish: Callable[[Written], Response]


class Desk:
    """The store, the threads that wait for it, and the region of signatures that have none."""

    def __init__(self, store: FolderObjects, region: str, threads: int) -> None:
        self.store = store
        self.region = region
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="s3")

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function on a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: function(*args, **kwargs))

    def later(self, function: Callable[[], None]) -> None:
        """Call a function on a thread, without waiting for it."""
        self._pool.submit(function)

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=True)

    def bucket(self, request: S3Request) -> Bucket:
        """Return the bucket of a request; refuse a wrong x-amz-expected-bucket-owner."""
        bucket = self.store.buckets.get(request.account, request.bucket)
        check_owner(request, "x-amz-expected-bucket-owner")
        return bucket

    def stream(self, snapshot: Snapshot, start: int, stop: int) -> Stream:
        """Return a body that reads as it is sent, and breaks off rather than end with corrupt bytes."""
        return Stream(stop - start, _Reading(self, snapshot, start, stop))


Operation = Callable[[Desk, S3Request], Response]
DocumentOperation = Callable[[Desk, S3Request, bytes], Response]
UploadOperation = Callable[[Desk, S3Request], Intake]


def check_owner(request: S3Request, header: str) -> None:
    """Refuse when the header names another account than the owner of the bucket, which is the caller."""
    expected = request.header(header)
    if expected is not None and expected != request.account:
        raise Denied(
            f"Access Denied: {header} is {expected!r}, but the bucket belongs to another account.",
            code="AccessDenied",
            status=403,
        )


class _Reading(AsyncIterator[bytes]):
    """Chunks of a snapshot, read on threads; lets go of it at the end, on failure and on `aclose`."""

    def __init__(self, desk: Desk, snapshot: Snapshot, start: int, stop: int) -> None:
        self._desk = desk
        self._snapshot = snapshot
        self._chunks: Iterator[bytes] = snapshot.read(start, stop)

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._desk.run(next, self._chunks, b"")
        except BaseException as error:
            self._snapshot.close()
            if isinstance(error, Corrupt):
                _log.error("an object's answer was broken off: %s", error)
            raise
        if not chunk:
            self._snapshot.close()
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        """Let go of the snapshot."""
        self._snapshot.close()

"""A folder of blobs: files that are written once, made durable, and never changed.

Rule: a blob is named in the index only after its file and its folder are on disk (fsync). A blob that the
index does not name is waste. A reader holds a shared lock on the first blob of what it reads; whoever
removes blobs needs that lock exclusively, so nothing vanishes under a reader, in any process.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from sagestead.objects.digests import encode, new_digest
from sagestead.objects.model import Segment, Text
from sagestead.objects.refusals import Corrupt

READ_SIZE = 1 << 20
_CANNOT_LINK = frozenset({errno.EXDEV, errno.EMLINK, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP})


class Gone(Exception):  # noqa: N818 - a lost race, not a defect
    """The blobs were removed between finding and opening them; look again."""


@dataclass(frozen=True, slots=True)
class Written:
    """A durable blob and what was learnt while writing it; `md5` is raw."""

    segment: Segment
    md5: bytes


class BlobWriter:
    """A blob being written. Leaving the `with` block, or `close` on any thread, before `finish` drops it."""

    def __init__(self, folder: Path, name: str, algorithms: Iterable[str]) -> None:
        self._name = name
        self._path = folder / name
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._digests = {a: self._sha256 if a == "sha256" else new_digest(a) for a in algorithms}
        self._others = [digest for digest in self._digests.values() if digest is not self._sha256]
        self._size = 0
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        self._lock = Lock()
        self._open = True
        self._kept = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._sha256.update(data)
        self._md5.update(data)
        for digest in self._others:
            digest.update(data)
        self._size += len(data)
        view = memoryview(data)
        with self._lock:
            while view and self._open:
                view = view[os.write(self._file, view) :]

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._size

    def checksums(self) -> Text:
        """Return the S3 checksums of the bytes so far."""
        return {name: encode(digest.digest()) for name, digest in self._digests.items()}

    @property
    def md5(self) -> bytes:
        """MD5 of the bytes so far, raw."""
        return self._md5.digest()

    def finish(self) -> Written:
        """Make the blob durable and keep it."""
        os.fsync(self._file)
        self._shut()
        sync_folder(self._path.parent)
        self._kept = True
        segment = Segment(self._name, self._size, self._sha256.hexdigest(), self.checksums())
        return Written(segment, self.md5)

    def close(self) -> None:
        """Remove the blob unless it was finished."""
        self._shut()
        if not self._kept:
            self._path.unlink(missing_ok=True)

    def _shut(self) -> None:
        with self._lock:
            if self._open:
                self._open = False
                os.close(self._file)


class Snapshot:
    """The segments of one version, held in place until `close`."""

    def __init__(self, blobs: Blobs, segments: Sequence[Segment]) -> None:
        self._hold: int | None = None
        self._blobs = blobs
        self.segments = segments
        if segments:
            self._hold = _lock(blobs.path(segments[0].blob), fcntl.LOCK_SH)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        """Let go, when a reader was given up before its end."""
        self.close()

    def close(self) -> None:
        """Let go."""
        if self._hold is not None:
            os.close(self._hold)
            self._hold = None

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return sum(segment.size for segment in self.segments)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from `start` up to `stop`; every segment read whole is verified.

        Raises:
            Corrupt: before the last bytes of a segment whose checksum does not match are yielded.
        """
        position = 0
        for segment in self.segments:
            first, last = max(start - position, 0), min(stop - position, segment.size)
            if first < last:
                yield from _read_segment(self._blobs.path(segment.blob), segment, first, last)
            position += segment.size


class Blobs:
    """The folder; `root` is made if need be."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._unremoved: list[Sequence[str]] = []
        root.mkdir(parents=True, exist_ok=True)
        if not (root / "ff").is_dir():
            for number in range(256):
                (root / f"{number:02x}").mkdir(exist_ok=True)
            sync_folder(root)
            sync_folder(root.parent)

    def path(self, name: str) -> Path:
        """Return where a blob is."""
        return self._root / name[:2] / name

    def writer(self, algorithms: Iterable[str] = ()) -> BlobWriter:
        """Begin a new blob; the S3 checksums named in `algorithms` are computed."""
        name = uuid.uuid4().hex
        return BlobWriter(self.path(name).parent, name, algorithms)

    def twins(self, segments: Sequence[Segment]) -> list[Segment]:
        """Return durable second blobs with the same bytes, sharing storage if possible.

        They are made in one subfolder, so that one fsync makes all their names durable.
        """
        beginning = uuid.uuid4().hex[:2]
        twins = [replace(segment, blob=beginning + uuid.uuid4().hex[2:]) for segment in segments]
        try:
            for segment, twin in zip(segments, twins, strict=True):
                link_or_copy(self.path(segment.blob), self.path(twin.blob))
            sync_folder(self._root / beginning)
        except BaseException:
            for twin in twins:
                self.path(twin.blob).unlink(missing_ok=True)
            raise
        return twins

    def remove(self, groups: Iterable[Sequence[str]]) -> None:
        """Remove blobs that the index no longer names, each group being the blobs of one version.

        What is being read now is removed at a later call, or as waste at the next start.
        """
        waiting, self._unremoved = [*self._unremoved, *groups], []
        for group in waiting:
            if group and not self._remove_group(group):
                self._unremoved.append(group)

    def sweep(self, is_named: Callable[[str], bool]) -> int:
        """Remove every blob that `is_named` denies; returns how many. Nobody else may be using the folder."""
        removed = 0
        for path in self._root.glob("??/*"):
            if not is_named(path.name):
                path.unlink()
                removed += 1
        return removed

    def _remove_group(self, group: Sequence[str]) -> bool:
        try:
            lock = _lock(self.path(group[0]), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except Gone:
            return True
        try:
            for name in group:
                self.path(name).unlink(missing_ok=True)
        finally:
            os.close(lock)
        return True


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` a hard link of `source`, or a durable copy where links are impossible."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        with source.open("rb") as reader, target.open("xb") as writer:
            shutil.copyfileobj(reader, writer, READ_SIZE)
            writer.flush()
            os.fsync(writer.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(path: Path, how: int) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        raise Gone from None
    try:
        fcntl.flock(descriptor, how)
        in_place = path.exists()
    except BaseException:
        os.close(descriptor)
        raise
    if not in_place:
        os.close(descriptor)
        raise Gone
    return descriptor


def _read_segment(path: Path, segment: Segment, first: int, last: int) -> Iterator[bytes]:
    digest = hashlib.sha256() if (first, last) == (0, segment.size) else None
    with path.open("rb", buffering=0) as file:
        file.seek(first)
        left = last - first
        while left:
            data = file.read(min(left, READ_SIZE))
            if not data:
                raise Corrupt(f"blob {segment.blob} is shorter than the {segment.size} bytes stored")
            left -= len(data)
            if digest is not None:
                digest.update(data)
                if not left and digest.hexdigest() != segment.sha256:
                    raise Corrupt(f"blob {segment.blob} no longer has the SHA-256 that it was stored with")
            yield data

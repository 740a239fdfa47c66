"""Model and output archives: tar.gz files, unpacked without trust and packed the same every time.

Rules: only regular files and folders, below the destination, each name once; count, bytes, ratio, name
length and depth are bounded; the gzip stream is read to its end, so that its checksum and length are
verified; the digest of the archive itself is checked before the caller gets anything. A refused archive
leaves the destination empty.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import stat
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sagestead.worker.tarstream import ArchiveRefused, Member, members, padded, shown

_CHUNK = 1 << 18
_COMPONENT_LIMIT = 255
_LEVEL = 1
"""Of compression: a model's archive is a fifth larger than at 6, and made in two fifths of the time."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may hold. Bytes are of files unpacked; names are measured in UTF-8 bytes.

    `ratio` (unpacked to packed) is enforced beyond `ratio_from` unpacked bytes.
    """

    members: int = 100_000
    bytes: int = 30 << 30
    ratio: int = 200
    ratio_from: int = 256 << 20
    name: int = 1024
    depth: int = 32


DEFAULT_LIMITS = Limits()


def extract(archive: Path, destination: Path, *, digest: str | None, limits: Limits = DEFAULT_LIMITS) -> None:
    """Unpack a tar.gz into an empty (or new) folder.

    Args:
        archive: the file.
        destination: folder to fill; made if need be.
        digest: SHA-256 of the file in hex; None when nobody knows it yet.
        limits: bounds.

    Raises:
        ArchiveRefused: one sentence; nothing is left in `destination`.
    """
    destination.mkdir(parents=True, exist_ok=True)
    if any(destination.iterdir()):
        raise ArchiveRefused("The folder to unpack into is not empty.")
    root = os.open(destination, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with archive.open("rb") as file:
            _unpack(file, root, digest, limits)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        _empty(destination)
        raise ArchiveRefused("The archive is damaged or not a tar.gz.") from None
    except BaseException:
        _empty(destination)
        raise
    finally:
        os.close(root)


def entries(folder: Path) -> Iterator[tuple[str, Path, bool]]:
    """Yield (relative name with `/`, path, is a folder) of everything below a folder, in order.

    No link is followed; what vanishes meanwhile is left out.

    Raises:
        ArchiveRefused: there is something else than files and folders, or a name that is not UTF-8.
    """
    waiting = [("", folder)]
    while waiting:
        name, path = waiting.pop()
        try:
            mode = path.lstat().st_mode
            below = sorted(path.iterdir(), reverse=True) if stat.S_ISDIR(mode) else []
        except FileNotFoundError:
            continue
        if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            kind = "a symbolic link" if stat.S_ISLNK(mode) else "a device, pipe or socket"
            raise ArchiveRefused(
                f"{shown(name or folder.name)} is {kind}; only files and folders are stored."
            )
        if not _is_text(name):
            raise ArchiveRefused(f"The name {shown(name)} is not UTF-8; give the file another one.")
        if name:
            yield name, path, stat.S_ISDIR(mode)
        waiting += [(f"{name}/{child.name}" if name else child.name, child) for child in below]


def pack(folder: Path, archive: Path) -> None:
    """Write every file and folder below `folder` to a tar.gz; the same tree gives the same bytes.

    Members are named relative to `folder`, sorted, dated 0 and owned by nobody. The archive need not outlast
    a power cut: whoever keeps it flushes it.

    Raises:
        ArchiveRefused: the tree holds what `entries` refuses, or changed while it was read.
    """
    partial = archive.with_name(archive.name + ".partial")
    with (
        partial.open("wb") as file,
        gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, path, is_folder in entries(folder):
            _add(tar, path, name, is_folder=is_folder)
    partial.replace(archive)


class _Bounded:
    """Unpacked bytes of a gzip file, counted against the limits; hashes the packed ones as they are read."""

    def __init__(self, file: IO[bytes], limits: Limits) -> None:
        self._limits = limits
        self._hash = hashlib.sha256()
        self._file = file
        self._packed = 0
        self._unpacked = 0
        self._stream = gzip.GzipFile(fileobj=self, mode="rb")  # type: ignore[call-overload] # only read() is used

    def read(self, size: int = -1) -> bytes:
        """Return packed bytes; called by GzipFile."""
        chunk = self._file.read(size)
        self._hash.update(chunk)
        self._packed += len(chunk)
        return chunk

    def digest(self) -> str:
        """Return the SHA-256 of the whole packed file, in hex."""
        while self.read(_CHUNK):
            pass
        return self._hash.hexdigest()

    def unpacked(self, size: int) -> bytes:
        """Return exactly `size` unpacked bytes, fewer only at the end."""
        content: bytes = self._stream.read(size)
        self._unpacked += len(content)
        # Headers and padding come on top of the files' own bytes: at most two blocks and a name each.
        if self._unpacked > self._limits.bytes + self._limits.members * 4096:
            raise ArchiveRefused(f"The archive holds more than {self._limits.bytes} bytes.")
        if self._unpacked > max(self._limits.ratio_from, self._limits.ratio * self._packed):
            raise ArchiveRefused(f"The archive unpacks to more than {self._limits.ratio} times its size.")
        return content


@dataclass(frozen=True, slots=True)
class _Content:
    """The unpacked side of `_Bounded`, as a tar reader wants it."""

    bounded: _Bounded

    def read(self, size: int, /) -> bytes:
        return self.bounded.unpacked(size)


def _unpack(file: IO[bytes], root: int, digest: str | None, limits: Limits) -> None:
    bounded = _Bounded(file, limits)
    content = _Content(bounded)
    count = total = files = 0
    for member in members(content):
        count, total = count + 1, total + member.size
        if count > limits.members:
            raise ArchiveRefused(f"The archive holds more than {limits.members} members.")
        if total > limits.bytes:
            raise ArchiveRefused(f"The archive holds more than {limits.bytes} bytes.")
        parts = _parts(member, limits)
        with _refusing(member):
            files += _write(member, parts, root, content)
    while content.read(_CHUNK):
        pass
    if digest is not None and bounded.digest() != digest:
        raise ArchiveRefused(
            "The archive has changed since its model was made: "
            f"its SHA-256 is {bounded.digest()}, expected {digest}."
        )
    if not files:
        raise ArchiveRefused("The archive holds no file.")


def _parts(member: Member, limits: Limits) -> list[str]:
    """Return the path below the destination; an empty list is the destination itself."""
    name = member.name
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in name) or not name:  # noqa: PLR2004 - ASCII's control characters
        raise ArchiveRefused(f"The archive's member name {shown(name)} is empty or holds control characters.")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if (name.startswith("/") and parts) or ".." in parts:
        raise ArchiveRefused(
            f"The archive's member {shown(name)} leaves the folder that it is unpacked into."
        )
    if len(name.encode()) > limits.name or any(len(part.encode()) > _COMPONENT_LIMIT for part in parts):
        raise ArchiveRefused(
            f"The archive's member name {shown(name)} is too long; {limits.name} bytes are accepted."
        )
    if len(parts) > limits.depth:
        raise ArchiveRefused(f"The archive's member {shown(name)} is more than {limits.depth} folders deep.")
    if not parts and not member.is_folder:
        raise ArchiveRefused(f"The archive's member {shown(name)} has no name.")
    return parts


def _write(member: Member, parts: list[str], root: int, content: _Content) -> int:
    """Make one member below the folder descriptor; returns how many files were made."""
    if member.is_folder:
        with _folder(root, parts):
            return 0
    with _folder(root, parts[:-1]) as parent:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(parts[-1], flags, 0o644, dir_fd=parent), "wb") as out:
            left, stored = member.size, padded(member.size)
            while stored:
                chunk = content.read(min(stored, _CHUNK))
                if not chunk:
                    raise ArchiveRefused("The archive ends in the middle of a member.")
                out.write(chunk[:left])
                left, stored = max(0, left - len(chunk)), stored - len(chunk)
    return 1


@contextmanager
def _folder(root: int, parts: list[str]) -> Iterator[int]:
    """Open (and make) a folder below `root`, following no link; yields its descriptor."""
    current = os.dup(root)
    try:
        for part in parts:
            with suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=current)
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)


@contextmanager
def _refusing(member: Member) -> Iterator[None]:
    """Turn the file system's answers about a name into sentences; a full disk stays an OSError."""
    try:
        yield
    except FileExistsError:
        raise ArchiveRefused(f"The archive holds {shown(member.name)} twice.") from None
    except (NotADirectoryError, IsADirectoryError):
        raise ArchiveRefused(f"The archive holds {shown(member.name)} below a file, or as both.") from None


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _add(tar: tarfile.TarFile, path: Path, name: str, *, is_folder: bool) -> None:
    info = tarfile.TarInfo(name)
    if is_folder:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(info)
        return
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        info.size, info.mode = os.fstat(file.fileno()).st_size, 0o644
        try:
            tar.addfile(info, file)
        except OSError as error:
            if error.errno is not None:
                raise
            raise ArchiveRefused(f"{shown(name)} changed while it was put into an archive.") from None


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True

"""A tar stream, member by member, in bounded memory.

Rule: only what a model archive needs is understood (files and folders, in the ustar, GNU and PAX forms that
common tools write); a header never makes us hold more than `HEADER_LIMIT` bytes, whatever size it claims.
Anything else is refused in one sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from sagestead.worker.contract import ModelRefused

BLOCK = 512
HEADER_LIMIT = 1 << 16
_BINARY = 0x80
_FILE_TYPES = (b"0", b"\0")
_NAMES = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a named pipe",
    b"S": "a sparse file",
}


class ArchiveRefused(ModelRefused):
    """The archive is not accepted; the text is one sentence."""


class Source(Protocol):
    """Where the bytes come from: `read` returns fewer bytes than asked only at the end."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """A file (`size` bytes follow in the stream) or a folder (`size` 0), under the name that was written."""

    name: str
    is_folder: bool
    size: int


def members(source: Source) -> Iterator[Member]:
    """Yield the members; the caller must read a file's `padded(size)` bytes before asking for the next.

    Raises:
        ArchiveRefused: the stream is damaged, or holds a link or another special member.
    """
    extended: dict[str, str] = {}
    while True:
        header = source.read(BLOCK)
        if not header or header == bytes(BLOCK):
            return
        _check(header)
        kind, size = header[156:157], _number(header[124:136])
        if kind in b"xgL" and kind:
            extended |= _extension(kind, _exactly(source, size))
            continue
        name = extended.get("path") or _name(header)
        if kind == b"5":
            yield Member(name, is_folder=True, size=0)
        elif kind in _FILE_TYPES:
            yield Member(name, is_folder=name.endswith("/"), size=int(extended.get("size", size)))
        else:
            what = _NAMES.get(kind, "of an unknown type")
            raise ArchiveRefused(
                f"The archive's member {shown(name)} is {what}; only files and folders may be in it."
            )
        extended = {}


def padded(size: int) -> int:
    """Return how many bytes a file of that size takes in the stream."""
    return -(-size // BLOCK) * BLOCK


def shown(name: str) -> str:
    """Return a name as it may stand in a message: quoted, short, without control characters."""
    return repr(name[:80])


def _check(header: bytes) -> None:
    if len(header) < BLOCK:
        raise ArchiveRefused("The archive ends in the middle of a member.")
    blank = header[:148] + b" " * 8 + header[156:]
    if sum(blank) != _number(header[148:156]):
        raise ArchiveRefused("The archive is not a tar.gz: a member's header does not match its checksum.")


def _number(field: bytes) -> int:
    """Read an octal or (first bit set) binary number; negative ones are refused."""
    if field[0] >= _BINARY:
        if field[0] > _BINARY:
            raise ArchiveRefused("The archive holds a negative number in a member's header.")
        return int.from_bytes(field[1:], "big")
    text = field.split(b"\0", 1)[0].strip()
    if not text:
        return 0
    if not all(digit in b"01234567" for digit in text):
        raise ArchiveRefused("The archive is not a tar.gz: a member's header is not readable.")
    return int(text, 8)


def _name(header: bytes) -> str:
    name = header[:100].split(b"\0", 1)[0]
    if header[257:263] == b"ustar\0":
        prefix = header[345:500].split(b"\0", 1)[0]
        name = prefix + b"/" + name if prefix else name
    return _text(name)


def _text(name: bytes) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        raise ArchiveRefused("The archive holds a member whose name is not UTF-8.") from None


def _exactly(source: Source, size: int) -> bytes:
    if size > HEADER_LIMIT:
        raise ArchiveRefused(
            f"The archive holds a member header of {size} bytes; {HEADER_LIMIT} are accepted."
        )
    content = source.read(padded(size))
    if len(content) < padded(size):
        raise ArchiveRefused("The archive ends in the middle of a member.")
    return content[:size]


def _extension(kind: bytes, content: bytes) -> dict[str, str]:
    """Read a GNU long name or a PAX header; what it says holds for the next member."""
    if kind == b"L":
        return {"path": _text(content.split(b"\0", 1)[0])}
    found: dict[str, str] = {}
    while content:
        length_text, _, rest = content.partition(b" ")
        length = int(length_text) if length_text.isdigit() and len(length_text) < 8 else 0  # noqa: PLR2004 - digits of HEADER_LIMIT and some
        record = rest[: length - len(length_text) - 1]
        key, equals, value = record.rstrip(b"\n").partition(b"=")
        if not equals or len(record) != length - len(length_text) - 1 or not record.endswith(b"\n"):
            raise ArchiveRefused("The archive holds a PAX header that is not readable.")
        content = content[length:]
        if key in (b"path", b"size") or key.startswith(b"GNU.sparse"):
            found[_text(key)] = _text(value)
    return _accepted(kind, found)


def _accepted(kind: bytes, found: dict[str, str]) -> dict[str, str]:
    if any(key.startswith("GNU.sparse") for key in found):
        raise ArchiveRefused("The archive holds a sparse file; only ordinary files and folders may be in it.")
    if kind == b"g" and found:
        raise ArchiveRefused(
            "The archive names a path or size for all of its members, which is not accepted."
        )
    size = found.get("size", "0")
    if not (size.isascii() and size.isdigit() and len(size) < 20):  # noqa: PLR2004 - a file of an exabyte has 19 digits
        raise ArchiveRefused("The archive holds a PAX header whose size is not a number.")
    return found

"""The canonical form of a request: the bytes that both sides hash.

Rule: everything here works on the bytes as they were received, and decides nothing about who may do what.
Source: AWS General Reference, "Create a signed AWS API request"; S3's path is encoded once and not
normalised, every other service's path is normalised and encoded on top of the client's own encoding.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from operator import itemgetter
from urllib.parse import quote_from_bytes, unquote_to_bytes

from sagestead.wire.sigv4.faults import Breach, Fault

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CACHED_LENGTH = 512
_QUERY_LIMIT = 65_536
_TAB, _SPACE = b"\t "

Pairs = list[tuple[bytes, bytes]]


class SignedHeaders:
    """The canonical form of the headers that one SignedHeaders list names, and the list itself.

    Args:
        signed: the list as it was given.
        names: its parts, at least one; see `header.header_names`.

    Attributes:
        names: the same, to look one up.
    """

    __slots__ = ("_form", "_lines", "_names", "_pick", "names")

    def __init__(self, signed: bytes, names: tuple[bytes, ...]) -> None:
        self.names = frozenset(names)
        self._names = names
        form = b"".join([b"%b:%%b\n" % name.replace(b"%", b"%%") for name in names])
        self._form = b"%b\n%b\n" % (form, signed.replace(b"%", b"%%"))
        self._lines = len(names) + 2
        self._pick = itemgetter(*names)

    def block(self, fields: Mapping[bytes, bytes]) -> bytes:
        """Return the lines of the headers, an empty line and the list, each with its line end.

        Raises:
            Breach: a signed header is not in the request.
        """
        try:
            block: bytes = self._form % self._pick(fields)
        except KeyError:
            return self._exactly(fields)
        if _TAB in block or block.count(b"\n") != self._lines or (_SPACE in block and b"  " in block):
            return self._exactly(fields)
        return block

    def _exactly(self, fields: Mapping[bytes, bytes]) -> bytes:
        return canonical_headers(fields, self._names) + b"\n%b\n" % b";".join(self._names)


def canonical_headers(fields: Mapping[bytes, bytes], names: Iterable[bytes]) -> bytes:
    """Return one `name:value` line for each signed header, white space trimmed and collapsed.

    Raises:
        Breach: a signed header is not in the request.
    """
    try:
        return b"".join([b"%b:%b\n" % (name, _collapse(fields[name])) for name in names])
    except KeyError as missing:
        name = missing.args[0].decode("latin-1")
        sentence = f"The request has no header '{name}', which SignedHeaders names."
        raise Breach(Fault.SYNTAX, sentence) from None


def _collapse(value: bytes) -> bytes:
    if b"  " in value or b"\t" in value or b"\n" in value:
        return b" ".join(value.split())
    return value


def canonical_path(raw: bytes, *, s3: bool) -> bytes:
    """Return the canonical path of a raw one.

    Raises:
        Breach: the path is relative, has a broken escape or leaves the root.
    """
    path = _path if len(raw) <= _CACHED_LENGTH else _path.__wrapped__
    return path(raw, s3)


@lru_cache(maxsize=1024)
def _path(raw: bytes, s3: bool) -> bytes:  # noqa: FBT001 - lru_cache is fastest with positions
    if not raw.startswith(b"/") or _BROKEN_ESCAPE.search(raw):
        raise Breach(Fault.URI)
    path = unquote_to_bytes(raw) if s3 else _normalised(raw)
    return quote_from_bytes(path, safe="/-_.~").encode()


def _normalised(raw: bytes) -> bytes:
    kept: list[bytes] = []
    for segment in raw.split(b"/"):
        if segment == b"..":
            if not kept:
                raise Breach(Fault.URI, "The path leaves the root with '..'.")
            kept.pop()
        elif segment not in (b"", b"."):
            kept.append(segment)
    tail = b"/" if kept and raw.endswith(b"/") else b""
    return b"/" + b"/".join(kept) + tail


def query_pairs(raw: bytes) -> Pairs:
    """Return the decoded (name, value) pairs of a query string in order; a plus sign is a plus sign.

    Raises:
        Breach: an escape is broken, or the query is longer than 64 KiB.
    """
    if not raw:
        return []
    if len(raw) > _QUERY_LIMIT:
        raise Breach(Fault.URI, f"The query string is longer than {_QUERY_LIMIT} bytes.")
    if _BROKEN_ESCAPE.search(raw):
        raise Breach(Fault.URI)
    split = (part.partition(b"=") for part in raw.split(b"&") if part)
    return [(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in split]


def canonical_query(pairs: Pairs) -> bytes:
    """Return the query in canonical encoding, sorted by encoded name and value."""
    if not pairs:
        return b""
    encoded = sorted((_encode(name), _encode(value)) for name, value in pairs)
    return "&".join([f"{name}={value}" for name, value in encoded]).encode()


def _encode(text: bytes) -> str:
    return quote_from_bytes(text, safe="-_.~")

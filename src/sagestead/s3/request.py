"""A verified call as S3 reads it: bucket, key, query, headers.

Rule: the path is taken as it was sent, decoded once, never normalised. A presigned URL may carry `x-amz-*`
headers as query parameters; they count as headers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from sagestead.domain.errors import Refusal
from sagestead.wire.http import Call

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,10}")
_MAXIMUM_KEY = 1024


@dataclass(frozen=True, slots=True)
class S3Request:
    """What is asked.

    Attributes:
        call: the verified call.
        bucket: its name; empty: the service itself.
        key: the object's key; empty: the bucket itself.
        query: parameters that are not headers in disguise.
    """

    call: Call
    bucket: str
    key: str
    query: Mapping[str, str]

    @property
    def method(self) -> str:
        """HTTP method."""
        return self.call.request.method

    @property
    def account(self) -> str:
        """The caller's account."""
        return self.call.principal.account

    def header(self, name: str) -> str | None:
        """Return a header's value as Latin-1 text (several values joined by commas), or None."""
        values = self.call.request.headers.raw(name)
        if values:
            return b",".join(values).decode("latin-1")
        return self.query.get(name) if name.startswith("x-amz-") else None

    def headers(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Yield (name in lower case, value) of every header whose name begins so."""
        names = {name.decode("latin-1") for name, _ in self.call.request.headers.items()}
        names.update(name for name in self.query if name.startswith("x-amz-"))
        for name in sorted(names):
            if name.startswith(prefix):
                yield name, self.header(name) or ""

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """Return a whole number from the query."""
        return whole_number(name, self.query.get(name) or None, default, least, most)

    @property
    def version_id(self) -> str | None:
        """The version asked for; None: the current one."""
        return self.query.get("versionId")


def read_request(call: Call) -> S3Request:
    """Return the request that a call makes."""
    bucket, _, key = _decode(call.request.raw_path.removeprefix(b"/"), "path").partition("/")
    if len(key.encode()) > _MAXIMUM_KEY:
        raise Refusal(
            f"Your key is too long: it has {len(key.encode())} bytes, at most {_MAXIMUM_KEY} are allowed.",
            code="KeyTooLongError",
            details={"MaxSizeAllowed": str(_MAXIMUM_KEY)},
        )
    return S3Request(call, bucket, key, _read_query(call.request.raw_query))


def whole_number(name: str, text: str | None, default: int, least: int, most: int) -> int:
    """Return a whole number; beyond `most` it counts as `most`."""
    if text is None:
        return default
    if not _WHOLE_NUMBER.fullmatch(text) or int(text) < least:
        raise argument(name, text, f"a whole number from {least} to {most}")
    return min(int(text), most)


def argument(name: str, value: str, wanted: str) -> Refusal:
    """Return the refusal of an argument."""
    return Refusal(
        f"{name} must be {wanted}, not {value!r}.",
        code="InvalidArgument",
        details={"ArgumentName": name, "ArgumentValue": value},
    )


def _read_query(raw: bytes) -> dict[str, str]:
    query: dict[str, str] = {}
    for pair in raw.split(b"&"):
        if not pair:
            continue
        name, _, value = pair.replace(b"+", b" ").partition(b"=")
        decoded = _decode(name, "query")
        decoded = decoded.lower() if decoded.lower().startswith("x-amz-") else decoded
        if decoded in query:
            raise argument(decoded, _decode(value, "query"), "given once")
        query[decoded] = _decode(value, "query")
    return query


def _decode(raw: bytes, place: str) -> str:
    broken = _BROKEN_ESCAPE.search(raw)
    try:
        if broken is None:
            return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        pass
    raise Refusal(f"The {place} could not be decoded: it must be UTF-8, percent-encoded.", code="InvalidURI")

"""HTTP requests and answers, as every handler sees them.

The front door makes a `Request`; the verifier turns it into a `Call`, the only thing that handlers get:
its principal is verified, and so is every byte that its body yields.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

from sagestead.domain.identity import Principal


class Headers:
    """Header fields in order of arrival; names are compared in lower case.

    Values are the raw bytes without leading and trailing white space. Fields are never changed: what is asked
    of them is answered from a table made once.

    Attributes:
        joined: values by lower-case name; those of a repeated field joined with commas in order of arrival.
    """

    __slots__ = ("_in_order", "_repeated", "joined")

    def __init__(self, fields: Iterable[tuple[bytes, bytes]] = ()) -> None:
        given = fields if isinstance(fields, list) else list(fields)
        joined = {name.lower(): value.strip(b" \t") for name, value in given}
        self._in_order: list[tuple[bytes, bytes]] | None = None
        self._repeated: Mapping[bytes, list[bytes]] = _NONE_REPEATED
        if len(joined) != len(given):
            self._in_order = [(name.lower(), value.strip(b" \t")) for name, value in given]
            self._repeated = _repeated(self._in_order)
            joined.update((name, b",".join(values)) for name, values in self._repeated.items())
        self.joined: Final[Mapping[bytes, bytes]] = joined

    def raw(self, name: str) -> list[bytes]:
        """Return every value of a field, in order."""
        wanted = _spelled(name)
        if wanted in self._repeated:
            return list(self._repeated[wanted])
        value = self.joined.get(wanted)
        return [] if value is None else [value]

    def get(self, name: str) -> str | None:
        """Return the first value as Latin-1 text, or None."""
        wanted = _spelled(name)
        value = self.joined.get(wanted)
        if value is None:
            return None
        return (self._repeated[wanted][0] if wanted in self._repeated else value).decode("latin-1")

    def items(self) -> list[tuple[bytes, bytes]]:
        """Return (lower-case name, value) pairs in order."""
        return list(self.joined.items()) if self._in_order is None else list(self._in_order)

    def __contains__(self, name: str) -> bool:
        return _spelled(name) in self.joined


_NONE_REPEATED: Mapping[bytes, list[bytes]] = {}


def _repeated(fields: Iterable[tuple[bytes, bytes]]) -> Mapping[bytes, list[bytes]]:
    """Return the values of the fields that came more than once."""
    values: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        values.setdefault(name, []).append(value)
    return {name: several for name, several in values.items() if len(several) > 1}


@lru_cache(maxsize=256)
def _spelled(name: str) -> bytes:
    """Return a name as the table spells it."""
    return name.lower().encode("latin-1")


class Body(Protocol):
    """The bytes of a request, read once, in order, with back-pressure."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes as they arrive; sends `100 Continue` first when the client waits for it.

        Raises:
            Refusal: the body is incomplete, too large, or fails its verification.
        """
        ...

    async def read(self, limit: int) -> bytes:
        """Return the whole body; raise a 413 Refusal beyond `limit` bytes."""
        ...

    def whole(self) -> bytes | None:
        """Return the whole body, unread as before, when all of it is here and right; else None."""
        ...


@dataclass(slots=True, eq=False)
class Request:
    """A request as parsed from the socket; nothing in it is trusted.

    Never changed: the type checker holds that, for a frozen class takes three times as long to make.

    Attributes:
        method: for example `POST`.
        raw_path: the target before `?`, exactly as received.
        raw_query: the target after `?`; empty if none.
        headers: header fields.
        body: unread body.
        content_length: declared length; None when chunked; 0 when there is no body.
        secure: arrived over TLS.
        request_id: identifies the request in answers and logs.
        data: the bytes of a request that came whole and alone; else empty.
    """

    method: Final[str]
    raw_path: Final[bytes]
    raw_query: Final[bytes]
    headers: Final[Headers]
    body: Final[Body]
    content_length: Final[int | None]
    secure: Final[bool]
    request_id: Final[str]
    data: Final[bytes] = b""


@dataclass(slots=True, eq=False)
class Call:
    """A verified request; never changed, as `Request`.

    Attributes:
        request: the request; use its method, path, query and headers, but not its body.
        principal: the verified caller.
        body: the body, verified as it is read, without transfer or aws-chunked coding.
        length: length of the decoded body, when it was declared.
    """

    request: Final[Request]
    principal: Final[Principal]
    body: Final[Body]
    length: Final[int | None]


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer's body that is produced as it is sent. `length` None: sent chunked."""

    length: int | None
    chunks: AsyncIterator[bytes]


@dataclass(slots=True)
class Response:
    """An answer. The front door adds Date, Content-Length or Transfer-Encoding, and Connection.

    Attributes:
        status: HTTP's.
        headers: fields; a tuple that many answers share costs least.
        body: content.
        request_id: sent as x-amzn-RequestId; empty when the answer is not named so.
    """

    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | Stream = b""
    request_id: str = ""


Handler = Callable[[Call], Response | Awaitable[Response]]
"""Answers a verified call: at once when nothing has to be waited for, else by an awaitable."""

Again = Callable[[Principal, bytes], Response | Awaitable[Response]]
"""Answers a verified call that is an earlier one again, but for who calls and for the body."""

App = Callable[[Request], Response | Awaitable[Response]]
"""Answers a request, in the same two ways."""

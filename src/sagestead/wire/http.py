"""HTTP requests and answers, as every handler sees them.

The front door makes a `Request`; the verifier turns it into a `Call`, the only thing that handlers get:
its principal is verified, and so is every byte that its body yields.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from sagestead.domain.identity import Principal


class Headers:
    """Header fields in order of arrival; names are compared in lower case.

    Values are the raw bytes without leading and trailing white space.
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self._fields = [(name.lower(), value.strip(b" \t")) for name, value in fields]

    def raw(self, name: str) -> list[bytes]:
        """Return every value of a field, in order."""
        wanted = name.lower().encode("latin-1")
        return [value for field_name, value in self._fields if field_name == wanted]

    def get(self, name: str) -> str | None:
        """Return the first value as Latin-1 text, or None."""
        values = self.raw(name)
        return values[0].decode("latin-1") if values else None

    def items(self) -> list[tuple[bytes, bytes]]:
        """Return (lower-case name, value) pairs in order."""
        return list(self._fields)

    def __contains__(self, name: str) -> bool:
        return bool(self.raw(name))


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


@dataclass(frozen=True, slots=True)
class Request:
    """A request as parsed from the socket; nothing in it is trusted.

    Attributes:
        method: for example `POST`.
        raw_path: the target before `?`, exactly as received.
        raw_query: the target after `?`; empty if none.
        headers: header fields.
        body: unread body.
        content_length: declared length; None when chunked; 0 when there is no body.
        secure: arrived over TLS.
        request_id: identifies the request in answers and logs.
    """

    method: str
    raw_path: bytes
    raw_query: bytes
    headers: Headers
    body: Body
    content_length: int | None
    secure: bool
    request_id: str


@dataclass(frozen=True, slots=True)
class Call:
    """A verified request.

    Attributes:
        request: the request; use its method, path, query and headers, but not its body.
        principal: the verified caller.
        body: the body, verified as it is read, without transfer or aws-chunked coding.
        length: length of the decoded body, when it was declared.
    """

    request: Request
    principal: Principal
    body: Body
    length: int | None


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer's body that is produced as it is sent. `length` None: sent chunked."""

    length: int | None
    chunks: AsyncIterator[bytes]


@dataclass(slots=True)
class Response:
    """An answer. The front door adds Date, Content-Length or Transfer-Encoding, and Connection."""

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | Stream = b""


Handler = Callable[[Call], Response | Awaitable[Response]]
"""Answers a verified call: at once when nothing has to be waited for, else by an awaitable."""

App = Callable[[Request], Response | Awaitable[Response]]
"""Answers a request, in the same two ways."""

"""The head of a request checked, and the head of an answer written.

Rule: a request that two HTTP parsers could read differently is refused (RFC 9112; spec security.md rule 5).
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from sagestead.domain.errors import Refusal
from sagestead.frontdoor.limits import Limits
from sagestead.wire.http import Headers, Response, Stream

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(:[0-9]{1,5})?\Z")
_LONGEST_HOST = 261
_TARGET = bytes(code for code in range(33, 256) if code not in b"#\x7f")
_NO_BODY = frozenset({204, 304})
_MADE = 512
"""Beginnings that are kept at most."""

Fields = Sequence[tuple[str, str]]


def refuse(sentence: str, status: int = 400) -> Refusal:
    """Return the refusal of a malformed request; the connection is closed after it."""
    return Refusal(sentence, code="BadRequest", status=status)


def malformed(refusal: Refusal) -> Response:
    """Return the answer to what could not be read as a request: no service, hence no service's error form."""
    body = f"{refusal.sentence}\n".encode()
    return Response(refusal.status, [("Content-Type", "text/plain; charset=utf-8")], body)


def check_target(target: bytes, limits: Limits) -> None:
    """Refuse a target that is not in origin form, or too long."""
    if len(target) > limits.target:
        raise refuse(f"The request target is longer than {limits.target} bytes.", 414)
    if target[:1] != b"/" or target.translate(None, _TARGET):
        raise refuse("The request target must be a path that begins with '/', percent-encoded.")


def check_fields(fields: Sequence[tuple[bytes, bytes]], limits: Limits, more: int) -> None:
    """Refuse a head or trailer section that is too long; `more`: bytes that it has besides its fields.

    Names that are no tokens and control characters in values were refused by the parser.
    """
    if more + sum([len(name) + len(value) for name, value in fields]) > limits.head:
        raise too_long(limits)
    if len(fields) > limits.fields:
        raise too_many(limits)


def too_long(limits: Limits) -> Refusal:
    """Return the refusal of a head, a trailer section or the framing of a chunk that does not end."""
    return refuse(f"The request head is longer than {limits.head} bytes.", 431)


def too_many(limits: Limits) -> Refusal:
    """Return the refusal of a head or a trailer section of too many fields."""
    return refuse(f"The request has more than {limits.fields} header fields.", 431)


def body_length(headers: Headers, method: str) -> int | None:
    """Return the declared body length: None when chunked, 0 when there is no body.

    Raises:
        Refusal: framing other than: nothing, one decimal Content-Length, `Transfer-Encoding: chunked`.
    """
    length = headers.joined.get(b"content-length")  # two of them read `1,1`, which is no number
    coding = headers.joined.get(b"transfer-encoding")
    if length is not None and coding is not None:
        raise refuse("Content-Length and Transfer-Encoding together are refused.")
    if coding is not None:
        if coding.lower() != b"chunked":
            raise refuse("Transfer-Encoding must be 'chunked'.")
        return None
    if length is None:
        return 0
    if not length.isdigit() or len(length) > 18:  # noqa: PLR2004 - below 2**63
        raise refuse(f"Content-Length of this {method} must be one decimal number.")
    return int(length)


def check_host(headers: Headers) -> None:
    """Refuse anything but exactly one well-formed Host."""
    host = headers.joined.get(b"host", b"")  # two of them hold a comma
    if len(host) > _LONGEST_HOST or not _is_host(host):
        raise refuse("The request needs exactly one valid Host header.")


@lru_cache(maxsize=256)
def _is_host(host: bytes) -> bool:
    return _HOST.match(host) is not None


def reason(status: int) -> str:
    """Return the reason phrase of a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class Beginnings:
    """How answers begin: the status line, Date, Server and the answer's own fields, made once a second."""

    __slots__ = ("_made", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._made: dict[tuple[int, Fields], tuple[bytes, bool]] = {}

    def of(self, status: int, fields: Fields) -> tuple[bytes, bool]:
        """Return the beginning of an answer that is sent now, and whether its length is among the fields.

        A tuple of fields is taken for one that many answers have.
        """
        second = int(time.time())
        if second != self._second or len(self._made) > _MADE:
            self._second = second
            self._made.clear()
        if not isinstance(fields, tuple):
            return self._make(status, fields)
        asked = (status, fields)
        made = self._made.get(asked)
        if made is None:
            made = self._made[asked] = self._make(status, fields)
        return made

    def _make(self, status: int, fields: Fields) -> tuple[bytes, bool]:
        date = formatdate(self._second, usegmt=True)
        lines = [f"HTTP/1.1 {status} {reason(status)}\r\nDate: {date}\r\nServer: Sagestead\r\n"]
        for name, value in fields:
            lines.append(f"{name}: {value if value.isprintable() else value.translate(_CONTROLS)}\r\n")
        measured = any(name.lower() == "content-length" for name, _ in fields)
        return "".join(lines).encode("latin-1", "replace"), measured


def answer_head(response: Response, beginnings: Beginnings, *, method: str, keep: bool) -> bytes:
    """Return an answer's beginning, what depends on this very answer, and the blank line that ends it."""
    beginning, measured = beginnings.of(response.status, response.headers)
    end = b"\r\n" if keep else b"Connection: close\r\n\r\n"
    if response.request_id:
        beginning += b"x-amzn-RequestId: %b\r\n" % response.request_id.encode()
    if measured or response.status in _NO_BODY:
        return beginning + end
    length = response.body.length if isinstance(response.body, Stream) else len(response.body)
    if length is not None:
        return b"%bContent-Length: %d\r\n%b" % (beginning, length, end)
    return beginning + (b"" if method == "HEAD" else b"Transfer-Encoding: chunked\r\n") + end


def has_body(response: Response, method: str) -> bool:
    """True when the answer's body is sent."""
    return method != "HEAD" and response.status not in _NO_BODY


_CONTROLS = {code: " " for code in [*range(32), 127] if code != 9}  # noqa: PLR2004 - tab may stay

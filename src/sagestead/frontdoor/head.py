"""The head of a request checked, and the head of an answer written.

Rule: a request that two HTTP parsers could read differently is refused (RFC 9112; spec security.md rule 5).
"""

from __future__ import annotations

import re
import time
from email.utils import formatdate
from http import HTTPStatus

from sagestead.domain.errors import Refusal
from sagestead.frontdoor.limits import Limits
from sagestead.wire.http import Headers, Response, Stream

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(:[0-9]{1,5})?\Z")
_TARGET = re.compile(rb"/[\x21-\x7e\x80-\xff]*\Z")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*\Z")
_NO_BODY = frozenset({204, 304})


def refuse(sentence: str, status: int = 400) -> Refusal:
    """Return the refusal of a malformed request; the connection is closed after it."""
    return Refusal(sentence, code="BadRequest", status=status)


def check_target(target: bytes, limits: Limits) -> None:
    """Refuse a target that is not in origin form, or too long."""
    if len(target) > limits.target:
        raise refuse(f"The request target is longer than {limits.target} bytes.", 414)
    if not _TARGET.match(target) or b"#" in target:
        raise refuse("The request target must be a path that begins with '/', percent-encoded.")


def check_field(name: bytes, value: bytes) -> None:
    """Refuse a field name that is no token, and control characters in a value."""
    if not _TOKEN.match(name):
        raise refuse("A header field name holds a character that is not allowed.")
    if not _VALUE.match(value):
        raise refuse("A header field value holds a control character.")


def body_length(headers: Headers, method: str) -> int | None:
    """Return the declared body length: None when chunked, 0 when there is no body.

    Raises:
        Refusal: framing other than: nothing, one decimal Content-Length, `Transfer-Encoding: chunked`.
    """
    lengths = headers.raw("content-length")
    codings = headers.raw("transfer-encoding")
    if lengths and codings:
        raise refuse("Content-Length and Transfer-Encoding together are refused.")
    if codings:
        if [coding.lower() for coding in codings] != [b"chunked"]:
            raise refuse("Transfer-Encoding must be 'chunked'.")
        return None
    if not lengths:
        return 0
    if len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > 18:  # noqa: PLR2004 - below 2**63
        raise refuse(f"Content-Length of this {method} must be one decimal number.")
    return int(lengths[0])


def check_host(headers: Headers) -> None:
    """Refuse anything but exactly one well-formed Host."""
    hosts = headers.raw("host")
    if len(hosts) != 1 or not _HOST.match(hosts[0]):
        raise refuse("The request needs exactly one valid Host header.")


def reason(status: int) -> str:
    """Return the reason phrase of a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class Dates:
    """The Date header, formatted once a second."""

    __slots__ = ("_second", "_text")

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def now(self) -> str:
        """Return the current date in RFC 9110 form."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._text = formatdate(second, usegmt=True)
        return self._text


def answer_head(response: Response, *, method: str, date: str, keep: bool) -> bytes:
    """Return the status line and header fields of an answer, with the blank line that ends them."""
    lines = [f"HTTP/1.1 {response.status} {reason(response.status)}", f"Date: {date}", "Server: Sagestead"]
    names = set()
    for name, value in response.headers:
        names.add(name.lower())
        lines.append(f"{name}: {value.translate(_CONTROLS)}")
    if "content-length" not in names and response.status not in _NO_BODY:
        length = response.body.length if isinstance(response.body, Stream) else len(response.body)
        if length is not None:
            lines.append(f"Content-Length: {length}")
        elif method != "HEAD":
            lines.append("Transfer-Encoding: chunked")
    if not keep:
        lines.append("Connection: close")
    lines.append("\r\n")
    return "\r\n".join(lines).encode("latin-1", "replace")


def has_body(response: Response, method: str) -> bool:
    """True when the answer's body is sent."""
    return method != "HEAD" and response.status not in _NO_BODY


_CONTROLS = {code: " " for code in [*range(32), 127] if code != 9}  # noqa: PLR2004 - tab may stay

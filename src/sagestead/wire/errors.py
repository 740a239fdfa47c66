"""Refusals as each protocol writes them.

Rule: this is the only place that turns a `Refusal` into bytes. Every answer names its request in a header,
and nothing of the request is repeated in it except what the refusal itself says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Literal
from xml.sax.saxutils import escape

from sagestead.domain.errors import Refusal
from sagestead.wire.http import Response

Protocol = Literal["json", "rest-json", "query", "rest-xml"]

_MODELLED = frozenset(
    {
        "ConflictException",
        "ResourceAlreadyExists",
        "ResourceInUse",
        "ResourceLimitExceeded",
        "ResourceNotFound",
    }
)
_ILLEGAL_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ELEMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_NOT_MODIFIED = 304
_SERVER_FAULT = 500

Headers = list[tuple[str, str]]


def render(refusal: Refusal, protocol: Protocol, method: str, request_id: str) -> Response:
    """Return the answer that says no, in the form of `protocol`.

    An answer to HEAD, and one of status 304, has no body.
    """
    headers, body = _FORMS[protocol](refusal, request_id)
    headers += refusal.headers.items()
    if method == "HEAD" or refusal.status == _NOT_MODIFIED:
        body = b""
        headers = [header for header in headers if header[0] != "Content-Type"]
    return named(Response(refusal.status, headers, body), protocol, request_id)


def named(response: Response, protocol: Protocol, request_id: str) -> Response:
    """Return an answer that names its request: S3 in two fields of its own."""
    if protocol == "rest-xml":
        response.headers = [*response.headers, ("x-amz-request-id", request_id), ("x-amz-id-2", request_id)]
    else:
        response.request_id = request_id
    return response


def xml_text(text: str) -> str:
    """Return text escaped for XML; characters that XML 1.0 cannot hold become U+FFFD."""
    return escape(_ILLEGAL_XML.sub("\ufffd", text))


def _json(refusal: Refusal, _request_id: str) -> tuple[Headers, bytes]:
    member = "Message" if refusal.code in _MODELLED else "message"
    content = {"__type": refusal.code, member: refusal.sentence, **refusal.details}
    return [("Content-Type", "application/x-amz-json-1.1")], json.dumps(content).encode()


def _rest_json(refusal: Refusal, _request_id: str) -> tuple[Headers, bytes]:
    content = dict(refusal.details)
    if "Message" not in content:
        content = {"message": refusal.sentence, **content}
    headers = [("Content-Type", "application/json"), ("x-amzn-ErrorType", refusal.code)]
    return headers, json.dumps(content).encode()


def _query(refusal: Refusal, request_id: str) -> tuple[Headers, bytes]:
    fault = "Receiver" if refusal.status >= _SERVER_FAULT else "Sender"
    error = _elements([("Type", fault), ("Code", refusal.code), ("Message", refusal.sentence)])
    error += _elements(refusal.details.items())
    tail = _elements([("RequestId", request_id)])
    text = f"<ErrorResponse><Error>{error}</Error>{tail}</ErrorResponse>"
    return [("Content-Type", "text/xml")], text.encode()


def _rest_xml(refusal: Refusal, request_id: str) -> tuple[Headers, bytes]:
    error = _elements([("Code", refusal.code), ("Message", refusal.sentence)])
    error += _elements(refusal.details.items())
    error += _elements([("RequestId", request_id), ("HostId", request_id)])
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{error}</Error>'
    return [("Content-Type", "application/xml")], text.encode()


def _elements(pairs: Iterable[tuple[str, str | int]]) -> str:
    return "".join(
        f"<{name}>{xml_text(str(value))}</{name}>" for name, value in pairs if _ELEMENT.fullmatch(name)
    )


_FORMS: dict[Protocol, Callable[[Refusal, str], tuple[Headers, bytes]]] = {
    "json": _json,
    "rest-json": _rest_json,
    "query": _query,
    "rest-xml": _rest_xml,
}

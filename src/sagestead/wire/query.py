"""The Query protocol of IAM and STS: forms to checked requests, and answers to XML.

Rule: `decode` gives what `awsjson.decode` would give for the same request; the form names members with
dots (`Tags.member.1.Key`). Nothing of a form is allocated by an index that the client chose.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_to_bytes
from xml.sax.saxutils import escape

from sagestead.domain.errors import Invalid
from sagestead.domain.resources import Json
from sagestead.wire.constraints import failures, sentence
from sagestead.wire.models import service_model
from sagestead.wire.shapes import Shape
from sagestead.wire.values import Misfit, read_blob, read_number, read_time

MOST_FIELDS = 5000
DEEPEST = 32
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,300}(\.[0-9]{0,300})?([eE][+-]?[0-9]{1,3})?")
_INDEX = re.compile(r"[1-9][0-9]{0,8}")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Tree = dict[str, Any]


class Misformed(Invalid):
    """A form that cannot be read, or breaks constraints, in the code that Query services use."""

    code = "ValidationError"


def form(body: bytes) -> dict[str, str]:
    """Return the fields of a form.

    Raises:
        Misformed: it is not UTF-8 form data, repeats a field, or has more than 5,000 fields.
    """
    if body.count(b"&") >= MOST_FIELDS:
        raise Misformed(f"The form has more than {MOST_FIELDS} fields; send fewer.")
    fields: dict[str, str] = {}
    for pair in body.split(b"&"):
        if not pair:
            continue
        name, _, value = pair.partition(b"=")
        key = _text(name)
        if key in fields:
            raise Misformed(f"The field '{key[:100]}' appears twice in the form; send it once.")
        fields[key] = _text(value)
    return fields


def decode(service: str, operation: str, fields: Mapping[str, str]) -> Json:
    """Return the request's members, checked against the operation's shape.

    Raises:
        Misformed: a value has the wrong type, or constraints are broken (one sentence names all).
        KeyError: AWS has no such operation.
    """
    shape = service_model(service).operation(operation).input
    if shape is None:
        return {}
    try:
        request: Json = _read(shape, _tree(fields), "")
    except Misfit as misfit:
        raise Misformed(str(misfit)) from None
    found = failures(shape, request)
    if found:
        raise Misformed(sentence(found))
    return request


def encode(service: str, operation: str, answer: Json, request_id: str) -> bytes:
    """Return the XML of an answer: only members that AWS's shape has, none that is None."""
    model = service_model(service)
    facts = model.operation(operation)
    inner = ""
    if facts.output is not None and facts.result_wrapper is not None:
        inner = _element(facts.result_wrapper, _content(facts.output, answer))
    metadata = _element("ResponseMetadata", _element("RequestId", escape(request_id)))
    opening = f'<{operation}Response xmlns="{model.namespace}">'
    return f"{opening}{inner}{metadata}</{operation}Response>".encode()


def _text(coded: bytes) -> str:
    try:
        return unquote_to_bytes(coded.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise Misformed("The form is not UTF-8; percent-encode UTF-8 text.") from None


def _tree(fields: Mapping[str, str]) -> Tree:
    """Return the fields nested by the dots in their names; a value and a branch may share a name."""
    root: Tree = {}
    for name, value in fields.items():
        parts = name.split(".", DEEPEST)
        if len(parts) > DEEPEST:
            raise Misformed(f"The field '{name[:100]}' is nested deeper than {DEEPEST} levels; flatten it.")
        if "" in parts:
            raise Misformed(f"The field '{name[:100]}' has an empty part in its name; name every part.")
        node = root
        for part in parts:
            node = node.setdefault(part, {})
        node[""] = value
    return root


def _read(shape: Shape, tree: Tree, path: str) -> Any:  # noqa: ANN401 - any member's type
    match shape.kind:
        case "structure":
            return {
                name: _read(member, tree[name], f"{path}.{name}" if path else name)
                for name, member in shape.members.items()
                if name in tree
            }
        case "list":
            items = _numbered(tree.get("member", {}), path)
            return [_read(shape.element, item, f"{path}.member") for item in items]
        case "map":
            entries = _numbered(tree.get("entry", {}), path)
            return {
                entry.get("key", {}).get("", ""): _read(
                    shape.element, entry.get("value", {}), f"{path}.value"
                )
                for entry in entries
            }
    if "" not in tree:
        raise Misfit(f"'{path}' must be one value, not a structure; send {path}=value.")
    return _scalar(shape, tree[""], path)


def _numbered(tree: Tree, path: str) -> Iterator[Tree]:
    """Yield the branches `1`, `2`, … in order of their numbers."""
    numbered: dict[int, Tree] = {}
    for index, branch in tree.items():
        if not _INDEX.fullmatch(index):
            raise Misfit(f"'{index[:40]}' in '{path}' is not a list index; number the items from 1.")
        numbered[int(index)] = branch
    for number in sorted(numbered):
        yield numbered[number]


def _scalar(shape: Shape, text: str, path: str) -> Any:  # noqa: ANN401 - any member's type
    match shape.kind:
        case "boolean":
            if text.lower() not in {"true", "false"}:
                raise Misfit(f"'{text[:40]}' at '{path}' is neither true nor false; send one of them.")
            return text.lower() == "true"
        case "integer" | "long":
            if not _WHOLE.fullmatch(text):
                raise Misfit(f"'{text[:40]}' at '{path}' is not a whole number; send one.")
            return read_number(shape, int(text), path)
        case "float" | "double":
            if not _DECIMAL.fullmatch(text):
                raise Misfit(f"'{text[:40]}' at '{path}' is not a number; send one.")
            return read_number(shape, float(text), path)
        case "timestamp":
            return read_time(text, path)
        case "blob":
            return read_blob(text, path)
    return text


def _element(name: str, content: str) -> str:
    return f"<{name}>{content}</{name}>"


def _content(shape: Shape, value: Any) -> str:  # noqa: ANN401 - any member's type
    match shape.kind:
        case "structure":
            parts: Iterator[str] = (
                _element(name, _content(member, value[name]))
                for name, member in shape.members.items()
                if value.get(name) is not None
            )
        case "list":
            parts = (_element("member", _content(shape.element, item)) for item in value)
        case "map":
            parts = (
                f"<entry><key>{_plain(key)}</key><value>{_content(shape.element, item)}</value></entry>"
                for key, item in value.items()
            )
        case "boolean":
            parts = iter((str(value).lower(),))
        case "timestamp":
            parts = iter((_time(value),))
        case "blob":
            parts = iter((base64.b64encode(value).decode("ascii"),))
        case _:
            parts = iter((_plain(str(value)),))
    return "".join(parts)


def _plain(text: str) -> str:
    """Return text for XML; characters that XML cannot hold become U+FFFD."""
    return escape(_NOT_XML.sub("\ufffd", text), {"\r": "&#13;"})


def _time(moment: float) -> str:
    """Return ISO 8601 in UTC; milliseconds only when there are any."""
    stamp = datetime.fromtimestamp(round(moment, 3), UTC)
    return stamp.isoformat(timespec="milliseconds" if stamp.microsecond else "seconds")[:-6] + "Z"

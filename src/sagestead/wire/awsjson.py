"""AWS JSON 1.0 and 1.1: bodies to checked requests, and answers to bodies.

Rule: what `decode` returns fits the operation's shape: types, required members, every constraint; nulls and
members that AWS does not know are gone. What does not fit is refused with AWS's code; no body, however
malformed, gets further. Timestamps are seconds since the epoch inside.
"""

from __future__ import annotations

import base64
import codecs
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any, NoReturn

from sagestead.domain.errors import Invalid
from sagestead.domain.resources import Json
from sagestead.wire.constraints import failures, sentence
from sagestead.wire.models import service_model
from sagestead.wire.shapes import Shape
from sagestead.wire.values import Misfit, read_blob, read_number, read_time

DEEPEST = 64
_ANCHORED = frozenset({"sagemaker"})
_CODES = MappingProxyType({"logs": "InvalidParameterException", "cloudwatch": "InvalidParameterValue"})
_LONGEST_NUMBER = 400
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*(?:"|\Z)|(?P<open>[\[{])|(?P<close>[\]}])', re.DOTALL)
_JAVA_TYPES = {"string": "String", "integer": "Integer", "long": "Long", "float": "Float"}
_JAVA_TYPES |= {"double": "Double", "boolean": "Boolean", "timestamp": "Date", "blob": "Blob"}


class Malformed(Invalid):
    """The body is not JSON, or a value has the wrong type."""

    code = "SerializationException"


def decode(service: str, operation: str, body: bytes) -> Json:
    """Return the request's members, checked against the operation's shape.

    Raises:
        Malformed: the body is not a JSON object, or a value has another type than its member.
        Invalid: constraints are broken; one sentence names all of them.
        KeyError: AWS has no such operation.
    """
    shape = service_model(service).operation(operation).input
    value = _parse(body)
    if not isinstance(value, dict):
        raise Malformed(f"The request body must be a JSON object, not {_token(value)}.")
    if shape is None:
        return {}
    try:
        request: Json = _read(shape, value, "")
    except Misfit as misfit:
        raise Malformed(str(misfit)) from None
    found = failures(shape, request, "^" if service in _ANCHORED else "")
    if found:
        raise Invalid(sentence(found), code=_CODES.get(service))
    return request


def encode(service: str, operation: str, answer: Json) -> bytes:
    """Return the body of an answer: only members that AWS's shape has, none that is None.

    An operation without an output shape has an empty body.
    """
    shape = service_model(service).operation(operation).output
    if shape is None:
        return b""
    text = json.dumps(_write(shape, answer), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def defects(service: str, operation: str, answer: Json) -> list[str]:
    """Return what is wrong with an answer, for tests: members unknown to AWS, required ones that lack."""
    shape = service_model(service).operation(operation).output
    if shape is None:
        return [f"unknown: {name}" for name in answer]
    return list(_defects(shape, answer, ""))


def _parse(body: bytes) -> Any:  # noqa: ANN401 - JSON of any type
    if not body.strip():
        return {}
    if body.startswith(codecs.BOM_UTF8):
        raise Malformed("The request body begins with a byte order mark; send JSON without one.")
    if body.count(b"[") + body.count(b"{") > DEEPEST:
        _check_depth(body)
    try:
        value = json.loads(
            body.decode(),
            object_pairs_hook=_unique,
            parse_constant=_not_a_number,
            parse_float=_finite,
            parse_int=_whole,
        )
        if rb"\ud" in body.lower():
            json.dumps(value, ensure_ascii=False).encode()  # refuses half a surrogate pair
    except UnicodeError:
        raise Malformed("The request body is not valid UTF-8; send JSON encoded as UTF-8.") from None
    except ValueError as error:
        raise Malformed(f"The request body is not valid JSON: {error}.") from None
    return value


def _check_depth(body: bytes) -> None:
    depth = 0
    for token in _TOKENS.finditer(body):
        if token["open"]:
            depth += 1
            if depth > DEEPEST:
                raise Malformed(f"The request body is nested deeper than {DEEPEST} levels; flatten it.")
        elif token["close"]:
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> Json:
    members = dict(pairs)
    if len(members) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise Malformed(f"The member '{twice[:100]}' appears twice in one object; send it once.")
    return members


def _not_a_number(text: str) -> NoReturn:
    raise Malformed(f"{text} is not a JSON number; send a finite number.")


def _whole(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise Malformed(f"The number {text[:40]}… is too long; send at most {_LONGEST_NUMBER} digits.")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise Malformed(f"The number {text[:40]} is too large; send a finite number.")
    return value


def _token(value: Any) -> str:  # noqa: ANN401 - JSON of any type
    """Return AWS's word for a JSON value where another type is expected."""
    if isinstance(value, bool):
        return "TRUE_VALUE" if value else "FALSE_VALUE"
    if value is None:
        return "NULL_VALUE"
    if isinstance(value, list):
        return "START_ARRAY"
    return "STRING_VALUE" if isinstance(value, str) else "NUMBER_VALUE"


def _misfit(shape: Shape, value: Any, path: str) -> Misfit:  # noqa: ANN401 - JSON of any type
    if isinstance(value, dict):
        return Misfit(f"Start of structure or map found where not expected, at '{path}'.")
    if isinstance(value, list):
        return Misfit(f"Start of list found where not expected, at '{path}'.")
    if shape.kind in _JAVA_TYPES:
        article = "an" if shape.kind == "integer" else "a"
        return Misfit(
            f"{_token(value)} can not be converted to {article} {_JAVA_TYPES[shape.kind]}, at '{path}'."
        )
    return Misfit(f"Expected {'list' if shape.kind == 'list' else 'map'} or null, at '{path}'.")


def _read(shape: Shape, value: Any, path: str) -> Any:  # noqa: ANN401 - JSON of any type
    """Return a value in the types that operations use; raise `Misfit` for a wrong type."""
    match shape.kind, value:
        case "structure", dict():
            fit: Any = {
                name: _read(member, value[name], f"{path}.{name}" if path else name)
                for name, member in shape.members.items()
                if value.get(name) is not None
            }
        case "list", list():
            fit = [_item(shape.element, item, f"{path}[{index}]") for index, item in enumerate(value)]
        case "map", dict():
            fit = {key: _item(shape.element, item, f"{path}.{key[:100]}") for key, item in value.items()}
        case ("string", str()) | ("boolean", bool()):
            fit = value
        case (("integer" | "long" | "float" | "double" | "timestamp"), int() | float()):
            if isinstance(value, bool):
                raise _misfit(shape, value, path)
            fit = read_number(shape, value, path)
        case "timestamp", str():
            fit = read_time(value, path)
        case "blob", str():
            fit = read_blob(value, path)
        case _:
            raise _misfit(shape, value, path)
    return fit


def _item(shape: Shape, value: Any, path: str) -> Any:  # noqa: ANN401 - JSON of any type
    """Return an element; a null stays for the constraint check to report."""
    return None if value is None else _read(shape, value, path)


def _write(shape: Shape, value: Any) -> Any:  # noqa: ANN401 - JSON of any type
    match shape.kind:
        case "structure":
            written: Any = {
                name: _write(member, value[name])
                for name, member in shape.members.items()
                if value.get(name) is not None
            }
        case "list":
            written = [_write(shape.element, item) for item in value]
        case "map":
            written = {key: _write(shape.element, item) for key, item in value.items() if item is not None}
        case "timestamp":
            written = round(value, 3)
        case "blob":
            written = base64.b64encode(value).decode("ascii")
        case "float" | "double" if not math.isfinite(value):
            written = "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
        case _:
            written = value
    return written


def _defects(shape: Shape, value: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - JSON of any type
    if shape.kind == "structure":
        present = {name: item for name, item in value.items() if item is not None}
        yield from (f"unknown: {path}{name}" for name in present if name not in shape.members)
        yield from (f"missing: {path}{name}" for name in sorted(shape.required - set(present)))
        for name, item in present.items():
            if name in shape.members:
                yield from _defects(shape.members[name], item, f"{path}{name}.")
    elif shape.kind == "list":
        for index, item in enumerate(value):
            yield from _defects(shape.element, item, f"{path}{index}.")

"""Constraint checks: every rule of a shape tree, reported together in AWS's own sentences.

Rule: the grammar is AWS's to the letter (`1 validation error detected: Value 'x' at 'modelName' failed to
satisfy constraint: …`); failures come in the order of the shape's members. A sensitive value is never
repeated, and neither is the whole of a very long one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sagestead.wire.patterns import compiled
from sagestead.wire.shapes import NUMBERS, Shape

MOST_FOUND = 1000
LISTED = 100
SHOWN = 1024
REDACTED = "***Sensitive Data Redacted***"


@dataclass(frozen=True, slots=True)
class Failure:
    """One broken rule. `shown` is the value as the sentence repeats it: quoted, `null`, or empty."""

    path: str
    shown: str
    rule: str

    def __str__(self) -> str:
        value = f"Value {self.shown} at" if self.shown else "Value at"
        return f"{value} '{self.path}' failed to satisfy constraint: {self.rule}"


def sentence(found: list[Failure]) -> str:
    """Return the one sentence that reports all failures (at most the first hundred are spelled out)."""
    count = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected"
    return f"{count}: {'; '.join(str(failure) for failure in found[:LISTED])}"


def failures(shape: Shape, value: Any, anchor: str = "") -> list[Failure]:  # noqa: ANN401 - any decoded value
    """Return the broken rules of a decoded value (the first thousand), in the order of the shape's members.

    `anchor` is what the service prints before a pattern (`^` in SageMaker's sentences).
    """
    return list(islice(_Checker(anchor).of(shape, value, ""), MOST_FOUND))


@dataclass(frozen=True, slots=True)
class _Checker:
    anchor: str

    def of(self, shape: Shape, value: Any, path: str) -> Iterator[Failure]:  # noqa: ANN401 - any value
        """Yield the failures of a value and of all that it holds."""
        for rule in self.rules(shape, value):
            yield Failure(path, _shown(shape, value), rule)
        if shape.kind == "structure":
            yield from self._structure(shape, value, path)
        elif shape.kind == "list":
            yield from self._list(shape, value, path)
        elif shape.kind == "map":
            yield from self._map(shape, value, path)

    def rules(self, shape: Shape, value: Any) -> Iterator[str]:  # noqa: ANN401 - any value
        """Yield the rules that the value itself breaks, not its parts."""
        if shape.kind in NUMBERS:
            yield from _bounds("value", value, shape)
        elif shape.kind in {"string", "list", "map", "blob"}:
            yield from _bounds("length", len(value), shape)
        if shape.kind == "string":
            if shape.pattern is not None and not _matches(shape, value):
                anchor = "" if shape.pattern.startswith("^") else self.anchor
                yield f"Member must satisfy regular expression pattern: {anchor}{shape.pattern}"
            if shape.enum and value not in shape.enum:
                yield f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"

    def _structure(self, shape: Shape, value: dict[str, Any], path: str) -> Iterator[Failure]:
        for name, member in shape.members.items():
            place = _join(path, name[:1].lower() + name[1:])
            if name in value:
                yield from self.of(member, value[name], place)
            elif name in shape.required:
                yield Failure(place, "null", "Member must not be null")

    def _list(self, shape: Shape, value: list[Any], path: str) -> Iterator[Failure]:
        element = shape.element
        simple = element.kind not in {"structure", "list", "map"}
        for index, item in enumerate(value, 1):
            place = f"{path}.{index}.member"
            if item is None:
                yield Failure(place, "null", "Member must not be null")
            elif not simple:
                yield from self.of(element, item, place)
        if simple and any(item is not None and any(self.rules(element, item)) for item in value):
            yield Failure(path, _shown(shape, value), f"Member must satisfy constraint: {self._all(element)}")

    def _map(self, shape: Shape, value: dict[str, Any], path: str) -> Iterator[Failure]:
        element = shape.element
        if shape.key is not None and any(any(self.rules(shape.key, key)) for key in value):
            rule = f"Map keys must satisfy constraint: {self._all(shape.key)}"
            yield Failure(path, _shown(shape, value), rule)
        simple = element.kind not in {"structure", "list", "map"}
        for key, item in value.items():
            if item is None:
                yield Failure(f"{path}.{key}.member", "null", "Member must not be null")
            elif not simple:
                yield from self.of(element, item, f"{path}.{key}.member")
        if simple and any(item is not None and any(self.rules(element, item)) for item in value.values()):
            rule = f"Map value must satisfy constraint: {self._all(element)}"
            yield Failure(path, _shown(shape, value), rule)

    def _all(self, shape: Shape) -> str:
        """Return every rule of a simple shape, as a bracket in AWS's sentences lists them."""
        what = "value" if shape.kind in NUMBERS else "length"
        rules = []
        if shape.maximum is not None:
            rules.append(f"Member must have {what} less than or equal to {_number(shape.maximum)}")
        if shape.minimum is not None:
            rules.append(f"Member must have {what} greater than or equal to {_number(shape.minimum)}")
        if shape.pattern is not None:
            anchor = "" if shape.pattern.startswith("^") else self.anchor
            rules.append(f"Member must satisfy regular expression pattern: {anchor}{shape.pattern}")
        if shape.enum:
            rules.append(f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")
        return f"[{', '.join(rules)}]"


def _bounds(what: str, measure: float, shape: Shape) -> Iterator[str]:
    if shape.maximum is not None and measure > shape.maximum:
        yield f"Member must have {what} less than or equal to {_number(shape.maximum)}"
    if shape.minimum is not None and measure < shape.minimum:
        yield f"Member must have {what} greater than or equal to {_number(shape.minimum)}"


def _matches(shape: Shape, value: str) -> bool:
    """True when the pattern matches; a string far beyond its greatest length is refused for that alone."""
    if shape.maximum is not None and len(value) > max(shape.maximum, SHOWN):
        return True
    return compiled(shape.pattern or "").fullmatch(value) is not None


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def _shown(shape: Shape, value: Any) -> str:  # noqa: ANN401 - any value
    if shape.sensitive:
        return ""
    text = _java(shape, value)
    return f"'{text}'" if len(text) <= SHOWN else f"'{text[:SHOWN]}...'"


def _java(shape: Shape, value: Any) -> str:  # noqa: ANN401 - any value
    """Return a value as Java's `toString` writes it."""
    if value is None:
        return "null"
    if shape.sensitive:
        return REDACTED
    match shape.kind:
        case "list":
            text = f"[{', '.join(_java(shape.element, item) for item in value)}]"
        case "map":
            text = f"{{{', '.join(f'{key}={_java(shape.element, item)}' for key, item in value.items())}}}"
        case "structure":
            parts = (f"{name}={_java(shape.members[name], item)}" for name, item in value.items())
            text = f"{shape.name}({', '.join(parts)})"
        case "boolean":
            text = str(value).lower()
        case "blob":
            text = f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
        case _:
            text = str(value)
    return text

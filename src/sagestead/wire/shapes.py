"""Shapes: what an operation's input and output look like, as plain facts.

Rule: a shape is AWS's own description, converted once and never changed; nothing here judges a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

INTEGERS = {"integer": 2**31, "long": 2**63}
NUMBERS = frozenset({"integer", "long", "float", "double"})


@dataclass(slots=True, eq=False)
class Shape:
    """One node of an input or output tree; trees may be recursive.

    Attributes:
        name: AWS's name, for example `ProductionVariant`.
        kind: structure, list, map, string, integer, long, float, double, boolean, timestamp or blob.
        members: of a structure, in AWS's order.
        required: names of members that must be there.
        item: element of a list, value of a map.
        key: key of a map.
        minimum: least number, or least length.
        maximum: greatest number, or greatest length.
        pattern: regular expression in Java's syntax that a whole string must match.
        enum: allowed words.
        sensitive: the value must not appear in an error.
    """

    name: str
    kind: str
    members: dict[str, Shape] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    item: Shape | None = None
    key: Shape | None = None
    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    enum: tuple[str, ...] = ()
    sensitive: bool = False

    def __repr__(self) -> str:
        return f"Shape({self.name}: {self.kind})"

    @property
    def element(self) -> Shape:
        """The element of a list or the value of a map; a defect for other kinds."""
        if self.item is None:
            raise TypeError(f"{self!r} has no elements")
        return self.item


class Shapes:
    """The shapes of one service, converted at first use."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._raw = raw
        self._known: dict[str, Shape] = {}

    def __getitem__(self, name: str) -> Shape:
        known = self._known.get(name)
        return known if known is not None else self._convert(name)

    def _convert(self, name: str) -> Shape:
        raw = self._raw[name]
        shape = Shape(
            name,
            raw["type"],
            required=frozenset(raw.get("required", ())),
            minimum=raw.get("min"),
            maximum=raw.get("max"),
            pattern=raw.get("pattern"),
            enum=tuple(raw.get("enum", ())),
            sensitive=bool(raw.get("sensitive")) or name.endswith("EnvironmentMap"),
        )
        self._known[name] = shape  # before its parts: a shape may contain itself
        shape.members.update({part: self[facts["shape"]] for part, facts in raw.get("members", {}).items()})
        if shape.kind == "list":
            shape.item = self[raw["member"]["shape"]]
        elif shape.kind == "map":
            shape.key, shape.item = self[raw["key"]["shape"]], self[raw["value"]["shape"]]
        return shape

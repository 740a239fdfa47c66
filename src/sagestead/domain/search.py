"""Search as pure functions: expressions, what they match, and pages of what they find.

Source: spec control-plane.md section 13. Rules: an expression that means nothing is refused with a sentence,
never guessed. `NotEquals` is true exactly where `Equals` is false, `NotExists` where `Exists` is. A property
with several values (one for each element of a list) matches when any of them does; the conditions of a nested
filter must hold on the same element. Records without the property to sort by come last in both orders; ties
are broken by name, ascending.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from sagestead.domain.errors import Invalid
from sagestead.domain.resources import Json

MOST_FILTERS = 50


class Sort(StrEnum):
    """What a property's values are. `LOOSE`: texts that are numbers where they can be (hyperparameters)."""

    TEXT = "text"
    NUMBER = "number"
    TIME = "time"
    FLAG = "boolean"
    LOOSE = "text or number"
    STRUCTURE = "structure"


@dataclass(frozen=True, slots=True)
class Property:
    """A property that records may have: its whole name, the members on the way to it, what its values are."""

    name: str
    path: tuple[str, ...]
    sort: Sort


Find = Callable[[str], Property]
"""Returns the property of a name; raises `Invalid` when records have none such."""

Operand = str | float | bool | frozenset[str] | None
Value = str | float | bool


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter."""

    property: Property
    operator: str
    operand: Operand


@dataclass(frozen=True, slots=True)
class Nested:
    """Conditions that must all hold on one element of a list; their paths begin at the element."""

    path: tuple[str, ...]
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Terms joined by And or Or; without terms it matches everything."""

    is_any: bool
    terms: tuple[Condition | Nested | Group, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A record that matches, with the value to sort by and the name of its resource."""

    value: Value | None
    name: str
    record: Json


def parse(expression: Json, find: Find) -> Group:
    """Read a SearchExpression; raise `Invalid` when it means nothing."""
    count = sum(1 for _ in _filters(expression))
    if count > MOST_FILTERS:
        raise Invalid(f"SearchExpression has {count} filters in all; the most is {MOST_FILTERS}.")
    return _group(expression, find)


def matches(term: Condition | Nested | Group, record: Json) -> bool:
    """Say whether a record matches; its `Tags` and `Metrics` must be maps."""
    if isinstance(term, Group):
        if not term.terms:
            return True
        return (any if term.is_any else all)(matches(one, record) for one in term.terms)
    if isinstance(term, Nested):
        elements = values_at(record, term.path)
        return any(all(matches(one, element) for one in term.conditions) for element in elements)
    return _holds(term, record)


def pinned(group: Group, path: tuple[str, ...]) -> str | None:
    """Return the text that every match has at `path`, if the expression says so plainly."""
    if group.is_any and len(group.terms) > 1:
        return None
    for term in group.terms:
        if isinstance(term, Condition) and (term.property.path, term.operator) == (path, "Equals"):
            return term.operand if isinstance(term.operand, str) else None
    return None


def value_of(record: Json, wanted: Property) -> Value | None:
    """Return what a record is sorted by: its first value, as a number where a `LOOSE` text is one."""
    if wanted.sort is Sort.STRUCTURE:
        raise Invalid(f"SortBy '{wanted.name}' is a structure; name one of its members.")
    found = next((one for one in values_at(record, wanted.path) if isinstance(one, str | int | float)), None)
    if isinstance(found, float) and math.isnan(found):
        return None
    if wanted.sort is Sort.LOOSE and isinstance(found, str):
        number = _number(found)
        return found if number is None else number
    return found


def first(
    rows: Iterable[Row], after: tuple[Value | None, str] | None, limit: int, *, descending: bool
) -> list[Row]:
    """Return the first `limit` rows in order behind a place; holds that many, however many there are."""

    def place(row: Row) -> _Place:
        return _Place.of(row.value, row.name, descending=descending)

    if after is None:
        return heapq.nsmallest(limit, rows, key=place)
    start = _Place.of(*after, descending=descending)
    return heapq.nsmallest(limit, (row for row in rows if start < place(row)), key=place)


def values_at(value: Any, path: Sequence[str]) -> Iterator[Any]:  # noqa: ANN401 - any JSON
    """Yield what lies at a path, of every element of the lists on the way."""
    if isinstance(value, list):
        for item in value:
            yield from values_at(item, path)
    elif not path:
        if value is not None:
            yield value
    elif isinstance(value, dict):
        yield from values_at(value.get(path[0]), path[1:])


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in an order: records with a value before those without, numbers before texts."""

    is_missing: bool
    is_text: bool
    value: Value
    name: str
    descending: bool

    @classmethod
    def of(cls, value: Value | None, name: str, *, descending: bool) -> _Place:
        present: Value = 0.0 if value is None else value
        return cls(value is None, isinstance(present, str), present, name, descending)

    def __lt__(self, other: _Place) -> bool:
        if self.is_missing != other.is_missing:
            return other.is_missing
        mine, theirs = (self.is_text, self.value), (other.is_text, other.value)
        if mine == theirs:
            return self.name < other.name
        return bool(mine > theirs if self.descending else mine < theirs)


def _filters(expression: Json) -> Iterator[Json]:
    yield from expression.get("Filters", [])
    for nested in expression.get("NestedFilters", []):
        yield from nested["Filters"]
    for sub in expression.get("SubExpressions", []):
        yield from _filters(sub)


def _group(expression: Json, find: Find) -> Group:
    terms: list[Condition | Nested | Group] = [_condition(one, find) for one in expression.get("Filters", [])]
    terms += [_nested(one, find) for one in expression.get("NestedFilters", [])]
    terms += [_group(one, find) for one in expression.get("SubExpressions", [])]
    return Group(expression.get("Operator") == "Or", tuple(terms))


def _nested(nested: Json, find: Find) -> Nested:
    outer = find(nested["NestedPropertyName"])
    if outer.sort is not Sort.STRUCTURE:
        raise Invalid(f"NestedPropertyName '{outer.name}' is no list of structures; use Filters for it.")
    conditions = []
    for one in nested["Filters"]:
        condition = _condition(one, find)
        inner = condition.property
        if inner.path[: len(outer.path)] != outer.path or len(inner.path) == len(outer.path):
            raise Invalid(
                f"Filter '{inner.name}' is not inside of NestedPropertyName '{outer.name}': "
                f"write whole names, beginning with '{outer.name}.'."
            )
        within = Property(inner.name, inner.path[len(outer.path) :], inner.sort)
        conditions.append(Condition(within, condition.operator, condition.operand))
    return Nested(outer.path, tuple(conditions))


def _condition(one: Json, find: Find) -> Condition:
    wanted, text = find(one["Name"]), one.get("Value")
    operator = one.get("Operator", "Equals")
    if operator in _PRESENCE:
        if text is not None:
            raise Invalid(f"Filter '{wanted.name}' {operator} takes no Value; leave it out.")
        return Condition(wanted, operator, None)
    if text is None:
        raise Invalid(f"Filter '{wanted.name}' {operator} needs a Value.")
    if operator not in _OPERATORS[wanted.sort]:
        raise Invalid(
            f"Operator {operator} does not go with '{wanted.name}', which is a {wanted.sort}; use one of "
            f"{', '.join(_OPERATORS[wanted.sort])}."
        )
    return Condition(wanted, operator, _operand(wanted, operator, text))


def _operand(wanted: Property, operator: str, text: str) -> Operand:
    if operator == "In":
        return frozenset(part.strip() for part in text.split(","))
    if operator == "Contains" or wanted.sort is Sort.TEXT:
        return text
    read: Operand = _READERS[wanted.sort](text)
    if read is not None:
        return read
    if wanted.sort is Sort.LOOSE and operator in _EQUALITY:
        return text
    raise Invalid(f"Value '{text[:100]}' of filter '{wanted.name}' is not a {_EXPECTED[wanted.sort]}.")


def _holds(condition: Condition, record: Json) -> bool:
    found = values_at(record, condition.property.path)
    if condition.operator in _PRESENCE:
        return (next(found, None) is not None) == (condition.operator == "Exists")
    operator = "Equals" if condition.operator == "NotEquals" else condition.operator
    is_true = any(_compare(operator, value, condition) for value in found)
    return is_true != (condition.operator == "NotEquals")


def _compare(operator: str, value: Any, condition: Condition) -> bool:  # noqa: ANN401 - any JSON
    operand = condition.operand
    if isinstance(operand, frozenset):
        return value in operand if isinstance(value, str) else False
    if operator == "Contains":
        return isinstance(value, str) and str(operand) in value
    if condition.property.sort is Sort.LOOSE and isinstance(operand, int | float):
        value = _number(value) if isinstance(value, str) else value
    if value is None or isinstance(value, str) != isinstance(operand, str):
        return False
    if _is_coarse(condition) and math.isfinite(value):
        value = math.trunc(value)
    return bool(_COMPARISONS[operator](value, operand))


def _is_coarse(condition: Condition) -> bool:
    """True when only whole parts are compared: times with whole seconds, hyperparameters with integers."""
    return condition.property.sort in {Sort.TIME, Sort.LOOSE} and isinstance(condition.operand, int)


def _number(text: str) -> float | None:
    """Return a text's number: an int exactly when it is written as one."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _time(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        return int(seconds) if seconds.is_integer() else seconds
    except (ValueError, OverflowError):
        return None


def _flag(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


_PRESENCE = ("Exists", "NotExists")
_EQUALITY = ("Equals", "NotEquals")
_ORDER = ("GreaterThan", "GreaterThanOrEqualTo", "LessThan", "LessThanOrEqualTo")
_TEXTUAL = ("Contains", "In")
_OPERATORS: Mapping[Sort, tuple[str, ...]] = MappingProxyType(
    {
        Sort.TEXT: (*_EQUALITY, *_TEXTUAL, *_PRESENCE),
        Sort.NUMBER: (*_EQUALITY, *_ORDER, *_PRESENCE),
        Sort.TIME: (*_EQUALITY, *_ORDER, *_PRESENCE),
        Sort.FLAG: (*_EQUALITY, *_PRESENCE),
        Sort.LOOSE: (*_EQUALITY, *_ORDER, *_TEXTUAL, *_PRESENCE),
        Sort.STRUCTURE: _PRESENCE,
    }
)
_READERS: Mapping[Sort, Callable[[str], float | bool | None]] = MappingProxyType(
    {Sort.NUMBER: _number, Sort.TIME: _time, Sort.FLAG: _flag, Sort.LOOSE: _number}
)
_EXPECTED = MappingProxyType(
    {
        Sort.NUMBER: "number",
        Sort.TIME: "time; write it as 2026-01-31T23:59:59, in UTC",
        Sort.FLAG: "boolean; write true or false",
        Sort.LOOSE: "number, which this operator needs",
    }
)
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {
        "Equals": lambda value, operand: value == operand,
        "GreaterThan": lambda value, operand: value > operand,
        "GreaterThanOrEqualTo": lambda value, operand: value >= operand,
        "LessThan": lambda value, operand: value < operand,
        "LessThanOrEqualTo": lambda value, operand: value <= operand,
    }
)

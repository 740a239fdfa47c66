"""What can be searched: the properties of AWS's search records, read from the service model.

Rule: a record shows what AWS's record has and nothing else, and every property that it shows can be named in
a filter, by the names of the members on the way joined by dots.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from sagestead.domain.errors import Invalid
from sagestead.domain.resources import Json
from sagestead.domain.search import Property, Sort
from sagestead.wire.models import service_model
from sagestead.wire.shapes import Shape

DEEPEST = 8
_SORTS = {
    "string": Sort.TEXT,
    "integer": Sort.NUMBER,
    "long": Sort.NUMBER,
    "float": Sort.NUMBER,
    "double": Sort.NUMBER,
    "timestamp": Sort.TIME,
    "boolean": Sort.FLAG,
    "structure": Sort.STRUCTURE,
}
_OPEN = {"Tags": Sort.TEXT, "Metrics": Sort.NUMBER, "HyperParameters": Sort.LOOSE}
"""Properties whose next name is a key of the user's, which may have dots: to the end of the filter's name."""


@cache
def record_shape(resource: str) -> Shape:
    """Return the shape of a resource's search record (of a model: without its dashboard)."""
    output = service_model("sagemaker").operation("Search").output
    if output is None:
        raise LookupError("the service model has no answer of Search")
    shape = output.members["Results"].element.members[resource]
    return shape.members["Model"] if resource == "Model" else shape


def property_of(resource: str, name: str) -> Property:
    """Return the property of a name; raise `Invalid` when the resource's records have none such."""
    first, _, rest = name.partition(".")
    if first in _OPEN and rest and _has(resource, first):
        return Property(name, (first, rest), _OPEN[first])
    shape, path = record_shape(resource), name.split(".")
    for depth, part in enumerate(path):
        shape = _element(shape)
        if shape.kind == "map":
            return Property(
                name, (*path[:depth], ".".join(path[depth:])), _SORTS[_element(shape.element).kind]
            )
        if part not in shape.members:
            raise Invalid(
                f"Unknown property '{name}' of {resource}; GetSearchSuggestions names those that it has."
            )
        shape = shape.members[part]
    shape = _element(shape)
    return Property(name, tuple(path), _SORTS.get(shape.kind, Sort.STRUCTURE))


def names(resource: str) -> Iterator[str]:
    """Yield the names of all properties that do not depend on the user's keys."""
    yield from _names(record_shape(resource), "", ())


def fitted(shape: Shape, value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a value with the members that a shape has."""
    if shape.kind == "structure":
        return {
            name: fitted(shape.members[name], member)
            for name, member in value.items()
            if name in shape.members and member is not None
        }
    if shape.kind == "list":
        return [fitted(shape.element, item) for item in value]
    return value


def view_of(record: Json) -> Json:
    """Return a record as filters see it: tags and metrics by their names."""
    metrics = record.get("FinalMetricDataList") or []
    return {
        **record,
        "Tags": {tag["Key"]: tag["Value"] for tag in record.get("Tags") or []} or None,
        "Metrics": {one["MetricName"]: one["Value"] for one in metrics} or None,
    }


def _has(resource: str, name: str) -> bool:
    members = record_shape(resource).members
    return name in members or (name == "Metrics" and "FinalMetricDataList" in members)


def _element(shape: Shape) -> Shape:
    while shape.kind == "list":
        shape = shape.element
    return shape


def _names(shape: Shape, prefix: str, above: tuple[Shape, ...]) -> Iterator[str]:
    for name, member in shape.members.items():
        inner = _element(member)
        if inner.kind == "map" or name == "Tags":
            continue
        if inner.kind != "structure":
            yield f"{prefix}{name}"
        elif inner not in above and len(above) < DEEPEST:
            yield from _names(inner, f"{prefix}{name}.", (*above, inner))

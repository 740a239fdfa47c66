"""Values that fit a shape, for property tests."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

from sagestead.wire.patterns import compiled
from sagestead.wire.shapes import INTEGERS, Shape

DEEPEST = 7


@cache
def fitting(shape: Shape, depth: int = 0) -> st.SearchStrategy[Any]:
    """Return a strategy of values that break no rule of the shape."""
    if shape.kind == "structure":
        return _structure(shape, depth)
    if shape.kind == "list":
        least = int(shape.minimum or 0)
        most = min(least + 2, int(shape.maximum if shape.maximum is not None else least + 2))
        return st.lists(fitting(shape.element, depth + 1), min_size=least, max_size=most)
    if shape.kind == "map":
        assert shape.key is not None
        return st.dictionaries(fitting(shape.key, depth + 1), fitting(shape.element, depth + 1), max_size=2)
    return _scalar(shape)


def _structure(shape: Shape, depth: int) -> st.SearchStrategy[Any]:
    required = {name: fitting(shape.members[name], depth + 1) for name in sorted(shape.required)}
    optional = {
        name: fitting(member, depth + 1)
        for name, member in shape.members.items()
        if name not in required and depth < DEEPEST
    }
    return st.fixed_dictionaries(required, optional=optional)


def _scalar(shape: Shape) -> st.SearchStrategy[Any]:
    match shape.kind:
        case "boolean":
            return st.booleans()
        case "integer" | "long":
            limit = INTEGERS[shape.kind]
            least = int(shape.minimum) if shape.minimum is not None else -limit
            return st.integers(least, int(shape.maximum) if shape.maximum is not None else limit - 1)
        case "float" | "double":
            return st.floats(shape.minimum, shape.maximum, allow_nan=False, allow_infinity=False)
        case "timestamp":
            return st.integers(0, 2**32).map(lambda millis: millis / 1000)
        case "blob":
            return st.binary(max_size=20)
    return _string(shape)


def _string(shape: Shape) -> st.SearchStrategy[str]:
    if shape.enum:
        return st.sampled_from(shape.enum)
    least, most = int(shape.minimum or 0), int(shape.maximum if shape.maximum is not None else 50)
    if shape.pattern is None:
        return st.text(
            st.characters(exclude_categories=["Cs"]), min_size=least, max_size=min(most, least + 20)
        )
    matches = compiled(shape.pattern).fullmatch
    seed = ("aZ9" * least)[:least] or "a"
    if matches(seed):  # much quicker than from_regex, and long enough
        letters = [letter for letter in "aZ9é日 _.:/=+-@" if matches(seed + letter)] or ["a"]
        text = st.text(letters, min_size=least, max_size=min(most, least + 20))
        return st.one_of(st.just(seed), text).filter(
            lambda value: least <= len(value) <= most and matches(value) is not None
        )
    return st.from_regex(compiled(shape.pattern), fullmatch=True).filter(
        lambda value: least <= len(value) <= most and value.isprintable()
    )

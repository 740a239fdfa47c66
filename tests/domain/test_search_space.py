"""Ranges give what they promise: values inside, spread as their scale says, read back as written."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagestead.domain.search_space import (
    Categorical,
    Continuous,
    Integer,
    Range,
    Scale,
    combinations,
    grid_point,
    random_point,
    space_of,
    spread_point,
)

NUMBERS = st.floats(-1e6, 1e6)
POSITIVE = st.floats(1e-9, 1e9)
SHARES = st.floats(0, 1, exclude_max=True)


def ordered(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, Any]]:
    return st.tuples(values, values).map(lambda pair: (min(pair), max(pair)))


RANGES: st.SearchStrategy[Range] = st.one_of(
    ordered(NUMBERS).map(lambda ends: Continuous("x", *ends, Scale.LINEAR)),
    ordered(POSITIVE).map(lambda ends: Continuous("x", *ends, Scale.LOGARITHMIC)),
    ordered(SHARES).map(lambda ends: Continuous("x", *ends, Scale.REVERSE)),
    ordered(st.integers(-(2**53), 2**53)).map(lambda ends: Integer("x", *ends, Scale.LINEAR)),
    ordered(st.integers(1, 10**6)).map(lambda ends: Integer("x", *ends, Scale.LOGARITHMIC)),
    st.lists(st.text(max_size=5), min_size=1, unique=True).map(lambda texts: Categorical("x", tuple(texts))),
)


@given(RANGES, st.floats(0, 1))
def test_every_place_has_a_value_of_the_range(one: Range, unit: float) -> None:
    place = one.unit(one.text(unit))
    assert place is not None
    assert -1e-9 <= place <= 1 + 1e-9


@given(RANGES, st.floats(0, 1))
def test_a_value_reads_back_as_the_same_text(one: Range, unit: float) -> None:
    text = one.text(unit)
    place = one.unit(text)
    assert place is not None
    again = one.text(min(1.0, max(0.0, place)))
    if isinstance(one, Continuous):
        assert math.isclose(
            float(again), float(text), rel_tol=1e-6, abs_tol=1e-9 * max(1, one.high - one.low)
        )
    elif not isinstance(one, Integer) or one.high - one.low < 2**40:
        assert again == text


@given(RANGES)
def test_both_ends_can_be_had(one: Range) -> None:
    if isinstance(one, Categorical):
        assert [one.text(0.0), one.text(1.0)] == [one.values[0], one.values[-1]]
    else:
        low, high = float(one.text(0.0)), float(one.text(1.0))
        assert math.isclose(low, one.low, rel_tol=1e-9, abs_tol=1e-12)
        assert math.isclose(high, one.high, rel_tol=1e-9, abs_tol=1e-12)


@pytest.mark.parametrize(
    ("scale", "low", "high", "middle"),
    [
        (Scale.LINEAR, 0.0, 1.0, 0.5),
        (Scale.LOGARITHMIC, 0.01, 1.0, 0.1),
        (Scale.REVERSE, 0.0, 0.99, 0.9),
    ],
)
def test_the_middle_lies_where_the_scale_says(scale: Scale, low: float, high: float, middle: float) -> None:
    assert float(Continuous("x", low, high, scale).text(0.5)) == pytest.approx(middle)


def test_integers_are_equally_likely_on_a_line() -> None:
    depth = Integer("d", 1, 4, Scale.LINEAR)
    assert [depth.text(place / 8) for place in range(9)] == ["1", "1", "2", "2", "3", "3", "4", "4", "4"]


@pytest.mark.parametrize(
    ("low", "high", "scale"),
    [("0.1", "0.5", Scale.LINEAR), ("0.001", "1", Scale.LOGARITHMIC), ("0", "1000", Scale.LINEAR)],
)
def test_auto_is_logarithmic_over_decades_above_zero(low: str, high: str, scale: Scale) -> None:
    (one,) = space_of({"ContinuousParameterRanges": [{"Name": "x", "MinValue": low, "MaxValue": high}]}, "P.")
    assert isinstance(one, Continuous)
    assert one.scale is scale


def test_numbers_are_written_as_plainly_as_they_read() -> None:
    assert Continuous("x", 0.5, 0.5, Scale.LINEAR).text(0.3) == "0.5"
    assert Integer("x", 7, 7, Scale.LINEAR).text(0.3) == "7"


SPACE = (Categorical("a", ("x", "y")), Integer("b", 1, 3, Scale.LINEAR))


def test_a_grid_has_every_combination_once() -> None:
    assert combinations(SPACE) == 6
    assert len({tuple(grid_point(SPACE, index).items()) for index in range(6)}) == 6
    assert combinations((*SPACE, Continuous("c", 0, 1, Scale.LINEAR))) is None


@given(st.integers(0, 2**64 - 1))
def test_points_depend_on_the_seed_alone(seed: int) -> None:
    assert random_point(SPACE, seed) == random_point(SPACE, seed)
    assert spread_point(SPACE, 2, 5, seed) == spread_point(SPACE, 2, 5, seed)


@given(st.integers(0, 2**64 - 1), st.integers(1, 12))
def test_first_points_take_a_part_of_every_range_each(seed: int, count: int) -> None:
    space = (Continuous("x", 0, 1, Scale.LINEAR), Continuous("y", 0, 1, Scale.LINEAR))
    points = [spread_point(space, index, count, seed) for index in range(count)]
    for name in "xy":
        parts = sorted(math.floor(float(point[name]) * count) for point in points)
        assert parts == list(range(count))

"""Percentiles of points that are sums: told where they are known, and not guessed."""

from functools import reduce
from operator import add

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagestead.domain.measurements import Statistic, percentile


def statistic(*values: float) -> Statistic:
    return reduce(add, map(Statistic.of, values))


FEW = st.lists(st.integers(0, 10**6), min_size=1, max_size=3)


@given(st.lists(FEW, min_size=1, max_size=5), st.integers(0, 100))
def test_points_of_few_measurements_are_as_good_as_the_measurements(
    points: list[list[int]], percent: int
) -> None:
    alone = [Statistic.of(value) for point in points for value in point]
    together = [statistic(*point) for point in points]
    found, expected = percentile(together, percent), percentile(alone, percent)
    assert found == pytest.approx(expected)


def test_of_many_measurements_only_the_least_and_the_greatest_are_told() -> None:
    many = [statistic(1, 2, 3, 4), statistic(9)]
    assert percentile(many, 50) is None
    assert (percentile(many, 0), percentile(many, 100)) == (1, 9)
    assert percentile([statistic(5, 5, 5, 5)], 50) == 5

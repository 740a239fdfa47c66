"""What a tuning job chooses from: ranges of hyperparameters and their scales (spec: tuning.md section 2).

Rule: a value travels as the text that the training job gets. A range maps the unit interval onto its texts
and back, so that equal steps of the interval are equally likely; whoever searches, searches there.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sagestead.domain.resources import Json

MOST_TUNABLE = 30
DECADES = 2.0
"""A range above zero that spans so many powers of ten is logarithmic when its ScalingType is Auto."""

_LARGEST_INTEGER = 2**53


class BadRange(ValueError):  # noqa: N818 - said of a request, not of the program
    """The ranges of a request contradict themselves; the text is a sentence with the remedy."""


class Scale(StrEnum):
    """How values are spread over a range; the words are those of ScalingType."""

    LINEAR = "Linear"
    LOGARITHMIC = "Logarithmic"
    REVERSE = "ReverseLogarithmic"


@dataclass(frozen=True, slots=True)
class Continuous:
    """Real numbers from `low` to `high`, both included."""

    name: str
    low: float
    high: float
    scale: Scale

    def text(self, unit: float) -> str:
        """Return the value at a place in [0, 1], as the shortest decimal that reads back the same."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        return repr(min(self.high, max(self.low, self._unscaled(low + unit * (high - low)))))

    def unit(self, text: str) -> float | None:
        """Return the place of a value; None when it is not in the range."""
        value = _number(text)
        if value is None or not self.low <= value <= self.high:
            return None
        low, high = self._scaled(self.low), self._scaled(self.high)
        return 0.5 if low == high else (self._scaled(value) - low) / (high - low)

    def count(self) -> int | None:
        """Return how many values there are; None: no end of them."""
        return 1 if self.low == self.high else None

    def _scaled(self, value: float) -> float:
        if self.scale is Scale.LOGARITHMIC:
            return math.log(value)
        return -math.log1p(-value) if self.scale is Scale.REVERSE else value

    def _unscaled(self, value: float) -> float:
        if self.scale is Scale.LOGARITHMIC:
            return math.exp(value)
        return -math.expm1(-value) if self.scale is Scale.REVERSE else value


@dataclass(frozen=True, slots=True)
class Integer:
    """Whole numbers from `low` to `high`, both included; `scale` is linear or logarithmic."""

    name: str
    low: int
    high: int
    scale: Scale

    def text(self, unit: float) -> str:
        """Return the value at a place in [0, 1]."""
        if self.scale is Scale.LINEAR:
            value = self.low + math.floor(unit * (self.high - self.low + 1))
        else:
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            value = round(math.exp(low + unit * (high - low)))
        return str(min(self.high, max(self.low, value)))

    def unit(self, text: str) -> float | None:
        """Return the middle of the places of a value; None when it is not in the range."""
        value = _integer(text)
        if value is None or not self.low <= value <= self.high:
            return None
        if self.scale is Scale.LINEAR:
            return (value - self.low + 0.5) / (self.high - self.low + 1)
        low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
        return (math.log(value) - low) / (high - low)

    def count(self) -> int | None:
        """Return how many values there are."""
        return self.high - self.low + 1


@dataclass(frozen=True, slots=True)
class Categorical:
    """One of some texts, all equally likely."""

    name: str
    values: tuple[str, ...]

    def text(self, unit: float) -> str:
        """Return the value at a place in [0, 1]."""
        return self.values[min(len(self.values) - 1, math.floor(unit * len(self.values)))]

    def unit(self, text: str) -> float | None:
        """Return the middle of the places of a value; None when it is none of them."""
        return (self.values.index(text) + 0.5) / len(self.values) if text in self.values else None

    def count(self) -> int | None:
        """Return how many values there are."""
        return len(self.values)


Range = Continuous | Integer | Categorical
Space = tuple[Range, ...]
Point = Mapping[str, str]
"""Hyperparameter name -> text."""


def space_of(ranges: Json, at: str) -> Space:
    """Read ParameterRanges (`at` is their path in the request, with a dot at its end).

    Raises:
        BadRange: a range is empty, does not suit its scale, or a name appears twice.
    """
    space = tuple(_read(ranges, at))
    names = [one.name for one in space]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadRange(f"{at[:-1]} gives two ranges to hyperparameter {twice}; give one.")
    if len(space) > MOST_TUNABLE:
        raise BadRange(f"{at[:-1]} has {len(space)} hyperparameters to tune; at most {MOST_TUNABLE} may be.")
    return space


def combinations(space: Space) -> int | None:
    """Return how many points there are; None when some range is continuous."""
    total = 1
    for one in space:
        count = one.count()
        if count is None:
            return None
        total *= count
    return total


def grid_point(space: Space, index: int) -> dict[str, str]:
    """Return one of the `combinations` of a space without continuous ranges, counted from 0."""
    point: dict[str, str] = {}
    for one in space:
        count = one.count() or 1
        index, digit = divmod(index, count)
        point[one.name] = one.text((digit + 0.5) / count)
    return point


def random_point(space: Space, seed: int) -> dict[str, str]:
    """Return a point drawn independently."""
    draw = random.Random(seed)  # noqa: S311 - the same draw for the same seed
    return {one.name: one.text(draw.random()) for one in space}


def spread_point(space: Space, index: int, count: int, seed: int) -> dict[str, str]:
    """Return one of `count` points that lie in different parts of every range (a Latin hypercube)."""
    point = {}
    for number, one in enumerate(space):
        draw = random.Random(seed_of(seed, number))  # noqa: S311 - the same draw for the same seed
        places = list(range(count))
        draw.shuffle(places)
        jitter = [draw.random() for _ in places]
        point[one.name] = one.text((places[index] + jitter[index]) / count)
    return point


def seed_of(*parts: object) -> int:
    """Return a number that only these parts decide, the same in every process."""
    return int.from_bytes(hashlib.sha256("\0".join(map(str, parts)).encode()).digest()[:8], "big")


def _read(ranges: Json, at: str) -> Iterator[Range]:
    for number, one in enumerate(ranges.get("IntegerParameterRanges", []), 1):
        yield _integer_range(one, f"{at}IntegerParameterRanges.{number}")
    for number, one in enumerate(ranges.get("ContinuousParameterRanges", []), 1):
        yield _continuous_range(one, f"{at}ContinuousParameterRanges.{number}")
    for number, one in enumerate(ranges.get("CategoricalParameterRanges", []), 1):
        values = tuple(one["Values"])
        if len(set(values)) < len(values):
            raise BadRange(
                f"{at}CategoricalParameterRanges.{number}.Values of {one['Name']} has a value twice; "
                "give each once."
            )
        yield Categorical(one["Name"], values)


def _integer_range(one: Json, at: str) -> Integer:
    low, high = (_integer(one[member]) for member in ("MinValue", "MaxValue"))
    if low is None or high is None or max(abs(low), abs(high)) > _LARGEST_INTEGER:
        raise BadRange(
            f"{at} of {one['Name']} goes from '{one['MinValue']}' to '{one['MaxValue']}': give integers."
        )
    _check_order(one, at, low, high)
    scale = _scale(one, low, high)
    if scale is Scale.REVERSE:
        raise BadRange(
            f"{at}.ScalingType ReverseLogarithmic of {one['Name']} is for continuous ranges; give Linear."
        )
    _check_scale(one, at, scale, low, high)
    return Integer(one["Name"], low, high, scale)


def _continuous_range(one: Json, at: str) -> Continuous:
    low, high = (_number(one[member]) for member in ("MinValue", "MaxValue"))
    if low is None or high is None or not math.isfinite(high - low):
        raise BadRange(
            f"{at} of {one['Name']} goes from '{one['MinValue']}' to '{one['MaxValue']}': give numbers."
        )
    _check_order(one, at, low, high)
    scale = _scale(one, low, high)
    _check_scale(one, at, scale, low, high)
    return Continuous(one["Name"], low, high, scale)


def _check_order(one: Json, at: str, low: float, high: float) -> None:
    if low > high:
        raise BadRange(
            f"{at} of {one['Name']}: MinValue {one['MinValue']} is above MaxValue {one['MaxValue']}; "
            "exchange them."
        )


def _check_scale(one: Json, at: str, scale: Scale, low: float, high: float) -> None:
    if scale is Scale.LOGARITHMIC and low <= 0:
        raise BadRange(
            f"{at}.ScalingType Logarithmic of {one['Name']} needs values above 0, not {one['MinValue']}; "
            "raise MinValue, or give Linear."
        )
    if scale is Scale.REVERSE and not 0 <= low <= high < 1:
        raise BadRange(
            f"{at}.ScalingType ReverseLogarithmic of {one['Name']} needs values from 0 to below 1, not "
            f"{one['MinValue']} to {one['MaxValue']}; change them, or give Linear."
        )


def _scale(one: Json, low: float, high: float) -> Scale:
    wanted = one.get("ScalingType", "Auto")
    if wanted != "Auto":
        return Scale(wanted)
    return Scale.LOGARITHMIC if low > 0 and high / low >= 10**DECADES else Scale.LINEAR


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None

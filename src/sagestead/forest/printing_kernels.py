"""Numbers to text as Python's `repr` prints them: compiled.

Rule: a float32 is widened to a double and printed with the fewest digits that give the double back, the
nearest such digits where there are several, and laid out as `repr` lays them out.

The digits are found by Schubfach (R. Giulietti, "The Schubfach way to render doubles"): the double and the
halves to its neighbours are scaled by a power of ten, of which 128 bits are kept, so that the unit is the
smallest that can be needed; then a multiple of ten, or else of one, that lies between the halves is taken.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from sagestead.forest.machine import BYTES, Number, entry, high_product, inner

Floats = NDArray[np.float32]
Text = NDArray[np.uint8]

_FRACTION, _BIAS = 52, 1075
_HIDDEN = np.uint64(1 << _FRACTION)
_LOWEST_POWER, _HIGHEST_POWER = -23, 62  # what the exponents of float32 need
LONGEST = 25
"""Bytes that a number takes at most."""
_FIRST_POINT, _LAST_POINT = -3, 16
"""Places of the decimal point, counted from the first digit, that `repr` writes without an exponent."""
_MATRIX = types.Array(types.float32, 2, "C", readonly=True)
_TEXT = types.Array(types.uint8, 1, "C")
_NONE, _ONE, _TWO, _FOUR = (np.uint64(number) for number in (0, 1, 2, 4))
_TEN, _FORTY, _NOUGHT = np.uint64(10), np.uint64(40), np.uint64(ord("0"))


def _powers() -> NDArray[np.uint64]:
    """Return the first 128 bits of powers of ten, rounded up, in two words each."""
    words = []
    for power in range(_LOWEST_POWER, _HIGHEST_POWER + 1):
        shift = 127 - _log2_of_power(power)
        above, below = 10 ** max(power, 0) << max(shift, 0), 10 ** max(-power, 0) << max(-shift, 0)
        bits = -(-above // below)
        words.append((bits >> 64, bits & 0xFFFFFFFFFFFFFFFF))
    return np.array(words, np.uint64)


def _log2_of_power(power: int) -> int:
    """Return floor(log2(10**power))."""
    return (power * 1741647) >> 19


_POWERS = _powers()


@inner
def _scaled(power: Number, value: Number) -> Number:
    """Return the value times a power of ten, whose last bit is 1 when anything was cut off."""
    high, low = _POWERS[power - _LOWEST_POWER, 0], _POWERS[power - _LOWEST_POWER, 1]
    carried = high_product(low, value)
    rest = high * value + carried
    product = high_product(high, value) + (_ONE if rest < carried else _NONE)
    return product | (_ONE if rest > _ONE else _NONE)


@inner
def _shortest(bits: Number) -> Number:
    """Return digits and exponent of ten of a positive double given by its bits."""
    fraction = bits & (_HIDDEN - _ONE)
    whole = fraction | _HIDDEN
    exponent = np.int64(bits >> np.uint64(_FRACTION)) - _BIAS
    nearer_below = fraction == _NONE
    # floor(log10(2**exponent)), or of three quarters of it
    unit = (exponent * 1262611 - (524031 if nearer_below else 0)) >> 22
    shift = np.uint64(exponent + ((-unit * 1741647) >> 19) + 1)
    odd = whole & _ONE
    middle = _scaled(-unit, (_FOUR * whole) << shift)
    lower = _scaled(-unit, (_FOUR * whole - (_ONE if nearer_below else _TWO)) << shift) + odd
    upper = _scaled(-unit, (_FOUR * whole + _TWO) << shift) - odd
    digits = middle // _FOUR
    if digits >= _TEN:
        tens = digits // _TEN
        below, above = lower <= _FORTY * tens, _FORTY * tens + _FORTY <= upper
        if below != above:
            return tens + (_ONE if above else _NONE), unit + 1
    below, above = lower <= _FOUR * digits, _FOUR * digits + _FOUR <= upper
    if below != above:
        return digits + (_ONE if above else _NONE), unit
    half = _FOUR * digits + _TWO
    up = middle > half or (middle == half and digits & _ONE == _ONE)
    return digits + (_ONE if up else _NONE), unit


@inner
def copied(text: bytes, out: Text, at: Number) -> Number:
    """Write a text; returns the place behind."""
    for place in range(len(text)):
        out[at + place] = text[place]
    return at + len(text)


@inner
def _repeated(byte: Number, times: Number, out: Text, at: Number) -> Number:
    for place in range(times):
        out[at + place] = byte
    return at + times


@inner
def _laid_out(digits: Number, exponent: Number, out: Text, at: Number) -> Number:
    """Write digits times a power of ten; returns the place behind."""
    while digits % _TEN == _NONE:
        digits //= _TEN
        exponent += 1
    count = 0
    rest = digits
    while rest > _NONE:
        rest //= _TEN
        count += 1
    point = count + exponent
    fixed = _FIRST_POINT <= point <= _LAST_POINT
    if fixed and point <= 0:
        at = _repeated(ord("0"), 1, out, at)
        at = _repeated(ord("."), 1, out, at)
        at = _repeated(ord("0"), -point, out, at)
    # Digits behind the point are written one further to the right.
    split = point if fixed else 1
    gap = 1 if 0 < split < count else 0
    end = at + count + gap
    rest = digits
    for place in range(count - 1, -1, -1):
        out[at + place + (gap if place >= split else 0)] = rest % _TEN + _NOUGHT
        rest //= _TEN
    if gap:
        out[at + split] = ord(".")
    if fixed:
        if point >= count:
            end = _repeated(ord("0"), point - count, out, end)
            end = copied(b".0", out, end)
        return end
    power = point - 1
    end = _repeated(ord("e"), 1, out, end)
    end = _repeated(ord("-") if power < 0 else ord("+"), 1, out, end)
    out[end] = ord("0") + abs(power) // 10
    out[end + 1] = ord("0") + abs(power) % 10
    return end + 2


@inner
def printed(value: Number, out: Text, at: Number) -> Number:
    """Write a float32; returns the place behind."""
    if value != value:  # noqa: PLR0124 - NaN
        return copied(b"nan", out, at)
    bits = np.float64(value).view(np.uint64)
    if bits >> np.uint64(63):
        at = _repeated(ord("-"), 1, out, at)
        bits &= np.uint64((1 << 63) - 1)
    if abs(value) == np.float32(np.inf):
        return copied(b"inf", out, at)
    if bits == _NONE:
        return copied(b"0.0", out, at)
    digits, exponent = _shortest(bits)
    return _laid_out(digits, exponent, out, at)


@entry(_TEXT(_MATRIX, BYTES, BYTES, BYTES))
def written(rows: Floats, before: bytes, between: bytes, after: bytes) -> Text:
    """Return the text of rows: of each `before`, its numbers with `between` between them, and `after`."""
    count, width = rows.shape
    longest = len(before) + len(after) + width * (LONGEST + len(between))
    out = np.empty(count * longest, np.uint8)
    at = 0
    for row in range(count):
        at = copied(before, out, at)
        for column in range(width):
            if column:
                at = copied(between, out, at)
            at = printed(rows[row, column], out, at)
        at = copied(after, out, at)
    return out[:at]

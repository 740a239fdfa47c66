"""One number as text, to float32: compiled, and exact.

Rule: what is read is what Python's `float` and rounding to float32 give, to the bit; what is no plain number
(sign, digits, point, exponent) is none. Bytes are read up to the first that does not belong to the number,
so there must be one.

How it is exact. The digits as a whole number times a power of ten is off by less than 8 units of 2**-53 (each
of three roundings by half of two). When both ends of that range round to one float32, so does every double
between them, the right one included. Else the C library's `strtod` decides, which rounds rightly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from sagestead.forest.machine import (
    Number,
    address_of,
    byte_at,
    inlined,
    inner,
    trailing_zeros,
    word_at,
)

ONE, ZERO = np.uintp(1), np.uintp(0)
TAB, NEWLINE, RETURN, SPACE = (np.uintp(byte) for byte in b"\t\n\r ")
COLON, COMMA = (np.uintp(byte) for byte in b":,")
SMALL = np.uintp(0x20)
"""The bit that makes a letter small."""
TEN = np.uintp(10)
NOUGHT, PLUS, MINUS, POINT, SMALL_E = (np.uintp(byte) for byte in b"0+-.e")

_DIGITS = np.uintp(19)
_EIGHT = np.uint64(8)
_NOUGHTS = np.uint64(0x3030303030303030)
_BEYOND_NINE = np.uint64(0x7676767676767676)
_HIGHEST_BITS = np.uint64(0x8080808080808080)
_PAIRS = np.uint64(0x000000FF000000FF)
_UPPER = np.uint64(100 + (1_000_000 << 32))
_LOWER = np.uint64(1 + (10_000 << 32))
_EVERY, _LAST_BIT = np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(63)
_BYTE = np.uint64(0xFF)
_POINT_DIGIT = np.uint64(ord(".") ^ ord("0"))
# Where a point stands that has an odd number of digits behind it; 2, 3, 6 or 7; 4 or more.
_ODD_PLACES, _UPPER_PLACES, _UPPERMOST_PLACES = (
    np.uint64(places) for places in (0x00FF00FF00FF00FF, 0x0000FFFF0000FFFF, 0x00000000FFFFFFFF)
)
_TENS = np.array([10**power for power in range(9)], np.uint64)
_LARGEST_POWER = 280
_POWERS = np.array([float(f"1e{power}") for power in range(-_LARGEST_POWER, _LARGEST_POWER + 1)])
_DOUBT = 8 * 2.0**-53
_HUGE = 1 << 30
_INFINITE = np.float32(np.inf)
_strtod: Any = types.ExternalFunction("strtod", types.float64(types.uintp, types.uintp))


@inner
def _is_blank(byte: Number) -> Number:
    """Whether Python's `strip` takes a byte away."""
    return byte == SPACE or TAB <= byte <= RETURN


@inner
def trimmed(body: bytes) -> Number:
    """Return where a body begins and ends without the blanks around it; a byte follows its end."""
    begin = address_of(body)
    return without_blanks(begin, begin + np.uintp(len(body)))


@inner
def without_blanks(begin: Number, end: Number) -> Number:
    """Return where a text begins and ends without the blanks around it."""
    while end > begin and _is_blank(byte_at(end - ONE)):
        end -= ONE
    while begin < end and _is_blank(byte_at(begin)):
        begin += ONE
    return begin, end


@inlined
def _digits_one_by_one(at: Number, before: Number) -> Number:
    """Read digits behind those of a number; returns it, modulo 2**64, and where they end."""
    digit = byte_at(at) - NOUGHT
    while digit < TEN:
        before = before * np.uint64(10) + np.uint64(digit)
        at += ONE
        digit = byte_at(at) - NOUGHT
    return before, at


@inlined
def _joined(word: Number) -> Number:
    """Return the number whose eight digits are the bytes of a word: they make pairs, fours and eight."""
    word = word * np.uint64(10) + (word >> np.uint64(8))
    upper = (word & _PAIRS) * _UPPER
    lower = ((word >> np.uint64(16)) & _PAIRS) * _LOWER
    return (upper + lower) >> np.uint64(32)


@inlined
def _digits(at: Number, end: Number, before: Number) -> Number:
    """Read many digits, as above.

    Eight bytes are looked at together: digits before the first byte that is none become the lower places of
    an eight-digit number.
    """
    count = _EIGHT
    while count == _EIGHT and at + _EIGHT <= end:
        word = word_at(at) ^ _NOUGHTS
        count = trailing_zeros((word | (word + _BEYOND_NINE)) & _HIGHEST_BITS) >> np.uint64(3)
        if count == ZERO:
            return before, at
        word <<= (_EIGHT - count) << np.uint64(3)
        before = before * _TENS[count] + _joined(word)
        at += count
    if count == _EIGHT:
        return _digits_one_by_one(at, before)
    return before, at


@inlined
def short_number(word: Number, length: Number, minus: Number) -> Number:
    """Read up to eight digits and perhaps a point; returns the number, and 0 if it is one.

    There is no branch and no table, so that several cells are read by one instruction. Digits and power of
    ten are exact, so that the division rounds rightly.

    Args:
        word: the cell in its last bytes, without its sign.
        length: bytes of the cell.
        minus: 1 for a negative number.
    """
    cell = (word ^ _NOUGHTS) & (_EVERY << (((_EIGHT - length) << np.uint64(3)) & _LAST_BIT))
    odd = (cell | (cell + _BEYOND_NINE)) & _HIGHEST_BITS
    place = (odd & (~odd + ONE)) >> np.uint64(7)
    digits = cell ^ (place * _POINT_DIGIT)
    wrong = (digits & (place * _BYTE)) | ((digits | (digits + _BEYOND_NINE)) & _HIGHEST_BITS)
    wrong |= np.uint64(length - ONE >= _EIGHT) | np.uint64((length == ONE) & (place != ZERO))
    below = place - ONE
    joined = _joined(((digits & below) << (_EIGHT if place != ZERO else ZERO)) | (digits & ~below))
    divisor = np.float64(10) if place & _ODD_PLACES else np.float64(1)
    divisor *= np.float64(100) if place & _UPPER_PLACES else np.float64(1)
    divisor *= np.float64(10_000) if place & _UPPERMOST_PLACES else np.float64(1)
    divisor *= np.float64(-1) if minus != ZERO else np.float64(1)
    return np.float32(np.float64(np.int32(joined)) / divisor), wrong


@inner
def _leading_noughts(at: Number) -> Number:
    """Return how many zeros a number of digits and a point begins with."""
    count = ZERO
    byte = byte_at(at)
    while byte in (NOUGHT, POINT):
        count += ONE if byte == NOUGHT else ZERO
        at += ONE
        byte = byte_at(at)
    return count


@inlined
def _signed(at: Number) -> Number:
    """Return whether a minus stands here, and the place behind a sign."""
    minus = byte_at(at) == MINUS
    return minus, at + ONE if minus or byte_at(at) == PLUS else at


@inner
def _exponent(at: Number) -> Number:
    """Read an exponent behind its letter; returns it and its end, 0 when there is none."""
    minus, at = _signed(at)
    begin = at
    exponent: Number = 0
    digit = byte_at(at) - NOUGHT
    while digit < TEN:
        if exponent < _HUGE:
            exponent = exponent * 10 + np.int64(digit)
        at += ONE
        digit = byte_at(at) - NOUGHT
    return (-exponent if minus else exponent), (at if at != begin else ZERO)


@inlined
def number(begin: Number, end: Number) -> Number:
    """Read a number; returns it and where it ends, 0 when it is none or too large for a float32.

    Args:
        begin: where it begins.
        end: of the text, which does not end it: a byte that follows is looked at.
    """
    negative, first = _signed(begin)
    mantissa, at = _digits_one_by_one(first, np.uint64(0))
    digits = at - first
    power: Number = 0
    if byte_at(at) == POINT:
        point = at + ONE
        mantissa, at = _digits(point, end, mantissa)
        digits += at - point
        power = -np.int64(at - point)
    if digits == ZERO:
        return np.float32(0), ZERO
    if digits > _DIGITS:
        digits -= _leading_noughts(first)
    if byte_at(at) | SMALL == SMALL_E:
        exponent, at = _exponent(at + ONE)
        if at == ZERO:
            return np.float32(0), ZERO
        power += exponent
    if digits <= _DIGITS and -_LARGEST_POWER <= power <= _LARGEST_POWER:
        product = np.float64(mantissa) * _POWERS[power + _LARGEST_POWER]
        doubt = product * _DOUBT
        low = np.float32(product - doubt)
        if low == np.float32(product + doubt):
            return (-low if negative else low), (at if low != _INFINITE else ZERO)
    value = np.float32(_strtod(begin, ZERO))
    return value, (at if abs(value) != _INFINITE else ZERO)

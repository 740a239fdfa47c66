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

from sagestead.forest.machine import Number, address_of, byte_at, inner

ONE, ZERO = np.uintp(1), np.uintp(0)
TAB, NEWLINE, RETURN, SPACE = (np.uintp(byte) for byte in b"\t\n\r ")
COLON, COMMA = (np.uintp(byte) for byte in b":,")
SMALL = np.uintp(0x20)
"""The bit that makes a letter small."""
TEN = np.uintp(10)
NOUGHT, PLUS, MINUS, POINT, SMALL_E = (np.uintp(byte) for byte in b"0+-.e")

_DIGITS = 19
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
    end = begin + np.uintp(len(body))
    while end > begin and _is_blank(byte_at(end - ONE)):
        end -= ONE
    while begin < end and _is_blank(byte_at(begin)):
        begin += ONE
    return begin, end


@inner
def _noughts(at: Number) -> Number:
    while byte_at(at) == NOUGHT:
        at += ONE
    return at


@inner
def _digits(at: Number, before: Number) -> Number:
    """Read digits behind those of a number; returns it, modulo 2**64, and where they end."""
    digit = byte_at(at) - NOUGHT
    while digit < TEN:
        before = before * np.uint64(10) + np.uint64(digit)
        at += ONE
        digit = byte_at(at) - NOUGHT
    return before, at


@inner
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


@inner
def number(begin: Number) -> Number:
    """Read a number; returns it and where it ends, 0 when it is none or too large for a float32."""
    negative, first = _signed(begin)
    significant = _noughts(first)
    mantissa, at = _digits(significant, np.uint64(0))
    digits = at - significant
    found = at - first
    power: Number = 0
    if byte_at(at) == POINT:
        point = at + ONE
        significant = _noughts(point) if digits == ZERO else point
        mantissa, at = _digits(significant, mantissa)
        digits += at - significant
        found += at - point
        power = -np.int64(at - point)
    if found == ZERO:
        return np.float32(0), ZERO
    if byte_at(at) | SMALL == SMALL_E:
        exponent, at = _exponent(at + ONE)
        if at == ZERO:
            return np.float32(0), ZERO
        power += exponent
    if digits <= np.uintp(_DIGITS) and -_LARGEST_POWER <= power <= _LARGEST_POWER:
        product = np.float64(mantissa) * _POWERS[power + _LARGEST_POWER]
        doubt = product * _DOUBT
        low = np.float32(product - doubt)
        if low == np.float32(product + doubt):
            return (-low if negative else low), (at if low != _INFINITE else ZERO)
    value = np.float32(_strtod(begin, ZERO))
    return value, (at if abs(value) != _INFINITE else ZERO)

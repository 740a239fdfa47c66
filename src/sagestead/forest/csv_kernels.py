"""Plain CSV to numbers, and one row of it to its prediction: compiled.

Rule: a reader answers with exactly the numbers that `algorithms.xgboost.decoding` reads in Python, or
declines: it takes digits, signs, points, exponents, empty cells and `nan`, divided by what the sniffer would
find, with equally many cells in each line. Python alone knows what is refused, and in what words.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from sagestead.forest.kernels import score
from sagestead.forest.layout import FEATURES, GROUPS, TRANSFORM, Words
from sagestead.forest.machine import BYTES, Number, byte_at, entry, inner, several, word_at
from sagestead.forest.number_kernels import (
    COLON,
    COMMA,
    NEWLINE,
    ONE,
    RETURN,
    SMALL,
    SPACE,
    TAB,
    ZERO,
    number,
    trimmed,
)
from sagestead.forest.transforms import LABEL

Floats = NDArray[np.float32]

_SEMICOLON, _SMALL_A, _SMALL_N = (np.uintp(byte) for byte in b";an")
_SNIFFED = np.uintp(512)
_EIGHT = np.uintp(8)
_EACH = np.uint64(0x0101010101010101)
_NEWLINES = _EACH * np.uint64(ord("\n"))
_LOWER_BITS = _EACH * np.uint64(0x7F)
_MATRIX = types.Array(types.float32, 2, "C")
_PLAN = types.Array(types.uint32, 1, "C", readonly=True)


@inner
def _delimiter(begin: Number, end: Number) -> Number:
    """Return what divides the cells as the sniffer finds it in the first line; 0 to decline.

    It looks at 512 characters and prefers what it prefers, however often it is there.
    """
    last = min(end, begin + _SNIFFED)
    tabs = semicolons = spaces = colons = False
    at = begin
    while at < last and byte_at(at) != NEWLINE:
        byte = byte_at(at)
        if byte == COMMA:
            return COMMA
        tabs |= byte == TAB
        semicolons |= byte == _SEMICOLON
        spaces |= byte == SPACE
        colons |= byte == COLON
        at += ONE
    if tabs:
        return TAB
    if semicolons:
        return _SEMICOLON
    if spaces:
        return SPACE
    return COLON if colons else ZERO


@inner
def _spaces(at: Number, end: Number, delimiter: Number) -> Number:
    """Return the place behind spaces that belong to a cell: `float` takes them away."""
    if delimiter == COMMA:
        while at < end and byte_at(at) == SPACE:
            at += ONE
    return at


@inner
def _odd_cell(begin: Number, end: Number, delimiter: Number) -> Number:
    """Read a cell that is empty, `nan`, or has blanks around it: its number and its end, 0 to decline."""
    at = _spaces(begin, end, delimiter)
    value = np.float32(np.nan)
    if at >= end or byte_at(at) in (delimiter, NEWLINE):
        return value, (at if at == begin else ZERO)  # `float` does not take a cell of spaces
    if byte_at(at) | SMALL != _SMALL_N:
        value, at = number(at, end)
    elif byte_at(at + ONE) | SMALL == _SMALL_A and byte_at(at + np.uintp(2)) | SMALL == _SMALL_N:
        at += np.uintp(3)
    else:
        at = ZERO
    if at == ZERO:
        return value, ZERO
    at = _spaces(at, end, delimiter)
    if at < end and byte_at(at) == RETURN and byte_at(at + ONE) == NEWLINE:
        at += ONE
    return value, at


@inner
def _fill(at: Number, end: Number, delimiter: Number, width: Number, values: Floats) -> Number:
    """Write all cells to `values`; returns the number of rows, 0 to decline."""
    cell = rows = column = 0
    while cell < len(values):
        value, behind = number(at, end)
        byte = byte_at(behind) if behind != ZERO else ZERO
        if behind < end and byte in (delimiter, NEWLINE):
            at = behind
        else:
            value, at = _odd_cell(at, end, delimiter)
            if at == ZERO:
                return 0
        values[cell] = value
        cell += 1
        column += 1
        if at >= end:
            return rows + 1 if column == width else 0
        byte = byte_at(at)
        if byte == delimiter:
            if column == width:
                return 0
        elif byte == NEWLINE and column == width:
            column = 0
            rows += 1
        else:
            return 0
        at += ONE
    return 0


@inner
def _lines(at: Number, end: Number) -> Number:
    """Return one more than there are line ends; eight bytes are looked at together."""
    lines: Number = 1
    while at + _EIGHT <= end:
        word = word_at(at) ^ _NEWLINES
        ends = ~(((word & _LOWER_BITS) + _LOWER_BITS) | word | _LOWER_BITS)
        lines += np.int64(((ends >> np.uint64(7)) * _EACH) >> np.uint64(56))
        at += _EIGHT
    while at < end:
        lines += byte_at(at) == NEWLINE
        at += ONE
    return lines


@entry(several((types.int64, _MATRIX))(BYTES))
def read_csv(body: bytes) -> tuple[int, Floats]:
    """Return the number of rows of a body, 0 to decline, and the rows."""
    begin, end = trimmed(body)
    delimiter = _delimiter(begin, end)
    width = 1
    at = begin
    while at < end and byte_at(at) != NEWLINE:
        width += byte_at(at) == delimiter
        at += ONE
    lines = _lines(at, end)
    # Every cell but the last has a byte behind it.
    if delimiter == ZERO or lines > (np.int64(end - begin) + 1) // width:
        return 0, np.empty((0, 0), np.float32)
    values = np.empty((lines, width), np.float32)
    return _fill(begin, end, delimiter, width, values.reshape(lines * width)), values


@entry(several((types.boolean, types.float64))(BYTES, _PLAN))
def score_row(body: bytes, words: Words) -> tuple[bool, float]:
    """Return True and the prediction of a body of one row; False to decline.

    The row must have all columns of the model, and the model one prediction a row.
    """
    begin, end = trimmed(body)
    delimiter = _delimiter(begin, end)
    width, groups = np.intp(words[FEATURES]), np.intp(words[GROUPS])
    if delimiter == ZERO or width > np.intp(end - begin) + 1:
        return False, 0.0
    if groups != 1 and words[TRANSFORM] != LABEL:
        return False, 0.0
    values = np.empty((1, width), np.float32)
    out = np.empty((1, groups), np.float32)
    if _fill(begin, end, delimiter, width, values.reshape(width)) != 1:
        return False, 0.0
    score(words, values, out, False)  # noqa: FBT003 - a kernel's arguments have no names
    return True, np.float64(out[0, 0])

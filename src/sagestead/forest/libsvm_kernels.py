# ruff: noqa: PLR0913, PLR0917 - not interfaces: all but the entry are inlined, and arguments are registers
"""Plain libsvm, `column:value` tokens and labels, to numbers: compiled.

Rule: as in `csv_kernels`, exactly the numbers that `algorithms.xgboost.decoding` reads in Python, or
declines: it takes columns of up to nine digits that grow in each line, and plain values; a token without a
colon is a label, which is not looked at.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from sagestead.forest.machine import BYTES, Number, byte_at, entry, inner, several
from sagestead.forest.number_kernels import (
    COLON,
    NEWLINE,
    NOUGHT,
    ONE,
    RETURN,
    SPACE,
    TEN,
    ZERO,
    number,
    trimmed,
)

Floats = NDArray[np.float32]
Columns = NDArray[np.int32]

_ASCII = np.uintp(128)
_DIGITS = np.uintp(9)
_LABEL, _ODD = -1, -2
_NO_COLUMN = 1 << 40
_MATRIX = types.Array(types.float32, 2, "C")
_VALUES = types.Array(types.float32, 1, "C")
_COLUMNS = types.Array(types.int32, 1, "C")
_FOUND = several((types.int64, types.int64, _MATRIX, _VALUES, _COLUMNS, _COLUMNS))


@inner
def _column(at: Number) -> Number:
    """Read a token up to its colon: returns the column and the place behind the colon.

    A token without a colon is `_LABEL`, and its end is returned; what is neither is `_ODD`.
    """
    begin = at
    column: Number = 0
    digit = byte_at(at) - NOUGHT
    while digit < TEN and at - begin < _DIGITS:
        column = column * 10 + np.int64(digit)
        at += ONE
        digit = byte_at(at) - NOUGHT
    if byte_at(at) == COLON:
        return (column if at != begin else _ODD), at + ONE
    byte = byte_at(at)
    while byte not in (ZERO, SPACE, NEWLINE):
        if byte == COLON or byte >= _ASCII:
            return _ODD, at
        at += ONE
        byte = byte_at(at)
    return _LABEL, at


@inner
def _surveyed(at: Number, end: Number) -> Number:
    """Return how many lines and entries there are, and the lowest and highest column; no entry to decline."""
    lines, entries, lowest, highest, before = 1, 0, _NO_COLUMN, -1, -1
    while True:
        column, at = _column(at)
        if column == _ODD or -1 < column <= before:
            return 0, 0, 0, 0
        if column >= 0:
            before = column
            entries += 1
            lowest = min(lowest, column)
            highest = max(highest, column)
            while at < end and byte_at(at) not in (SPACE, NEWLINE):
                at += ONE
        if at >= end:
            return lines, entries, lowest, highest
        if byte_at(at) == NEWLINE:
            lines += 1
            before = -1
        elif byte_at(at) != SPACE:
            return 0, 0, 0, 0
        at += ONE


@inner
def _fill(
    at: Number, end: Number, first: Number, matrix: Floats, data: Floats, columns: Columns, starts: Columns
) -> Number:
    """Write all entries, to `matrix` unless it is empty, else to the arrays; returns False to decline."""
    row = count = 0
    while True:
        column, at = _column(at)
        if column >= 0:
            value, at = number(at, end)
            if at == ZERO:
                return False
            if matrix.size:
                matrix[row, column - first] = value
            else:
                data[count] = value
                columns[count] = column - first
            count += 1
            if at < end and byte_at(at) == RETURN and byte_at(at + ONE) == NEWLINE:
                at += ONE
        if at < end and byte_at(at) not in (SPACE, NEWLINE):
            return False
        if at >= end or byte_at(at) == NEWLINE:
            row += 1
            if not matrix.size:
                starts[row] = count
        if at >= end:
            return True
        at += ONE


@entry(_FOUND(BYTES, types.boolean, types.int64))
def read_libsvm(
    body: bytes,
    from_one: bool,  # noqa: FBT001 - a kernel's arguments have no names
    cells: int,
) -> tuple[int, int, Floats, Floats, Columns, Columns]:
    """Return rows and columns, and a matrix with NaN for what is absent, or else the arrays of a CSR matrix.

    Args:
        body: the text.
        from_one: columns are counted from 1 when none is 0.
        cells: the most that the matrix may have; a larger one is returned as data, columns, row starts.

    Returns:
        0 rows to decline.
    """
    begin, end = trimmed(body)
    rows, entries, lowest, highest = _surveyed(begin, end)
    first = 1 if from_one and lowest >= 1 else 0
    width = highest + 1 - first
    dense = entries == 0 or rows * width <= cells
    matrix = np.full((rows, width) if dense and entries else (0, 0), np.float32(np.nan))
    data = np.empty(0 if dense else entries, np.float32)
    columns = np.empty(0 if dense else entries, np.int32)
    starts = np.zeros(1 if dense else rows + 1, np.int32)
    if entries == 0 or not _fill(begin, end, first, matrix, data, columns, starts):
        return 0, 0, matrix, data, columns, starts
    return rows, width, matrix, data, columns, starts

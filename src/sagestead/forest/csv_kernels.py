"""Plain CSV to numbers, and one row of it to its prediction: compiled.

Rule: a reader answers with exactly the numbers that `algorithms.xgboost.decoding` reads in Python, or
declines: it takes digits, signs, points, exponents, empty cells and `nan`, divided by what the sniffer would
find, with equally many cells in each line. Python alone knows what is refused, and in what words.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from sagestead.forest.kernels import predict
from sagestead.forest.layout import FEATURES, GROUPS, TRANSFORM, Words
from sagestead.forest.machine import (
    BLOCK,
    BYTES,
    Number,
    address_of,
    byte_at,
    either_in_block,
    entry,
    inlined,
    inner,
    several,
    trailing_zeros,
    word_at,
)
from sagestead.forest.number_kernels import (
    COLON,
    COMMA,
    MINUS,
    NEWLINE,
    ONE,
    RETURN,
    SMALL,
    SPACE,
    TAB,
    ZERO,
    number,
    short_number,
    trimmed,
    without_blanks,
)
from sagestead.forest.transforms import LABEL

Floats = NDArray[np.float32]

_SEMICOLON, _SMALL_A, _SMALL_N = (np.uintp(byte) for byte in b";an")
_SNIFFED = np.uintp(512)
_EIGHT = np.uintp(8)
_BLOCK = np.uintp(BLOCK)
_EVERY = np.uint64(0xFFFFFFFFFFFFFFFF)
_CELLS = 1 << 12
"""Cells that are read before they are scored: they stay in the nearest cache."""
_EACH = np.uint64(0x0101010101010101)
_NEWLINES = _EACH * np.uint64(ord("\n"))
_LOWER_BITS = _EACH * np.uint64(0x7F)
_MATRIX = types.Array(types.float32, 2, "C")
PLAN = types.Array(types.uint32, 1, "C", readonly=True)


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
def _any_cell(begin: Number, stop: Number, end: Number, delimiter: Number) -> Number:
    """Read the cell between two places; returns its number and whether it has one."""
    value, behind = number(begin, end)
    if behind != stop:
        value, behind = _odd_cell(begin, end, delimiter)
    return value, behind == stop


@inner
def _read_odd(  # noqa: PLR0913, PLR0917 - not an interface
    begin: Number, end: Number, delimiter: Number, stops: Number, odd: Number, values: Floats
) -> Number:
    """Read the cells of a row that are not short numbers; returns whether all are numbers."""
    sound = True
    for column in range(len(values)):
        if odd[column] != np.uint64(0):
            values[column], plain = _any_cell(begin, stops[column], end, delimiter)
            sound &= plain
        begin = stops[column] + ONE
    return sound


@inlined
def _ends(block: Number, end: Number, delimiter: Number) -> Number:
    """Return where cells end in a block: delimiters, newlines, and the end of the text."""
    found = either_in_block(block, delimiter, NEWLINE)
    if block + _BLOCK > end:
        last = np.uint64(1) << (end - block)
        found = (found & (last - np.uint64(1))) | last
    return found


@inlined
def _first_ends(at: Number, end: Number, delimiter: Number) -> Number:
    """Return the block of a place, and where cells end in it from there on."""
    block = at & ~(_BLOCK - ONE)
    return block, _ends(block, end, delimiter) & (_EVERY << (at - block))


@inner
def _read_rows(at: Number, end: Number, delimiter: Number, values: Floats) -> Number:
    """Fill rows with cells; returns how many there are before the text ends, and the place behind.

    The place is 0 to decline. Where cells end is found first, 64 bytes together, so that the processor reads
    several cells at the same time.
    """
    rows, width = values.shape
    cells_of_row = np.empty((5, width), np.uint64)
    stops, words, lengths = cells_of_row[0], cells_of_row[1], cells_of_row[2]
    signs, odd = cells_of_row[3], cells_of_row[4]
    block, ends = _first_ends(at, end, delimiter)
    for row in range(rows):
        begin = at
        sound = divided = True
        for column in range(width):
            while ends == np.uint64(0):
                block += _BLOCK
                if block > end:
                    return row, ZERO
                ends = _ends(block, end, delimiter)
            stop = block + trailing_zeros(ends)
            ends &= ends - np.uint64(1)
            minus = np.uint64(byte_at(at) == MINUS)
            stops[column], words[column] = stop, word_at(stop - _EIGHT)
            lengths[column], signs[column] = stop - at - minus, minus
            sound &= divided
            divided = byte_at(stop) == delimiter
            at = stop + ONE
        if not sound or (at <= end and byte_at(at - ONE) != NEWLINE):
            return row, ZERO
        cells = values[row]
        some = np.uint64(0)
        for column in range(width):
            cells[column], odd[column] = short_number(words[column], lengths[column], signs[column])
            some |= odd[column]
        if some != np.uint64(0) and not _read_odd(begin, end, delimiter, stops, odd, cells):
            return row, ZERO
        if at > end:
            return row + 1, at
    return rows, at


@inner
def _width(begin: Number, end: Number, delimiter: Number) -> Number:
    """Return the number of cells in the first line."""
    width = 1
    while begin < end and byte_at(begin) != NEWLINE:
        width += byte_at(begin) == delimiter
        begin += ONE
    return width


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
    width, lines = _width(begin, end, delimiter), _lines(begin, end)
    # Every cell but the last has a byte behind it.
    if delimiter == ZERO or lines > (np.int64(end - begin) + 1) // width:
        return 0, np.empty((0, 0), np.float32)
    values = np.empty((lines, width), np.float32)
    rows, at = _read_rows(begin, end, delimiter, values)
    return (rows if at > end else 0), values


@entry(several((types.int64, types.int64, _MATRIX))(BYTES, PLAN, types.int64, types.int64, types.int64))
def score_csv(body: bytes, words: Words, start: int, width: int, most: int) -> tuple[int, int, Floats]:
    """Score rows of a body as they are read, while they are near.

    Args:
        body: the text.
        words: the plan.
        start: where the first row begins, 0 for the first one of the body.
        width: cells of a row, as it was returned; 0 to find it.
        most: rows to score at most.

    Returns:
        Where the next row begins, 0 behind the last one, -1 to decline; the width; predictions, rows x groups
        (a label stands in group 0).
    """
    begin, end = trimmed(body)
    delimiter = _delimiter(begin, end)
    width = width or _width(begin, end, delimiter)
    nothing = np.empty((0, 0), np.float32)
    if delimiter == ZERO or width > np.int64(words[FEATURES]):
        return -1, width, nothing
    address = address_of(body)
    at = address + np.uintp(start) if start else begin
    room: Number = min(most, (np.int64(end - at) + 1) // width)
    out = np.empty((room, np.intp(words[GROUPS])), np.float32)
    values = np.empty((min(room, max(1, _CELLS // width)), width), np.float32)
    rows = 0
    while rows < room and at <= end:
        part = values[: min(len(values), room - rows)]
        read, at = _read_rows(at, end, delimiter, part)
        if at == ZERO:
            return -1, width, nothing
        predict(words, part[:read], out[rows : rows + read], False)  # noqa: FBT003 - a kernel's arguments have no names
        rows += read
    following: Number = np.int64(at - address) if at <= end else 0
    return following, width, out[:rows]


@inner
def score_one(begin: Number, end: Number, words: Words, values: Floats, out: Floats) -> Number:
    """Score a text of one row that has all columns of the model; returns False to decline.

    A zero is behind the text. `values` has room for the row, `out` for its predictions; there must be one.
    """
    begin, end = without_blanks(begin, end)
    delimiter = _delimiter(begin, end)
    if delimiter == ZERO or values.shape[1] > np.intp(end - begin) + 1:
        return False
    if out.shape[1] != 1 and words[TRANSFORM] != LABEL:
        return False
    if _read_rows(begin, end, delimiter, values)[1] <= end:
        return False
    predict(words, values, out, False)  # noqa: FBT003 - a kernel's arguments have no names
    return True


@entry(several((types.boolean, types.float64))(BYTES, PLAN))
def score_row(body: bytes, words: Words) -> tuple[bool, float]:
    """Return True and the prediction of a body of one row; False to decline.

    The row must have all columns of the model, and the model one prediction a row.
    """
    begin = address_of(body)
    end = begin + np.uintp(len(body))
    width, groups = np.intp(words[FEATURES]), np.intp(words[GROUPS])
    if width > len(body) + 1:
        return False, 0.0
    values = np.empty((1, width), np.float32)
    out = np.empty((1, groups), np.float32)
    if not score_one(begin, end, words, values, out):
        return False, 0.0
    return True, np.float64(out[0, 0])

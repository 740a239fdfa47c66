"""Rows of text in envelopes to predictions in envelopes: compiled.

    envelope = length:u32 kind:u8 id:u32 number:u32 rest
    length counts what follows it; integers are big-endian; it is less than 2**24

Rule: the caller says which bytes make an envelope one that is known. The first that is not, or whose row
`score_row` would decline, ends the work: whoever reads envelopes in Python goes on there.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from sagestead.forest.csv_kernels import PLAN, score_one
from sagestead.forest.layout import FEATURES, GROUPS, Words
from sagestead.forest.machine import BYTES, Number, address_of, byte_at, entry, inner, several
from sagestead.forest.number_kernels import ONE, ZERO
from sagestead.forest.printing_kernels import LONGEST, copied, printed

Text = NDArray[np.uint8]

_KIND, _ID, _NUMBER, _REST = (np.uintp(place) for place in (4, 5, 9, 13))
_FOUR, _EIGHT = np.uintp(4), np.uintp(8)
_BARE = np.uintp(9)  # of an envelope without a rest
_TEXT = types.Array(types.uint8, 1, "C")


@inner
def _number_at(at: Number) -> Number:
    found = ZERO
    for place in range(4):
        found = (found << _EIGHT) | byte_at(at + np.uintp(place))
    return found


@inner
def _write_number(number: Number, out: Text, at: Number) -> Number:
    for place in range(4):
        out[at + place] = (number >> np.uintp(8 * (3 - place))) & np.uintp(0xFF)
    return at + 4


@inner
def _is_known(at: Number, end: Number, asking: bytes) -> Number:
    """Whether an envelope is here whole, waits still, and is of the kind and has the rest that are asked."""
    if at + _REST > end:
        return False
    length, fixed = _number_at(at), np.uintp(len(asking)) - ONE
    if at + _FOUR + length > end or length < _BARE + fixed:
        return False
    if byte_at(at + _KIND) != np.uintp(asking[0]) or _number_at(at + _NUMBER) == ZERO:
        return False
    known = True
    for place in range(1, len(asking)):
        known &= byte_at(at + _REST + np.uintp(place) - ONE) == np.uintp(asking[place])
    return known


@entry(
    several((types.int64, types.int64, types.int64, _TEXT))(
        BYTES, types.int64, types.int64, BYTES, BYTES, BYTES, PLAN, types.boolean
    )
)
def answer_envelopes(  # noqa: PLR0913, PLR0917 - a kernel's arguments
    data: bytes,
    start: int,
    most: int,
    asking: bytes,
    answering: bytes,
    after: bytes,
    words: Words,
    is_begun: bool,  # noqa: FBT001 - a kernel has no names
) -> tuple[int, int, int, Text]:
    """Answer known envelopes, each of one row.

    Args:
        data: envelopes.
        start: where the first one begins.
        most: how many at most.
        asking: their kind, and what precedes the row in the rest of each. Its number is not 0.
        answering: the answers' kind, and all that is between the id and the prediction.
        after: follows the prediction.
        words: the plan.
        is_begun: False: nothing is scored; it is only seen how many are known.

    Returns:
        How many; the id of the last one; where the next one begins; the answers.
    """
    address = address_of(data)
    at, end = address + np.uintp(start), address + np.uintp(len(data))
    values = np.empty((1, np.intp(words[FEATURES])), np.float32)
    out = np.empty((1, np.intp(words[GROUPS])), np.float32)
    longest = 8 + len(answering) + LONGEST + len(after)
    text = np.empty(most * longest if is_begun else 0, np.uint8)
    written = count = 0
    last: Number = 0
    following: Number = start
    while count < most and _is_known(at, end, asking):
        stop = at + _FOUR + _number_at(at)
        if is_begun:
            if not score_one(at + _REST + np.uintp(len(asking)) - ONE, stop, words, values, out):
                break
            text[written + 4] = answering[0]
            behind = _write_number(_number_at(at + _ID), text, written + 5)
            for place in range(1, len(answering)):
                text[behind + place - 1] = answering[place]
            behind = copied(after, text, printed(out[0, 0], text, behind + len(answering) - 1))
            _write_number(np.uintp(behind - written - 4), text, written)
            written = behind
        last = np.int64(_number_at(at + _ID))
        at, following = stop, np.int64(stop - address)
        count += 1
    return count, last, following, text[:written]

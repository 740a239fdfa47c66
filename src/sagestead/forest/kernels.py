# ruff: noqa: PLR0913, PLR0917 - not interfaces: all but `score` are inlined, and arguments are registers
"""The scorer of a plan, compiled: what `twin` does in NumPy, a hundred times faster.

Rule: importing this module needs Numba and may compile for seconds, so only `compiling` imports it. A kernel
holds no lock while it runs, allocates a few kilobytes, trusts its plan as `layout` made it, and checks rows.

A single row is walked down four trees at a time, and many rows eight at a time down one tree, so that several
loads are under way at once; a step has no branch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from sagestead.forest.layout import (
    BASE_AT,
    BITS_AT,
    CATEGORICAL,
    CATEGORIES_AT,
    CATEGORY,
    CATEGORY_LIMIT,
    COLUMNS,
    COLUMNS_AT,
    FEATURES,
    KIND,
    LAST_AT,
    LINEAR,
    NODE,
    NODES_AT,
    TRANSFORM,
    TREE,
    TREES,
    TREES_AT,
    WEIGHTS_AT,
    Words,
)
from sagestead.forest.machine import Number, entry, inner
from sagestead.forest.transforms import (
    DOUBLE_EXPONENTIAL,
    EXPONENTIAL,
    HIGHEST,
    IDENTITY,
    LABEL,
    PROBABILITIES,
    SIGMOID,
)

Floats = NDArray[np.float32]

_TOGETHER = 8
_NODE, _CATEGORY, _APART = np.uintp(NODE), np.uintp(CATEGORY), np.uintp(_TOGETHER)
_BLOCK = 16
_BLOCK_VALUES = 1 << 14
_expf: Any = types.ExternalFunction("expf", types.float32(types.float32))
_exp: Any = types.ExternalFunction("exp", types.float64(types.float64))
_PLAN = types.Array(types.uint32, 1, "C", readonly=True)
_ROWS = types.Array(types.float32, 2, "C", readonly=True)
_OUT = types.Array(types.float32, 2, "C")
_SCORE = types.boolean(_PLAN, _ROWS, _OUT, types.boolean)


@inner
def _prepare(words: Words, rows: Floats, row: Number, buffer: Floats, at: Number, apart: Number) -> None:
    """Write the used columns of a row, then the same with minus infinity for missing values.

    They stand `apart` values from each other: rows that are walked together take turns.
    """
    columns = np.intp(words[COLUMNS])
    columns_at = np.intp(words[COLUMNS_AT])
    width = rows.shape[1]
    for place in range(columns):
        column = np.intp(words[columns_at + place])
        value = rows[row, column] if column < width else np.float32(np.nan)
        buffer[at + place * apart] = value
        buffer[at + (columns + place) * apart] = value if value == value else np.float32(-np.inf)  # noqa: PLR0124 - NaN


@inner
def _step(words: Words, floats: Floats, node: Number, buffer: Floats, at: Number, apart: Number) -> Number:
    """Return the next node of a numeric one; both arrays begin with the nodes."""
    left = buffer[at + np.uintp(words[node + np.uintp(2)]) * apart] < floats[node]
    return np.uintp(words[node + np.uintp(1)]) + (np.uintp(0) if left else _NODE)


@inner
def _leaf_by_category(
    words: Words, floats: Floats, nodes: Number, node: Number, depth: Number, buffer: Floats, at: Number
) -> Number:
    """Walk a tree whose nodes may ask for a category."""
    sets_at = np.uintp(words[CATEGORIES_AT])
    bits_at = np.uintp(words[BITS_AT])
    for _ in range(depth):
        here = nodes + node
        set_at = sets_at + node // _NODE * _CATEGORY
        value = buffer[at + np.uintp(words[here + np.uintp(2)])]
        size = np.uintp(words[set_at + np.uintp(1)])
        left = value < floats[here]
        if size > 0 and value == value:  # noqa: PLR0124 - NaN
            left = True
            if np.float32(0) <= value < CATEGORY_LIMIT:
                category = np.uintp(value)
                word = category >> np.uintp(5)
                if word < size:
                    bits = np.uintp(words[bits_at + np.uintp(words[set_at]) + word])
                    left = (bits >> (category & np.uintp(31))) & np.uintp(1) == 0
        node = np.uintp(words[here + np.uintp(1)]) + (np.uintp(0) if left else _NODE)
    return node


@inner
def _walk_row(words: Words, floats: Floats, buffer: Floats, at: Number, sums: Floats, row: Number) -> None:
    """Add all trees to one row of sums, four trees at a time."""
    below, below_floats = words[words[NODES_AT] :], floats[words[NODES_AT] :]
    added = below_floats[3:]
    trees_at = np.uintp(words[TREES_AT])
    trees = np.uintp(words[TREES])
    tree = np.uintp(0)
    while tree + np.uintp(4) <= trees:
        one = trees_at + tree * TREE
        two, three, four = one + np.uintp(3), one + np.uintp(6), one + np.uintp(9)
        a, b = np.uintp(words[one]), np.uintp(words[two])
        c, d = np.uintp(words[three]), np.uintp(words[four])
        deeper = max(words[one + np.uintp(1)], words[two + np.uintp(1)])
        depth = max(deeper, words[three + np.uintp(1)], words[four + np.uintp(1)])
        for _ in range(depth):
            a = _step(below, below_floats, a, buffer, at, np.uintp(1))
            b = _step(below, below_floats, b, buffer, at, np.uintp(1))
            c = _step(below, below_floats, c, buffer, at, np.uintp(1))
            d = _step(below, below_floats, d, buffer, at, np.uintp(1))
        sums[row, words[one + np.uintp(2)]] += added[a]
        sums[row, words[two + np.uintp(2)]] += added[b]
        sums[row, words[three + np.uintp(2)]] += added[c]
        sums[row, words[four + np.uintp(2)]] += added[d]
        tree += np.uintp(4)
    while tree < trees:
        one = trees_at + tree * TREE
        a = np.uintp(words[one])
        for _ in range(words[one + np.uintp(1)]):
            a = _step(below, below_floats, a, buffer, at, np.uintp(1))
        sums[row, words[one + np.uintp(2)]] += added[a]
        tree += np.uintp(1)


@inner
def _walk_block(
    words: Words, floats: Floats, buffer: Floats, width: Number, sums: Floats, first: Number, last: Number
) -> None:
    """Add all trees to the sums of some rows, eight rows at a time."""
    below, below_floats = words[words[NODES_AT] :], floats[words[NODES_AT] :]
    added = below_floats[3:]
    for tree in range(np.uintp(words[TREES])):
        about = np.uintp(words[TREES_AT]) + tree * TREE
        root = np.uintp(words[about])
        depth = words[about + np.uintp(1)]
        group = words[about + np.uintp(2)]
        at = np.uintp(0)
        for row in range(first, last, _TOGETHER):
            a = b = c = d = e = f = g = h = root
            for _ in range(depth):
                a = _step(below, below_floats, a, buffer, at, _APART)
                b = _step(below, below_floats, b, buffer, at + np.uintp(1), _APART)
                c = _step(below, below_floats, c, buffer, at + np.uintp(2), _APART)
                d = _step(below, below_floats, d, buffer, at + np.uintp(3), _APART)
                e = _step(below, below_floats, e, buffer, at + np.uintp(4), _APART)
                f = _step(below, below_floats, f, buffer, at + np.uintp(5), _APART)
                g = _step(below, below_floats, g, buffer, at + np.uintp(6), _APART)
                h = _step(below, below_floats, h, buffer, at + np.uintp(7), _APART)
            sums[row, group] += added[a]
            sums[row + 1, group] += added[b]
            sums[row + 2, group] += added[c]
            sums[row + 3, group] += added[d]
            sums[row + 4, group] += added[e]
            sums[row + 5, group] += added[f]
            sums[row + 6, group] += added[g]
            sums[row + 7, group] += added[h]
            at += np.uintp(_TOGETHER) * width


@inner
def _walk_categories(
    words: Words, floats: Floats, buffer: Floats, at: Number, sums: Floats, row: Number
) -> None:
    """Add all trees of an ensemble with categories to one row of sums."""
    nodes = np.uintp(words[NODES_AT])
    for tree in range(np.uintp(words[TREES])):
        about = np.uintp(words[TREES_AT]) + tree * TREE
        root, depth = np.uintp(words[about]), words[about + np.uintp(1)]
        leaf = _leaf_by_category(words, floats, nodes, root, depth, buffer, at)
        sums[row, words[about + np.uintp(2)]] += floats[nodes + leaf + np.uintp(3)]


@inner
def _sum_trees(words: Words, floats: Floats, rows: Floats, sums: Floats) -> None:
    """Write what sums begin with, add what the leaves say, in the order of trees, and what comes last."""
    count, groups = rows.shape[0], sums.shape[1]
    width = 2 * np.intp(words[COLUMNS])
    block = max(1, min(_BLOCK, int(_BLOCK_VALUES // width)))
    buffer = np.empty(min(block, count) * width, np.float32)
    base_at = np.intp(words[BASE_AT])
    last_at = np.intp(words[LAST_AT])
    for first in range(0, count, block):
        last = min(count, first + block)
        categorical = words[KIND] == CATEGORICAL
        together = first if categorical else last - (last - first) % _TOGETHER
        for row in range(first, last):
            place = row - first
            if row < together:
                turn = place % _TOGETHER
                _prepare(words, rows, row, buffer, (place - turn) * width + turn, _TOGETHER)
            else:
                _prepare(words, rows, row, buffer, place * width, 1)
            for group in range(groups):
                sums[row, group] = floats[base_at + group]
        if together > first:
            _walk_block(words, floats, buffer, np.uintp(width), sums, first, together)
        for row in range(together, last):
            if categorical:
                _walk_categories(words, floats, buffer, np.uintp((row - first) * width), sums, row)
            else:
                _walk_row(words, floats, buffer, np.uintp((row - first) * width), sums, row)
        for row in range(first, last):
            for group in range(groups):
                sums[row, group] += floats[last_at + group]


@inner
def _sum_columns(words: Words, floats: Floats, rows: Floats, sums: Floats) -> None:
    """Add bias, base margin, and value times weight in the order of columns."""
    groups = sums.shape[1]
    weights = np.intp(words[WEIGHTS_AT])
    bias = weights + np.intp(words[FEATURES]) * groups
    for row in range(rows.shape[0]):
        for group in range(groups):
            total = floats[bias + group] + floats[np.intp(words[BASE_AT]) + group]
            for column in range(rows.shape[1]):
                value = rows[row, column]
                if value == value:  # noqa: PLR0124 - NaN
                    total += value * floats[weights + column * groups + group]
            sums[row, group] = total


@inner
def _each(sums: Floats, transform: Number) -> None:
    """Apply a transform that looks at one margin."""
    for row in range(sums.shape[0]):
        for group in range(sums.shape[1]):
            margin = sums[row, group]
            if transform == SIGMOID:
                exponent = -margin
                if exponent > HIGHEST:  # noqa: PLR1730 - `min` differs in what is not a number
                    exponent = HIGHEST
                sums[row, group] = np.float32(1) / (_expf(exponent) + np.float32(1))
            elif transform == EXPONENTIAL:
                sums[row, group] = _expf(margin)
            elif transform == DOUBLE_EXPONENTIAL:
                sums[row, group] = np.float32(_exp(np.float64(margin)))
            else:
                sums[row, group] = np.float32(1) if margin > 0 else np.float32(0)


@inner
def _softmax(sums: Floats) -> None:
    for row in range(sums.shape[0]):
        highest = sums[row, 0]
        for group in range(1, sums.shape[1]):
            margin = sums[row, group]
            if not margin <= highest and margin == margin:  # noqa: PLR0124 - NaN
                highest = margin
        total = 0.0
        for group in range(sums.shape[1]):
            power = _expf(sums[row, group] - highest)
            sums[row, group] = power
            total += power
        divisor = np.float32(total)
        for group in range(sums.shape[1]):
            sums[row, group] /= divisor


@inner
def _label(sums: Floats) -> None:
    """Write the first group of the highest margin in the place of group 0."""
    for row in range(sums.shape[0]):
        best = 0
        for group in range(1, sums.shape[1]):
            if sums[row, group] > sums[row, best]:
                best = group
        sums[row, 0] = np.float32(best)


@inner
def predict(words: Words, rows: Floats, out: Floats, margins: bool) -> None:  # noqa: FBT001 - a kernel's arguments have no names
    """Write the predictions, or margins, of finite rows to `out`: rows x groups (a label in group 0)."""
    floats = words.view(np.float32)
    if words[KIND] == LINEAR:
        _sum_columns(words, floats, rows, out)
    else:
        _sum_trees(words, floats, rows, out)
    transform = words[TRANSFORM]
    if margins or transform == IDENTITY:
        return
    if transform == PROBABILITIES:
        _softmax(out)
    elif transform == LABEL:
        _label(out)
    else:
        _each(out, transform)


@entry(_SCORE)
def score(words: Words, rows: Floats, out: Floats, margins: bool) -> bool:  # noqa: FBT001 - a kernel's arguments have no names
    """Write the predictions of rows to `out`, as `predict` does.

    Returns:
        False, with nothing written, when a value is infinite.
    """
    unsound = False
    for row in range(rows.shape[0]):
        for column in range(rows.shape[1]):
            unsound |= abs(rows[row, column]) == np.float32(np.inf)
    if unsound:
        return False
    predict(words, rows, out, margins)
    return True

"""The kernels' twin in NumPy: scores a plan where nothing compiled is at hand, with the same bits.

Rule: whatever a kernel answers for a plan and rows, the twin answers too; one set of tests holds for both.
All trees of all rows take a step at a time, so that the cost of NumPy's calls is shared.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sagestead.forest import layout
from sagestead.forest.layout import Words
from sagestead.forest.transforms import transformed

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

Number = TypeVar("Number", bound=np.generic)

_AT_ONCE = 1 << 18
"""Walks (rows x trees) and values (rows x columns) that are in memory at a time."""


class Twin:
    """Scores the rows of one plan. Safe to use from several threads."""

    def __init__(self, plan: Words) -> None:
        header = [int(word) for word in plan[: layout.HEADER]]
        self._kind = header[layout.KIND]
        self._transform = header[layout.TRANSFORM]
        groups = header[layout.GROUPS]
        floats = plan.view(np.float32)
        self._base = _section(floats, header[layout.BASE_AT], groups)
        if self._kind == layout.LINEAR:
            self._width = header[layout.FEATURES]
            weights = _section(floats, header[layout.WEIGHTS_AT], (self._width + 1) * groups)
            self._weights = weights.reshape(self._width + 1, groups)
            return
        self._last = _section(floats, header[layout.LAST_AT], groups)
        trees = _section(plan, header[layout.TREES_AT], header[layout.TREES] * layout.TREE)
        root, depth, group = trees.reshape(-1, layout.TREE).T.astype(np.int64)
        root //= layout.NODE
        # Deepest first: the trees that still walk are always the first ones.
        deepest_first = np.argsort(-depth, kind="stable")
        self._back = np.argsort(deepest_first)
        self._root = root[deepest_first]
        steps = np.arange(1, depth.max(initial=0) + 1)
        self._walking = [int(count) for count in (depth[None, :] >= steps[:, None]).sum(axis=1)]
        self._trees_of = [np.flatnonzero(group == each) for each in range(groups)]

        nodes = _section(plan, header[layout.NODES_AT], header[layout.NODES] * layout.NODE)
        nodes = nodes.reshape(-1, layout.NODE)
        self._threshold = nodes[:, 0].copy().view(np.float32)
        self._right = nodes[:, 1].astype(np.int64) // layout.NODE + 1
        self._place = nodes[:, 2].astype(np.int64)
        self._added = nodes[:, 3].copy().view(np.float32)
        self._columns = _section(plan, header[layout.COLUMNS_AT], header[layout.COLUMNS]).astype(np.int64)
        self._width = 2 * len(self._columns)
        if self._kind == layout.CATEGORICAL:
            sets = _section(plan, header[layout.CATEGORIES_AT], header[layout.NODES] * layout.CATEGORY)
            self._set_at, self._set_words = sets.reshape(-1, layout.CATEGORY).T.astype(np.int64)
            self._bits = plan[header[layout.BITS_AT] :]

    def score(self, rows: Floats, *, margins: bool) -> Floats:
        """Return predictions, or margins, of finite or missing (NaN) values: rows x groups or rows x 1."""
        at_once = max(1, _AT_ONCE // max(1, self._width, self._work))
        with np.errstate(all="ignore"):
            parts = [
                self._part(rows[at : at + at_once], margins) for at in range(0, max(1, len(rows)), at_once)
            ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    @property
    def _work(self) -> int:
        return 0 if self._kind == layout.LINEAR else len(self._root)

    def _part(self, rows: Floats, margins: bool) -> Floats:  # noqa: FBT001 - private, and named the same
        sums = self._line(rows) if self._kind == layout.LINEAR else self._leaves(rows)
        return sums if margins else transformed(sums, self._transform)

    def _line(self, rows: Floats) -> Floats:
        """Add value times weight in the order of columns; a missing value adds nothing."""
        used = rows.shape[1]
        sums = np.repeat((self._weights[-1] + self._base)[None, :], len(rows), axis=0)
        for column in range(used):
            value = rows[:, column, None]
            sums = np.where(np.isnan(value), sums, sums + value * self._weights[column])
        return sums

    def _leaves(self, rows: Floats) -> Floats:
        """Walk all trees and add what their leaves say, in the order of trees."""
        count, trees = len(rows), len(self._root)
        leaf = self._walk(self._prepared(rows), count)
        added = self._added[leaf].reshape(trees, count)[self._back]
        sums = np.empty((count, len(self._base)), np.float32)
        for group, own in enumerate(self._trees_of):
            column = np.empty((len(own) + 1, count), np.float32)
            column[0] = self._base[group]
            column[1:] = added if len(own) == trees else added[own]
            # `accumulate` adds one after another; `sum` would add in pairs.
            sums[:, group] = np.add.accumulate(column, axis=0)[-1] + self._last[group]
        return sums

    def _prepared(self, rows: Floats) -> Floats:
        """Return each row's used columns twice, as `layout` says, all in one flat array."""
        there = int(self._columns.searchsorted(rows.shape[1]))
        used = rows[:, self._columns[:there]]
        if there < len(self._columns):
            absent = np.full((len(rows), len(self._columns) - there), np.nan, np.float32)
            used = np.concatenate([used, absent], axis=1)
        lowest = np.where(np.isnan(used), np.float32(-np.inf), used)
        return np.concatenate([used, lowest], axis=1).ravel()

    def _walk(self, values: Floats, rows: int) -> Ints:
        """Return the leaf that each tree (deepest first) leads each row to: trees x rows, flat."""
        node = np.repeat(self._root, rows)
        row_at = np.tile(np.arange(rows) * self._width, len(self._root)) if rows > 1 else None
        for walking in self._walking:
            here = node[: walking * rows]
            place = self._place[here]
            value = values[place if row_at is None else place + row_at[: len(here)]]
            left = value < self._threshold[here]
            if self._kind == layout.CATEGORICAL:
                left = np.where(self._set_words[here] > 0, self._outside(here, value), left)
            np.subtract(self._right[here], left, out=here)
        return node

    def _outside(self, node: Ints, value: Floats) -> NDArray[np.bool_]:
        """Whether a value goes left at a categorical node: it is no category, or none of the node's set."""
        is_category = (value >= 0) & (value < layout.CATEGORY_LIMIT)
        category = np.where(is_category, value, np.float32(0)).astype(np.int64)
        word = category >> 5
        inside = is_category & (word < self._set_words[node])
        bits = self._bits[np.where(inside, self._set_at[node] + word, 0)]
        in_set = inside & ((bits >> (category & 31).astype(np.uint32)) & 1).astype(bool)
        left: NDArray[np.bool_] = ~in_set & ~np.isnan(value)
        return left


def _section(words: NDArray[Number], at: int, count: int) -> NDArray[Number]:
    return words[at : at + count]

"""The arithmetic of XGBoost, slowly: one row at a time, float32 sums in tree order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sagestead.forest.ensemble import LEAF, Ensemble

Floats = NDArray[np.float32]


def margins(model: Ensemble, rows: Floats, trees: int) -> Floats:
    """Return the margins (rows x groups) with the first trees, summed as the writing version did."""
    found = np.array([_margins_of_row(model, row, trees) for row in rows], np.float32)
    return found.reshape(len(rows), model.groups)


def _margins_of_row(model: Ensemble, row: Floats, trees: int) -> Floats:
    if model.booster == "gblinear":
        return _linear(model, row)
    total = np.zeros(model.groups, np.float32) if model.base_margin_last else model.base_margin.copy()
    for tree in range(trees):
        group = model.tree_group[tree]
        total[group] += model.leaf_value[_leaf(model, row, tree)] * model.tree_weight[tree]
    return total + model.base_margin if model.base_margin_last else total


def _linear(model: Ensemble, row: Floats) -> Floats:
    total: Floats = model.base_margin + model.linear_weight[-1]
    for column, value in enumerate(row):
        if not np.isnan(value):
            total = total + value * model.linear_weight[column]
    return total


def _leaf(model: Ensemble, row: Floats, tree: int) -> int:
    node = int(model.root[tree])
    while model.left[node] != LEAF:
        value = row[model.feature[node]]
        if np.isnan(value):
            goes_left = bool(model.default_left[node])
        elif model.categorical[node]:
            goes_left = not _in_set(model, node, float(value))
        else:
            goes_left = bool(value < model.threshold[node])
        node = int(model.left[node] if goes_left else model.right[node])
    return node


def _in_set(model: Ensemble, node: int, value: float) -> bool:
    if not 0 <= value < 1 << 24 or int(value) // 32 >= model.category_words[node]:
        return False
    word = int(model.category_bits[int(model.category_start[node]) + int(value) // 32])
    return bool(word >> (int(value) % 32) & 1)

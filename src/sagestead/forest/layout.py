"""An ensemble laid out for walking: one array of 32-bit words that holds everything a scorer reads.

Rule: a plan is made from a sound `Ensemble` only, never changes, and a walk that follows it stays inside it.
Everything is in one array so that a kernel takes one argument and processes can share a plan by mapping it.

What makes a walk cheap: siblings stand next to each other, so a step is `left + (not value < threshold)`; a
leaf leads to itself, so that a tree takes the same number of steps for every row; and the rows it looks at
are prepared (`kernels`, `twin`): the used columns, first as they are, then with minus infinity in place of
missing values. A node whose missing values go left asks the second copy, any other the first, where NaN is
less than nothing and goes right. (Infinite values are refused, and minus infinity is not a category, so both
kinds of node decide alike.)

A column that a row does not have is missing. (XGBoost from 3.1 on forgets that when no value of the matrix is
NaN, so that the same row has two predictions; all of AWS's containers are older.)
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sagestead.forest.ensemble import LEAF, Ensemble
from sagestead.forest.transforms import transform_of

Words = NDArray[np.uint32]
Ints = NDArray[np.int64]
Sections: TypeAlias = dict[int, NDArray[Any]]

# The header: what stands in word 0, 1, 2 ...; `*_AT` are positions in the array.
(KIND, FEATURES, GROUPS, TRANSFORM, COLUMNS, COLUMNS_AT, BASE_AT, LAST_AT) = range(8)
(TREES, TREES_AT, NODES, NODES_AT, CATEGORIES_AT, BITS_AT, WEIGHTS_AT) = range(8, 15)
HEADER = 16

# KIND
NUMERIC, CATEGORICAL, LINEAR = range(3)

# A tree: its root, the steps to its deepest leaf, its group. A node is named by its distance in words from
# the first one, so that a step computes no address.
TREE = 3
# A node: threshold (float32), left child, place of the value in a prepared row, what a leaf adds (float32).
# Node 0 is nobody's: every node has one before it, and a leaf's "left child" is the node before it.
NODE = 4
# Of each node, in ensembles with categories: where its set begins in the bits, words of the set (0: numeric).
CATEGORY = 2

CATEGORY_LIMIT = np.float32(1 << 24)
"""Values from here on are no categories: a float32 cannot tell them apart."""

_LARGEST = (1 << 32) - 1


class TooLarge(ValueError):  # noqa: N818 - it says what is wrong
    """The ensemble has more words than a plan can address."""


def plan(ensemble: Ensemble, trees: range | None = None) -> Words:
    """Return the read-only plan of an ensemble, or of the trees `trees` of it.

    Raises:
        UnknownObjective: what it does with a margin is not known.
        TooLarge: the plan would have more than 2**32 words.
    """
    header = np.zeros(HEADER, np.uint32)
    transform = transform_of(ensemble.objective)
    header[[FEATURES, GROUPS, TRANSFORM]] = ensemble.features, ensemble.groups, transform
    if ensemble.booster == "gblinear":
        header[KIND] = LINEAR
        sections: Sections = {BASE_AT: ensemble.base_margin, WEIGHTS_AT: ensemble.linear_weight.ravel()}
    else:
        sections = _trees(ensemble, trees if trees is not None else range(ensemble.trees), header)
    return _joined(header, sections)


def steps(words: Words) -> int:
    """Return how many steps a row takes through a plan: the depths of its trees, or its columns."""
    if words[KIND] == LINEAR:
        return int(words[FEATURES]) * int(words[GROUPS])
    trees = words[words[TREES_AT] :][: int(words[TREES]) * TREE]
    return int(trees[1::TREE].sum(dtype=np.int64))


def _joined(header: Words, sections: Sections) -> Words:
    end = HEADER
    for at, section in sections.items():
        header[at] = end
        end += len(section)
        if end > _LARGEST:
            raise TooLarge(f"The model needs more than {_LARGEST} words of memory to be scored.")
    words = np.concatenate([header, *(section.view(np.uint32) for section in sections.values())])
    words.setflags(write=False)
    return words


def _trees(ensemble: Ensemble, trees: range, header: Words) -> Sections:
    """Return the sections of the trees; fills their part of the header."""
    roots = ensemble.root[trees.start : trees.stop].astype(np.int64)
    order, tree_of, depth = _siblings_adjacent(ensemble, roots)
    leaf = ensemble.left[order] == LEAF
    place = np.zeros(len(ensemble.left), np.uint32)
    place[order] = np.arange(1, len(order) + 1, dtype=np.uint32)
    columns, compact = np.unique(ensemble.feature[order[~leaf]], return_inverse=True)
    categorical = ensemble.categorical[order]
    header[[KIND, COLUMNS]] = CATEGORICAL if categorical.any() else NUMERIC, max(1, len(columns))
    header[[TREES, NODES]] = len(roots), len(order) + 1

    nodes = np.zeros((len(order), NODE), np.uint32)
    threshold = ensemble.threshold[order]
    threshold[leaf] = np.nan
    nodes[:, 0] = threshold.view(np.uint32)
    # No value is less than NaN, so a leaf goes to the right of `itself - 1`.
    nodes[:, 1] = np.where(leaf, place[order] - np.uint32(1), place[ensemble.left[order]]) * np.uint32(NODE)
    nodes[~leaf, 2] = compact + ensemble.default_left[order[~leaf]] * len(columns)
    nodes[:, 3] = _added(ensemble, order, tree_of + trees.start).view(np.uint32)
    about = np.stack(
        [place[roots].astype(np.int64) * NODE, depth, ensemble.tree_group[trees.start : trees.stop]], axis=1
    )
    # What comes last is added to every sum: nothing changes when -0 is.
    first, last = ensemble.base_margin, np.full(ensemble.groups, -0.0, np.float32)
    if ensemble.base_margin_last:
        first, last = np.zeros(ensemble.groups, np.float32), first
    sections: Sections = {
        COLUMNS_AT: columns.astype(np.uint32) if len(columns) else np.zeros(1, np.uint32),
        BASE_AT: first,
        LAST_AT: last,
        TREES_AT: about.astype(np.uint32).ravel(),
        NODES_AT: np.concatenate([np.zeros(NODE, np.uint32), nodes.ravel()]),
    }
    if header[KIND] == CATEGORICAL:
        sets = np.stack([ensemble.category_start[order], ensemble.category_words[order]], axis=1)
        sections[CATEGORIES_AT] = np.concatenate([np.zeros(CATEGORY, np.int32), sets.ravel()])
        sections[BITS_AT] = ensemble.category_bits
    return sections


def _siblings_adjacent(ensemble: Ensemble, roots: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the nodes tree by tree and level by level, the tree of each, and the depth of each tree."""
    level, tree = roots, np.arange(len(roots))
    levels, trees = [level], [tree]
    depth = np.zeros(len(roots), np.int64)
    for below in range(1, len(ensemble.left) + 1):
        internal = ensemble.left[level] != LEAF
        if not internal.any():
            break
        level, tree = level[internal], np.repeat(tree[internal], 2)
        level = np.stack([ensemble.left[level], ensemble.right[level]], axis=1).ravel().astype(np.int64)
        levels.append(level)
        trees.append(tree)
        depth[tree] = below
    of = np.concatenate(trees)
    order = np.argsort(of, kind="stable")
    return np.concatenate(levels)[order], of[order], depth


def _added(ensemble: Ensemble, order: Ints, tree_of: Ints) -> NDArray[np.float32]:
    """Return what each node adds to a margin, rounded to float32 as XGBoost rounds it."""
    value = ensemble.leaf_value[order]
    if ensemble.booster != "dart":
        return value
    # dart predicts one tree into zeros, multiplies, and adds: so a leaf of -0 adds +0.
    added: NDArray[np.float32] = (value + np.float32(0)) * ensemble.tree_weight[tree_of]
    return added

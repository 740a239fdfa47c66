"""What a model file says, before anything in it is believed.

Rule: a reader only turns bytes into a `Draft`; it checks what it needs to keep its own place in the bytes.
`soundness.sound` checks everything else, once for all formats, and makes the `Ensemble`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]
NOTHING: Numbers = np.zeros(0, np.int64)


@dataclass(slots=True)
class TreeDraft:
    """One tree of `n` nodes, the root first; links are indices within the tree, -1 for none.

    Attributes:
        left, right, parent: links; the root's parent is -1 or 2**31 - 1.
        feature: column of a split.
        condition: threshold of a split, value of a leaf.
        default_left: 0 or 1.
        kind: 0 for numbers, 1 for categories; empty when all are 0.
        deleted: number of nodes that are no longer linked.
        categories: the sets of all categorical nodes, one after another.
        set_node, set_start, set_size: node, first entry and length of each set.
    """

    left: Numbers
    right: Numbers
    parent: Numbers
    feature: Numbers
    condition: Numbers
    default_left: Numbers
    kind: Numbers
    deleted: int
    categories: Numbers = field(default_factory=lambda: NOTHING)
    set_node: Numbers = field(default_factory=lambda: NOTHING)
    set_start: Numbers = field(default_factory=lambda: NOTHING)
    set_size: Numbers = field(default_factory=lambda: NOTHING)


@dataclass(slots=True)
class Draft:
    """A model as its file states it; names as in `Ensemble`.

    Attributes:
        base_score: one number, or one a group.
        parallel_trees: `num_parallel_tree`; None where the file does not tell.
        round_start: first tree of each round and the number of trees; None where the file does not tell.
        tree_weight: dart's weights; None for other boosters.
        linear_weight: (features + 1) * groups numbers, by column, the bias last; None with trees.
    """

    version: tuple[int, ...]
    booster: str
    objective: str
    objective_parameters: dict[str, str]
    features: int
    classes: int
    base_score: Numbers
    parallel_trees: int | None = None
    trees: list[TreeDraft] = field(default_factory=list)
    tree_group: Numbers = field(default_factory=lambda: NOTHING)
    tree_weight: Numbers | None = None
    round_start: Numbers | None = None
    linear_weight: Numbers | None = None
    best_iteration: int | None = None
    best_ntree_limit: int | None = None
    feature_names: tuple[str, ...] = ()
    feature_types: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)

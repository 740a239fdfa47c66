"""The one check in front of every walk: from a draft, in whatever format it was, to an `Ensemble`.

Rule: what passes has every link, column, group, category and count inside its bounds, links each node but the
roots exactly once, and holds finite numbers only. Nodes that are no longer linked (training deletes them when
it prunes) are left out. All trees are checked together, in time linear in the nodes.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from sagestead.forest.documents import Malformed
from sagestead.forest.draft import Draft, Numbers
from sagestead.forest.ensemble import LEAF, Booster, Ensemble, frozen
from sagestead.forest.objectives import link_of, margin
from sagestead.forest.schema import CLASSES, FEATURES, whole
from sagestead.forest.thicket import Thicket, thicket

NEWEST = (3, 4)  # the newest version whose files the tests read
_DEEPEST = 10_000
_CATEGORIES = 1 << 24  # a category is kept in a float32
_MARKER = np.iinfo(np.int32).max  # stands for no parent, and for the column of a deleted node
_MULTICLASS = ("multi:softmax", "multi:softprob")
_TELLS_ROUNDS = (1, 4)


def sound(draft: Draft, source: str) -> Ensemble:
    """Return the ensemble of a draft, `source` being the name of its format; raise `Malformed`."""
    _check_version(draft.version)
    _need(1 <= draft.features <= FEATURES, "its number of columns is 0")
    _need(draft.classes <= CLASSES, "it has too many classes")
    groups = max(1, draft.classes)
    _need(
        draft.objective not in _MULTICLASS or groups > 1, f"its objective {draft.objective} wants num_class"
    )
    _check_names(draft)
    linear = _linear(draft, groups)
    nodes = _nodes(thicket(draft.trees), draft.features)
    trees = len(draft.trees)
    _need(len(draft.tree_group) == trees, "the number of trees is not as stated")
    _need(_within(draft.tree_group, 0, groups), "tree_info names a class that is not there")
    best_iteration, best_limit = _best(draft)
    parallel = _parallel(draft, best_iteration, best_limit)
    rounds = _rounds(draft, parallel * groups)
    if best_iteration is not None and draft.version >= _TELLS_ROUNDS and linear is None:
        _need(best_iteration < len(rounds) - 1, "best_iteration lies beyond its rounds")
    return Ensemble(
        format=source,
        version=draft.version,
        booster=cast("Booster", draft.booster),
        objective=draft.objective,
        objective_parameters=MappingProxyType(draft.objective_parameters),
        features=draft.features,
        classes=draft.classes,
        groups=groups,
        num_parallel_tree=parallel,
        base_margin=_base_margin(draft, groups),
        tree_group=frozen(draft.tree_group, np.int32),
        tree_weight=_weights(draft, trees),
        round_start=frozen(rounds, np.int32),
        linear_weight=linear if linear is not None else frozen(np.zeros((0, groups)), np.float32),
        best_iteration=best_iteration,
        best_ntree_limit=best_limit,
        feature_names=draft.feature_names,
        feature_types=draft.feature_types,
        attributes=MappingProxyType(draft.attributes),
        **nodes,
    )


def _check_version(version: tuple[int, ...]) -> None:
    written = ".".join(map(str, version))
    if version[:2] > NEWEST:
        raise Malformed(
            f"it was written by XGBoost {written}, and only files up to {'.'.join(map(str, NEWEST))} are "
            "known to be read rightly; save it with an older version"
        )
    _need(not version or (version >= (1, 0) and min(version) >= 0), f"its version {written} never was")


def _base_margin(draft: Draft, groups: int) -> NDArray[np.float32]:
    _need(len(draft.base_score) in (1, groups), "base_score has another length than its classes")
    score = _float32(draft.base_score, "base_score")
    found = margin(score, link_of(draft.objective, draft.version))
    if draft.booster == "gblinear":
        found = found[:1]  # XGBoost adds the first group's to every group's sum
    _need(bool(np.isfinite(found).all()), f"its base_score has no margin for {draft.objective}")
    return frozen(np.broadcast_to(found, groups), np.float32)


def _linear(draft: Draft, groups: int) -> NDArray[np.float32] | None:
    if draft.linear_weight is None:
        return None
    expected = (draft.features + 1) * groups
    _need(len(draft.linear_weight) == expected, f"it has not the {expected} weights that its columns want")
    weights = _float32(draft.linear_weight, "a weight")
    return frozen(weights.reshape(draft.features + 1, groups), np.float32)


def _weights(draft: Draft, trees: int) -> NDArray[np.float32]:
    if draft.tree_weight is None:
        return frozen(np.ones(trees), np.float32)
    _need(len(draft.tree_weight) == trees, "dart has not one weight a tree")
    return frozen(_float32(draft.tree_weight, "a weight of dart"), np.float32)


def _best(draft: Draft) -> tuple[int | None, int | None]:
    """Return the best iteration and tree limit: from a pickled Booster, else from the model's attributes.

    Training without a single round records -1 and 0, which say nothing.
    """
    iteration, limit = draft.best_iteration, draft.best_ntree_limit
    if iteration is None:
        iteration = _attribute(draft, "best_iteration")
    if limit is None:
        limit = _attribute(draft, "best_ntree_limit")
    return (iteration if iteration is not None and iteration >= 0 else None), limit or None


def _attribute(draft: Draft, name: str) -> int | None:
    text = draft.attributes.get(name, "-1")
    return None if text == "-1" else whole(text, name, _MARKER)


def _parallel(draft: Draft, best_iteration: int | None, best_limit: int | None) -> int:
    """Return the trees of a round and group; before 1.6 only training's own notes tell."""
    if draft.parallel_trees is not None:
        return max(1, draft.parallel_trees)
    if best_iteration is not None and best_limit and best_limit % (best_iteration + 1) == 0:
        return best_limit // (best_iteration + 1)
    return 1


def _rounds(draft: Draft, per_round: int) -> Numbers:
    trees = len(draft.trees)
    start = draft.round_start
    if start is None:
        return np.append(np.arange(0, trees, per_round), trees)
    _need(
        len(start) > 0 and start[0] == 0 and start[-1] == trees and bool((np.diff(start) >= 0).all()),
        "iteration_indptr does not divide the trees",
    )
    return start


def _nodes(trees: Thicket, features: int) -> dict[str, NDArray[Any]]:
    """Check the nodes of all trees; returns the arrays of the ensemble that describe nodes."""
    inner = trees.left != LEAF
    _need(bool((inner == (trees.right != LEAF)).all()), "a node has only one child")
    kept = _reached(trees, inner)
    inner &= kept
    _need(_within(trees.feature[inner], 0, features), "a split names a column that is not there")
    _need(_within(trees.default_left[kept], 0, 2), "default_left is not 0 or 1")
    _need(_within(trees.kind[kept], 0, 2), "split_type is not 0 or 1")
    categorical = inner & (trees.kind == 1)
    start, words, bits = _categories(trees, categorical)
    number = np.cumsum(kept) - 1  # of each node when the others are left out
    value = np.zeros(len(kept), np.float32)
    numeric = kept & ~categorical  # the condition of a categorical node says nothing; some versions write NaN
    value[numeric] = _float32(trees.condition[numeric], "a threshold or leaf")
    link = {
        side: np.where(inner, number[np.where(inner, links, 0)], LEAF) if len(kept) else links
        for side, links in (("left", trees.left), ("right", trees.right))
    }
    return {
        "root": frozen(number[trees.root], np.int32),
        "feature": frozen(np.where(inner, trees.feature, 0)[kept], np.int32),
        "threshold": frozen(np.where(inner, value, 0)[kept], np.float32),
        "left": frozen(link["left"][kept], np.int32),
        "right": frozen(link["right"][kept], np.int32),
        "default_left": frozen((inner & (trees.default_left == 1))[kept], np.bool_),
        "leaf_value": frozen(np.where(inner, 0, value)[kept], np.float32),
        "categorical": frozen(categorical[kept], np.bool_),
        "category_start": frozen(start[kept], np.int32),
        "category_words": frozen(words[kept], np.int32),
        "category_bits": frozen(bits, np.uint32),
    }


def _reached(trees: Thicket, inner: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which nodes hang on a root; raise unless each has one parent, who knows it, and nothing loops.

    A node that at most one link leads to, in its own tree, and roots that none leads to: then whatever is
    reached from a root is a tree.
    """
    above = np.flatnonzero(inner)
    links = np.concatenate([trees.left[above], trees.right[above]])
    above = np.tile(above, 2)
    _need(_within(links, 0, len(inner)), "a link leads out of its tree")
    _need(bool((trees.tree[links] == trees.tree[above]).all()), "a link leads out of its tree")
    incoming = np.bincount(links, minlength=len(inner))
    _need(not len(incoming) or int(incoming.max()) <= 1, "two links lead to the same node")
    _need(not incoming[trees.root].any(), "a link leads back to the root of its tree")
    _need(bool((trees.parent[links] == above).all()), "a node's parent is not who links to it")
    _need(
        bool(np.isin(trees.root_parent, (LEAF, _MARKER)).all()),
        "the root of a tree has a parent",
    )
    kept = np.zeros(len(inner), bool)
    level = trees.root
    for _ in range(_DEEPEST):
        kept[level] = True
        level = level[inner[level]]
        if not len(level):
            break
        level = np.concatenate([trees.left[level], trees.right[level]])
    _need(not len(level), f"a tree is deeper than {_DEEPEST}")
    deleted = np.bincount(trees.tree[~kept], minlength=len(trees.root))
    _need(bool((deleted == trees.deleted).all()), "the number of deleted nodes is not as stated")
    return kept


def _categories(
    trees: Thicket, categorical: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]]:
    """Check the sets of categorical splits; returns first word and number of words a node, and the words."""
    _need(
        bool((trees.set_size >= 1).all()) and _within(trees.categories, 0, _CATEGORIES),
        "a set of categories is empty or out of range",
    )
    _need(
        np.array_equal(trees.set_node, np.flatnonzero(categorical)),
        "its categorical nodes are not as stated",
    )
    start, words = np.zeros(len(categorical), np.int64), np.zeros(len(categorical), np.int64)
    if not len(trees.set_node):
        return start, words, np.zeros(0, np.uint32)
    first = np.cumsum(trees.set_size) - trees.set_size
    length = np.maximum.reduceat(trees.categories, first) // 32 + 1
    end = np.cumsum(length)
    _need(int(end[-1]) < _MARKER // 8, "its sets of categories are too large")
    start[trees.set_node], words[trees.set_node] = end - length, length
    bits = np.zeros(int(end[-1]), np.uint32)
    at = np.repeat(end - length, trees.set_size) + trees.categories // 32
    np.bitwise_or.at(bits, at, np.uint32(1) << (trees.categories % 32).astype(np.uint32))
    return start, words, bits


def _check_names(draft: Draft) -> None:
    for name, found in (("feature_names", draft.feature_names), ("feature_types", draft.feature_types)):
        _need(len(found) in (0, draft.features), f"{name} is not one a column")


def _float32(values: Numbers, name: str) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what is too large becomes infinite, which is refused
        found = values.astype(np.float32)
    _need(bool(np.isfinite(found).all()), f"{name} is not finite")
    return found


def _within(values: Numbers, low: int, high: int) -> bool:
    return not len(values) or bool(values.min() >= low and values.max() < high)


def _need(sound: bool, why: str) -> None:  # noqa: FBT001 - reads as a sentence: need this, or say why
    if not sound:
        raise Malformed(why)

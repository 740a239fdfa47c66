"""The structure of a model, checked before the native library sees it.

Rule: a document that passes has every link, index, count and size inside its bounds, so that loading and
predicting cannot leave an array or loop. What is not understood exactly (vector leaves, several targets,
stored category names) is refused. Sources: XGBoost's model schema, and how its loader uses each field.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagestead.forest.documents import Malformed

MOST_FEATURES = 10_000_000
_GROUPS = 100_000
_TREES = 10_000_000
_NODES = 50_000_000
_CATEGORIES = 1 << 24  # XGBoost keeps a category in a float32
_DEPTH = 10_000
_MARKER = (1 << 31) - 1  # of the root's parent, and of the column of deleted nodes

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Facts:
    """What serving needs to know of a model.

    Attributes:
        version: of the XGBoost that wrote it.
        objective: for example `reg:squarederror`.
        booster: gbtree, dart or gblinear.
        features: number of columns.
        classes: num_class; 0 when the objective has none.
        groups: predictions a row.
        best_iteration: last round to use; None for all.
    """

    version: tuple[int, int, int]
    objective: str
    booster: str
    features: int
    classes: int
    groups: int
    best_iteration: int | None


def check(document: Any) -> Facts:  # noqa: ANN401 - nothing is known of it yet
    """Return the facts of a sound model; raise `Malformed` with what is wrong."""
    top = _mapping(document, "the document")
    version = _ints(top.get("version"), 3, "version")
    learner = _mapping(top.get("learner"), "learner")
    parameters = _mapping(learner.get("learner_model_param"), "learner_model_param")
    features = _count(parameters, "num_feature", MOST_FEATURES)
    _need(features >= 1, "num_feature is 0")
    classes = _count(parameters, "num_class", _GROUPS, "0")
    _need(_count(parameters, "num_target", _GROUPS, "1") <= 1, "it has several targets, which are not served")
    groups = max(1, classes)
    _base_score(parameters.get("base_score"), groups)
    _names(learner, features)
    booster = _mapping(learner.get("gradient_booster"), "gradient_booster")
    rounds = _booster(booster, features, groups)
    objective = _mapping(learner.get("objective"), "objective").get("name")
    _need(isinstance(objective, str), "objective.name is not a text")
    return Facts(
        version=(int(version[0]), int(version[1]), int(version[2])),
        objective=str(objective),
        booster=str(booster["name"]),
        features=features,
        classes=classes,
        groups=groups,
        best_iteration=_best_iteration(learner, rounds),
    )


def _booster(booster: dict[str, Any], features: int, groups: int) -> int | None:
    """Check the booster; returns its rounds (None when they do not limit a prediction)."""
    name = booster.get("name")
    if name == "gblinear":
        model = _mapping(booster.get("model"), "gblinear.model")
        _numbers(model.get("weights"), (features + 1) * groups, "weights")
        return None
    if name == "dart":
        inner = _mapping(booster.get("gbtree"), "gbtree")
        _need(inner.get("name") == "gbtree", "a dart booster holds no trees")
        rounds, trees = _trees(inner, features, groups)
        _numbers(booster.get("weight_drop"), trees, "weight_drop")
        return rounds
    _need(name == "gbtree", "its booster is not gbtree, dart or gblinear")
    return _trees(booster, features, groups)[0]


def _trees(booster: dict[str, Any], features: int, groups: int) -> tuple[int, int]:
    """Check the trees of a booster; returns rounds and trees."""
    model = _mapping(booster.get("model"), "model")
    parameters = _mapping(model.get("gbtree_model_param"), "gbtree_model_param")
    count = _count(parameters, "num_trees", _TREES)
    parallel = _count(parameters, "num_parallel_tree", _TREES, "1")
    trees: Any = model.get("trees")
    _need(
        isinstance(trees, list | np.ndarray) and len(trees) == count, "the number of trees is not as stated"
    )
    group = _ints(model.get("tree_info"), count, "tree_info")
    _need(_within(group, 0, groups), "tree_info names a class that is not there")
    _no_category_names(model.get("cats"))
    for number, tree in enumerate(trees):
        _tree(_mapping(tree, "a tree"), number, features)
    if "iteration_indptr" in model:
        starts = _ints(model["iteration_indptr"], None, "iteration_indptr")
        sound = (
            len(starts) > 0 and starts[0] == 0 and starts[-1] == count and bool((np.diff(starts) >= 0).all())
        )
        _need(sound, "iteration_indptr does not divide the trees")
        return len(starts) - 1, count
    return count // max(1, parallel * groups), count


def _tree(tree: dict[str, Any], number: int, features: int) -> None:
    parameters = _mapping(tree.get("tree_param"), "tree_param")
    nodes = _count(parameters, "num_nodes", _NODES)
    _need(nodes >= 1 and tree.get("id", number) == number, "a tree has no node or another tree's number")
    _need(
        _count(parameters, "size_leaf_vector", _GROUPS, "0") <= 1,
        "a tree has vector leaves, which are not served",
    )
    _count(parameters, "num_feature", MOST_FEATURES, "0")
    deleted = _count(parameters, "num_deleted", nodes, "0")
    left, right = (
        _ints(tree.get(f"{side}_children"), nodes, f"{side}_children") for side in ("left", "right")
    )
    parents = _ints(tree.get("parents"), nodes, "parents")
    splits = _ints(tree.get("split_indices"), nodes, "split_indices")
    conditions = _numbers(tree.get("split_conditions"), nodes, "split_conditions")
    _need(bool(np.isfinite(conditions).all()), "a split condition or leaf is not finite")
    default = _ints(tree.get("default_left"), nodes, "default_left")
    _need(_within(default, 0, 2), "default_left is not 0 or 1")
    for name in ("base_weights", "loss_changes", "sum_hessian"):
        _numbers(tree.get(name), nodes, name)
    reached = _reached(left, right, parents)
    _need(_within(splits[reached], 0, features), "a split names a column that is not there")
    _need(parents[0] in (_MARKER, -1), "the root of a tree has a parent")
    rest = np.setdiff1d(np.arange(nodes), reached)
    _need(len(rest) == deleted, "the number of deleted nodes is not as stated")
    marked = (left[rest] == -1) & (right[rest] == -1) & (splits[rest] == _MARKER) & (default[rest] == 1)
    placed = (parents[rest] >= 0) & (parents[rest] < rest)
    _need(bool((marked & placed).all()), "a node that nothing links to is not marked as deleted")
    _categories(tree, left, nodes)


def _reached(left: Ints, right: Ints, parents: Ints) -> Ints:
    """Return the nodes below the root, each once; raise unless links and parents agree and nothing loops."""
    internal = np.flatnonzero(left != -1)
    if _ordered(internal, left, right, parents):
        return np.arange(len(left))
    seen = np.zeros(len(left), bool)
    level = np.zeros(1, np.int64)
    seen[0] = True
    for _ in range(_DEPTH):
        internal = level[left[level] != -1]
        _need(bool((right[level[left[level] == -1]] == -1).all()), "a node has only one child")
        below = np.concatenate([left[internal], right[internal]])
        if not len(below):
            return np.flatnonzero(seen)
        _need(_within(below, 1, len(left)) and not seen[below].any(), "the links of a tree leave it or loop")
        _need(len(np.unique(below)) == len(below), "two links of a tree lead to the same node")
        _need(bool((parents[below] == np.tile(internal, 2)).all()), "a node's parent is not who links to it")
        seen[below] = True
        level = below
    raise Malformed("a tree is too deep")


def _ordered(internal: Ints, left: Ints, right: Ints, parents: Ints) -> bool:
    """True for the usual case: all nodes in use, children behind their parents; then nothing can loop."""
    below = np.concatenate([left[internal], right[internal]])
    above = np.tile(internal, 2)
    return bool(
        len(below) == len(left) - 1
        and np.count_nonzero(right != -1) == len(internal)
        and (below > above).all()
        and (below < len(left)).all()
        and (parents[below] == above).all()
        and (len(below) == 0 or np.bincount(below, minlength=1).max() == 1)
    )


def _categories(tree: dict[str, Any], left: Ints, nodes: int) -> None:
    """Check the sets of categories of categorical splits: one run of `categories` for each such node."""
    kinds = _ints(tree.get("split_type", []), None, "split_type")
    _need(len(kinds) in (0, nodes) and _within(kinds, 0, 2), "split_type is not 0 or 1 for each node")
    categories = _ints(tree.get("categories", []), None, "categories")
    at = _ints(tree.get("categories_nodes", []), None, "categories_nodes")
    starts = _ints(tree.get("categories_segments", []), len(at), "categories_segments")
    sizes = _ints(tree.get("categories_sizes", []), len(at), "categories_sizes")
    _need(_within(categories, 0, _CATEGORIES), "a category is out of range")
    ends = np.cumsum(sizes)
    sound = bool((sizes >= 1).all()) and bool((starts == ends - sizes).all())
    _need(
        sound and (int(ends[-1]) if len(ends) else 0) == len(categories), "its categories are not as stated"
    )
    wanted = np.flatnonzero((kinds == 1) & (left != -1)) if len(kinds) else np.zeros(0, np.int64)
    _need(np.array_equal(at, wanted), "its categorical nodes are not as stated")


def _no_category_names(cats: Any) -> None:  # noqa: ANN401 - nothing is known of it yet
    for name, content in (_mapping(cats, "cats") if cats is not None else {}).items():
        empty = isinstance(content, list | np.ndarray) and len(content) == 0
        _need(empty, f"it stores category names (cats.{name}), which are not served; train on category codes")


def _best_iteration(learner: dict[str, Any], rounds: int | None) -> int | None:
    attributes = _mapping(learner.get("attributes", {}), "attributes")
    _need(all(isinstance(value, str) for value in attributes.values()), "an attribute is not a text")
    text = attributes.get("best_iteration")
    if text is None or rounds is None:
        return None
    best = _whole(text, "best_iteration", _TREES)
    _need(best < rounds, "best_iteration lies beyond its rounds")
    return best


def _base_score(value: Any, groups: int) -> None:  # noqa: ANN401 - nothing is known of it yet
    _need(isinstance(value, str) and len(value) < 64 * (groups + 1), "base_score is not a text")
    scores = value.strip("[]").split(",")
    _need(len(scores) in (1, groups), "base_score has another length than its classes")
    for score in scores:
        try:
            finite = math.isfinite(float(score))
        except ValueError:
            finite = False
        _need(finite, "base_score is not a number")


def _names(learner: dict[str, Any], features: int) -> None:
    for name in ("feature_names", "feature_types"):
        found = learner.get(name, [])
        _need(
            isinstance(found, list | np.ndarray) and len(found) in (0, features),
            f"{name} is not one a column",
        )
        _need(all(isinstance(each, str) for each in found), f"{name} holds what is not a text")


def _need(sound: bool, why: str) -> None:  # noqa: FBT001 - reads as a sentence: need this, or say why
    if not sound:
        raise Malformed(why)


def _within(values: NDArray[Any], low: int, high: int) -> bool:
    return not len(values) or bool(values.min() >= low and values.max() < high)


def _mapping(value: Any, name: str) -> dict[str, Any]:  # noqa: ANN401 - nothing is known of it yet
    _need(isinstance(value, dict), f"{name} is not an object")
    found: dict[str, Any] = value
    return found


def _numbers(value: Any, length: int | None, name: str) -> NDArray[Any]:  # noqa: ANN401 - nothing is known of it yet
    if isinstance(value, list) and not value:
        value = np.zeros(0, np.int64)
    _need(isinstance(value, np.ndarray), f"{name} is not a list of numbers")
    found: NDArray[Any] = value
    _need(length is None or len(found) == length, f"{name} has {len(found)} entries, expected {length}")
    return found


def _ints(value: Any, length: int | None, name: str) -> Ints:  # noqa: ANN401 - nothing is known of it yet
    found = _numbers(value, length, name)
    _need(found.dtype == np.int64, f"{name} holds a fraction")
    return found


def _count(parameters: dict[str, Any], name: str, most: int, default: str | None = None) -> int:
    return _whole(parameters.get(name, default), name, most)


def _whole(text: Any, name: str, most: int) -> int:  # noqa: ANN401 - nothing is known of it yet
    sound = isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 12  # noqa: PLR2004 - digits beyond every limit here
    _need(sound and int(text) <= most, f"{name} is not a whole number up to {most}")
    return int(text)

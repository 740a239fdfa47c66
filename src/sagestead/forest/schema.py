"""A model document (JSON or UBJSON, of any version) as a draft.

Rule: what the document names is looked for where each version puts it; what is not understood exactly (vector
leaves, several targets, stored category names) is refused. Source: XGBoost's model schema, and files by 1.0
to 3.4 next to each other.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagestead.forest.documents import Malformed
from sagestead.forest.draft import NOTHING, Draft, Numbers, TreeDraft
from sagestead.forest.objectives import OBJECTIVES, known

FEATURES = 10_000_000
CLASSES = 100_000
TREES = 10_000_000
NODES = 50_000_000

_NUMBER = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,4})?", re.ASCII)


def draft_of(document: Any) -> Draft:  # noqa: ANN401 - nothing is known of it yet
    """Return what the document states; raise `Malformed`."""
    top = mapping(document, "the document")
    if set(top) == {"Config", "Model"}:  # what a pickle holds since 1.3: a model with its training state
        top = mapping(top["Model"], "Model")
    version = integers(top.get("version"), 3, "version")
    learner = mapping(top.get("learner"), "learner")
    parameters = mapping(learner.get("learner_model_param"), "learner_model_param")
    if count(parameters, "num_target", CLASSES, "1") > 1:
        raise Malformed("it has several targets, which are not served")
    objective = mapping(learner.get("objective"), "objective")
    name = known(text(objective.get("name"), "objective.name"))
    block = objective.get(OBJECTIVES[name].block, objective.get("reg_loss_param", {}))
    draft = Draft(
        version=tuple(map(int, version)),
        booster="",
        objective=name,
        objective_parameters=texts(block, "the parameters of the objective"),
        features=count(parameters, "num_feature", FEATURES),
        classes=count(parameters, "num_class", CLASSES, "0"),
        base_score=_scores(text(parameters.get("base_score"), "base_score")),
        feature_names=_names(learner, "feature_names"),
        feature_types=_names(learner, "feature_types"),
        attributes=texts(learner.get("attributes", {}), "attributes"),
    )
    _booster(mapping(learner.get("gradient_booster"), "gradient_booster"), draft)
    return draft


def _booster(booster: dict[str, Any], draft: Draft) -> None:
    draft.booster = text(booster.get("name"), "the booster's name")
    if draft.booster == "gblinear":
        model = mapping(booster.get("model"), "gblinear.model")
        draft.linear_weight = numbers(model.get("weights"), None, "weights")
        return
    if draft.booster == "dart":
        draft.tree_weight = numbers(booster.get("weight_drop"), None, "weight_drop")
        booster = mapping(booster.get("gbtree"), "gbtree")
    if booster.get("name") != "gbtree":
        raise Malformed("its booster is not gbtree, dart or gblinear")
    model = mapping(booster.get("model"), "model")
    if "weight_drop" in model:  # where 3.4 keeps the weights of dart
        draft.booster = "dart"
        draft.tree_weight = numbers(model["weight_drop"], None, "weight_drop")
    _trees(model, draft)


def _trees(model: dict[str, Any], draft: Draft) -> None:
    parameters = mapping(model.get("gbtree_model_param"), "gbtree_model_param")
    stated = count(parameters, "num_trees", TREES)
    if "num_parallel_tree" in parameters:
        draft.parallel_trees = count(parameters, "num_parallel_tree", TREES)
    trees: Any = model.get("trees")
    if not isinstance(trees, list | np.ndarray) or len(trees) != stated:
        raise Malformed("the number of trees is not as stated")
    draft.tree_group = integers(model.get("tree_info"), stated, "tree_info")
    if "iteration_indptr" in model:
        draft.round_start = integers(model["iteration_indptr"], None, "iteration_indptr")
    _no_category_names(model.get("cats"))
    draft.trees = [_tree(mapping(tree, "a tree"), number) for number, tree in enumerate(trees)]


def _tree(tree: dict[str, Any], number: int) -> TreeDraft:
    parameters = mapping(tree.get("tree_param"), "tree_param")
    nodes = count(parameters, "num_nodes", NODES)
    if tree.get("id", number) != number:
        raise Malformed("a tree has another tree's number")
    if count(parameters, "size_leaf_vector", CLASSES, "0") > 1:
        raise Malformed("a tree has vector leaves, which are not served")
    kind = integers(tree.get("split_type", NOTHING), None, "split_type")
    if len(kind) not in (0, nodes):
        raise Malformed("split_type is not one a node")
    sets = integers(tree.get("categories_nodes", NOTHING), None, "categories_nodes")
    left = integers(tree.get("left_children"), nodes, "left_children")
    deleted = count(parameters, "num_deleted", nodes, "0")
    if "num_deleted" not in parameters:  # 1.0 and 1.1 do not state it; such nodes have the highest column
        splits = integers(tree.get("split_indices"), nodes, "split_indices")
        deleted = int(np.count_nonzero(splits == np.iinfo(np.int32).max))
    return TreeDraft(
        left=left,
        right=integers(tree.get("right_children"), nodes, "right_children"),
        parent=integers(tree.get("parents"), nodes, "parents"),
        feature=integers(tree.get("split_indices"), nodes, "split_indices"),
        condition=numbers(tree.get("split_conditions"), nodes, "split_conditions"),
        default_left=integers(tree.get("default_left"), nodes, "default_left"),
        kind=kind,
        deleted=deleted,
        categories=integers(tree.get("categories", NOTHING), None, "categories"),
        set_node=sets,
        set_start=integers(tree.get("categories_segments", NOTHING), len(sets), "categories_segments"),
        set_size=integers(tree.get("categories_sizes", NOTHING), len(sets), "categories_sizes"),
    )


def _no_category_names(cats: Any) -> None:  # noqa: ANN401 - nothing is known of it yet
    for name, content in (mapping(cats, "cats") if cats is not None else {}).items():
        if not isinstance(content, list | np.ndarray) or len(content):
            raise Malformed(
                f"it stores category names (cats.{name}), which are not served; train on category codes"
            )


def _scores(stated: str) -> NDArray[np.float64]:
    """Read a number as text (before 3.1), or several in brackets."""
    scores = stated.removeprefix("[").removesuffix("]").split(",")
    if not all(map(_NUMBER.fullmatch, scores)):
        raise Malformed("base_score is not a number")
    return np.array([float(score) for score in scores])


def _names(learner: dict[str, Any], name: str) -> tuple[str, ...]:
    found = learner.get(name, [])
    if not isinstance(found, list | np.ndarray):
        raise Malformed(f"{name} is not a list")
    return tuple(text(each, name) for each in found)


def mapping(value: Any, name: str) -> dict[str, Any]:  # noqa: ANN401 - nothing is known of it yet
    """Return the value if it is an object; raise `Malformed`."""
    if not isinstance(value, dict):
        raise Malformed(f"{name} is not an object")
    return value


def text(value: Any, name: str) -> str:  # noqa: ANN401 - nothing is known of it yet
    """Return the value if it is a text; raise `Malformed`."""
    if not isinstance(value, str):
        raise Malformed(f"{name} is not a text")
    return value


def texts(value: Any, name: str) -> dict[str, str]:  # noqa: ANN401 - nothing is known of it yet
    """Return the value if it is an object of texts; raise `Malformed`."""
    return {key: text(each, f"{key[:40]} in {name}") for key, each in mapping(value, name).items()}


def numbers(value: Any, length: int | None, name: str) -> Numbers:  # noqa: ANN401 - nothing is known of it yet
    """Return the value if it is a list of numbers, of a length where one is given; raise `Malformed`."""
    if isinstance(value, list) and not value:
        value = NOTHING
    if not isinstance(value, np.ndarray):
        raise Malformed(f"{name} is not a list of numbers")
    if length is not None and len(value) != length:
        raise Malformed(f"{name} has {len(value)} entries, expected {length}")
    return value


def integers(value: Any, length: int | None, name: str) -> Numbers:  # noqa: ANN401 - nothing is known of it yet
    """Return the value if it is a list of whole numbers; raise `Malformed`."""
    found = numbers(value, length, name)
    if found.dtype != np.int64:
        raise Malformed(f"{name} holds a fraction")
    return found


def count(parameters: dict[str, Any], name: str, most: int, default: str | None = None) -> int:
    """Return a whole number that is stated as text, from 0 to `most`; raise `Malformed`."""
    return whole(parameters.get(name, default), name, most)


def whole(stated: Any, name: str, most: int) -> int:  # noqa: ANN401 - nothing is known of it yet
    """Return a text as a whole number from 0 to `most`; raise `Malformed`."""
    digits = isinstance(stated, str) and stated.isascii() and stated.isdigit()
    if not digits or len(stated) >= 12 or int(stated) > most:  # noqa: PLR2004 - digits beyond every limit here
        raise Malformed(f"{name} is not a whole number up to {most}")
    return int(stated)

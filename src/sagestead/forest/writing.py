"""An `Ensemble` as a model file of today.

Rule: who reads the file back has the same trees, weights and margins, bit for bit; what cannot be said
exactly is refused. One base score stands for all classes, as all versions understand it, and one a class only
where they differ: versions before 3.1 read such a file without complaint and predict other numbers.
Statistics of training (gain, cover) are not kept: importances and contributions of a written model mean
nothing. Source: XGBoost's model schema; the types of arrays are those that it writes itself.
"""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagestead.domain.refused_model import ModelRefused
from sagestead.forest.ensemble import LEAF, Ensemble
from sagestead.forest.objectives import OBJECTIVES, Link, margin

_ONE_SCORE = (3, 0, 5)  # the last version with one base score for all groups
_SCORES = (3, 1, 0)  # the first version with one a group
_NO_PARENT = np.iinfo(np.int32).max
_NEIGHBOURS = 128  # a margin of 88, the largest there is, lies that many away at most
_TYPES = {"f4": b"d", "i4": b"l", "i8": b"L", "u1": b"U"}

Scores = NDArray[np.float32]


def write(model: Ensemble) -> bytes:
    """Return the model as UBJSON; raise `ModelRefused` when its base score cannot be said exactly."""
    parts: list[bytes] = []
    _encode(_document(model), parts)
    return b"".join(parts)


def oldest_reader(model: Ensemble) -> str:
    """Return the oldest XGBoost that reads the written model rightly."""
    return "2.0" if _has_one_score(model) else "3.1"


def _has_one_score(model: Ensemble) -> bool:
    return len(np.unique(model.base_margin)) == 1


def _document(model: Ensemble) -> dict[str, Any]:
    scores = _scores(model.base_margin, OBJECTIVES[model.objective].link)
    texts = [str(score) for score in scores]
    shared = _has_one_score(model)
    return {
        "learner": {
            "attributes": _attributes(model),
            "feature_names": list(model.feature_names),
            "feature_types": list(model.feature_types),
            "gradient_booster": _booster(model),
            "learner_model_param": {
                "base_score": texts[0] if shared else f"[{','.join(texts)}]",
                "boost_from_average": "0",
                "num_class": str(model.classes),
                "num_feature": str(model.features),
                "num_target": "1",
            },
            "objective": _objective(model),
        },
        "version": list(_ONE_SCORE if shared else _SCORES),
    }


def _scores(margins: Scores, link: Link) -> Scores:
    """Return the base scores whose margins are these."""
    if link == "identity":
        return margins
    found = []
    for each in margins:
        value = float(each)
        near = np.float32(1 / (1 + math.exp(-value)) if link == "logit" else math.exp(value))
        around = _neighbours(near)
        equal = np.flatnonzero(margin(around, link) == each)
        if not len(equal):
            raise ModelRefused(f"The model's base margin {value!r} has no base score in today's format.")
        found.append(around[equal[np.argmin(np.abs(around[equal] - near))]])
    return np.array(found, np.float32)


def _neighbours(value: np.float32) -> Scores:
    """Return the float32 around a positive one, in order."""
    middle = int(np.array(value).view(np.int32))
    low, high = max(1, middle - _NEIGHBOURS), min(0x7F7FFFFF, middle + _NEIGHBOURS)
    return np.arange(low, high + 1, dtype=np.int32).view(np.float32)


def _attributes(model: Ensemble) -> dict[str, str]:
    kept = {
        name: text
        for name, text in model.attributes.items()
        if name not in ("best_iteration", "best_ntree_limit")
    }
    best = model.best_iteration
    if best is not None and best + 1 < len(model.round_start):
        used = int(model.round_start[best + 1])
        if used == model.trees_used:  # otherwise the model predicts with all its trees, and must go on so
            kept["best_iteration"] = str(best)
    return kept


def _objective(model: Ensemble) -> dict[str, Any]:
    objective = OBJECTIVES[model.objective]
    stated: dict[str, Any] = {"name": model.objective}
    if objective.block == "softmax_multiclass_param":
        stated[objective.block] = {"num_class": str(model.classes)}
    elif objective.block:
        stated[objective.block] = {
            name: model.objective_parameters.get(name, default) for name, default in objective.defaults
        }
    return stated


def _booster(model: Ensemble) -> dict[str, Any]:
    if model.booster == "gblinear":
        rounds = (model.best_iteration + 1) if model.best_iteration is not None else 0
        weights = {"boosted_rounds": rounds, "weights": model.linear_weight.reshape(-1)}
        return {"model": weights, "name": "gblinear"}
    forest = {
        "cats": {
            "enc": [],
            "feature_segments": np.zeros(0, np.int32),
            "sorted_idx": np.zeros(0, np.int32),
        },
        "gbtree_model_param": {
            "num_parallel_tree": str(model.num_parallel_tree),
            "num_trees": str(model.trees),
        },
        "iteration_indptr": model.round_start.tolist(),
        "tree_info": model.tree_group.tolist(),
        "trees": [_tree(model, number) for number in range(model.trees)],
    }
    booster = {"model": forest, "name": "gbtree"}
    if model.booster == "dart":
        return {"gbtree": booster, "name": "dart", "weight_drop": model.tree_weight.tolist()}
    return booster


def _tree(model: Ensemble, number: int) -> dict[str, Any]:
    root = int(model.root[number])
    end = int(model.root[number + 1]) if number + 1 < model.trees else len(model.left)
    nodes = slice(root, end)
    left, right = (
        np.where(links[nodes] == LEAF, LEAF, links[nodes] - root).astype(np.int32)
        for links in (model.left, model.right)
    )
    parents = np.full(end - root, _NO_PARENT, np.int32)
    inner = np.flatnonzero(left != LEAF).astype(np.int32)
    parents[left[inner]] = parents[right[inner]] = inner
    values = np.where(left == LEAF, model.leaf_value[nodes], model.threshold[nodes]).astype(np.float32)
    nothing = np.zeros(end - root, np.float32)
    return {
        "base_weights": model.leaf_value[nodes],
        **_categories(model, nodes),
        "default_left": model.default_left[nodes].astype(np.uint8),
        "id": number,
        "left_children": left,
        "loss_changes": nothing,
        "parents": parents,
        "right_children": right,
        "split_conditions": values,
        "split_indices": model.feature[nodes],
        "split_type": model.categorical[nodes].astype(np.uint8),
        "sum_hessian": nothing,
        "tree_param": {
            "num_deleted": "0",
            "num_feature": str(model.features),
            "num_nodes": str(end - root),
            "size_leaf_vector": "1",
        },
    }


def _categories(model: Ensemble, nodes: slice) -> dict[str, Any]:
    """Return the sets of a tree's categorical nodes as XGBoost lists them."""
    at = np.flatnonzero(model.categorical[nodes])
    sets = [_members(model, nodes.start + int(node)) for node in at]
    sizes = np.array([len(each) for each in sets], np.int64)
    return {
        "categories": np.concatenate([*sets, np.zeros(0, np.int32)]).astype(np.int32),
        "categories_nodes": at.astype(np.int32),
        "categories_segments": np.cumsum(sizes) - sizes,
        "categories_sizes": sizes,
    }


def _members(model: Ensemble, node: int) -> NDArray[np.int32]:
    start, words = int(model.category_start[node]), int(model.category_words[node])
    bits = np.unpackbits(
        model.category_bits[start : start + words].astype("<u4").view(np.uint8), bitorder="little"
    )
    return np.flatnonzero(bits).astype(np.int32)


def _encode(value: Any, parts: list[bytes]) -> None:  # noqa: ANN401 - any document
    """Append a value as UBJSON."""
    if isinstance(value, dict):
        parts.append(b"{")
        for key, member in value.items():
            parts.append(_text(key))
            _encode(member, parts)
        parts.append(b"}")
    elif isinstance(value, list):
        parts.append(b"[#" + _length(len(value)))
        for member in value:
            _encode(member, parts)
    elif isinstance(value, np.ndarray):
        marker = _TYPES[value.dtype.str[1:]]
        parts.append(b"[$" + marker + b"#" + _length(len(value)))
        parts.append(value.astype(value.dtype.newbyteorder(">")).tobytes())
    elif isinstance(value, str):
        parts.append(b"S" + _text(value))
    elif isinstance(value, float):
        parts.append(b"d" + struct.pack(">f", value))
    else:
        parts.append(_length(value))


def _text(value: str) -> bytes:
    content = value.encode()
    return _length(len(content)) + content


def _length(value: int) -> bytes:
    return b"L" + struct.pack(">q", value)

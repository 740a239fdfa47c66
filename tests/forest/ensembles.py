"""Models of the installed XGBoost, the same as ensembles, and matrices that are hard to score."""

from __future__ import annotations

import ctypes
import json
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from sagestead.forest.ensemble import LEAF, Ensemble, frozen

LOGF = ctypes.CDLL(None).logf
LOGF.argtypes = [ctypes.c_float]
LOGF.restype = ctypes.c_float

Floats = NDArray[np.float32]
FEATURES = 9
TINY = (0.0, -0.0, 1e-45, -1e-45, 1e-38, np.nan)
CATEGORIES = (1.0, -1.0, -0.5, 0.99, 2.5, 31, 32, 33, 63, 64, 69.9, 70, 127, 2.0**24, 2.0**24 - 1)
ODD = (*TINY, *CATEGORIES, 2.0**31, 2.0**40, 3.4028235e38, -3.4028235e38)


def ensemble_of(booster: xgboost.Booster) -> Ensemble:
    """Read what `save_raw` says, trusting it."""
    document = json.loads(bytes(booster.save_raw("json")))
    learner = document["learner"]
    parameters = learner["learner_model_param"]
    version = tuple(document["version"])
    objective = learner["objective"]["name"]
    features, classes = int(parameters["num_feature"]), int(parameters["num_class"])
    groups = max(1, classes)
    scores = np.array(json.loads(parameters["base_score"]), np.float32).reshape(-1)
    base = np.broadcast_to([_margin(score, objective) for score in scores], (groups,))
    outer = learner["gradient_booster"]
    inner = outer.get("gbtree", outer)
    linear = outer["name"] == "gblinear"
    model: dict[str, Any] = {"trees": [], "tree_info": [], "iteration_indptr": [0]}
    model = model if linear else inner["model"]
    trees = model["trees"]
    weights = outer["model"]["weights"] if linear else np.zeros((0, groups))
    best = learner["attributes"].get("best_iteration")
    return Ensemble(
        format="JSON",
        version=version,
        booster=outer["name"],
        objective=objective,
        objective_parameters={},
        features=features,
        classes=classes,
        groups=groups,
        num_parallel_tree=1 if linear else int(model["gbtree_model_param"]["num_parallel_tree"]),
        base_margin=frozen(base, np.float32),
        tree_group=frozen(model["tree_info"], np.int32),
        tree_weight=frozen(outer.get("weight_drop", [1] * len(trees)), np.float32),
        round_start=frozen(model["iteration_indptr"], np.int32),
        linear_weight=frozen(np.reshape(weights, (-1, groups)), np.float32),
        best_iteration=None if best is None else int(best),
        best_ntree_limit=None,
        feature_names=(),
        feature_types=(),
        attributes={},
        **_nodes(trees),
    )


def _margin(score: np.float32, objective: str) -> float:
    if objective in {"binary:logistic", "reg:logistic"}:
        return -float(LOGF(np.float32(1) / score - np.float32(1)))
    if objective in {"count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft"}:
        return float(LOGF(score))
    return float(score)


def _nodes(trees: list[dict[str, Any]]) -> dict[str, Any]:
    roots = np.cumsum([0, *(len(tree["left_children"]) for tree in trees)])
    total = int(roots[-1])

    def joined(name: str, dtype: type[np.generic]) -> NDArray[Any]:
        return np.concatenate([np.zeros(0, dtype), *(np.array(tree[name], dtype) for tree in trees)])

    shift = np.repeat(roots[:-1], np.diff(roots))
    left, right = (joined(f"{side}_children", np.int64) for side in ("left", "right"))
    leaf = left == LEAF
    categorical = (joined("split_type", np.int64) == 1) & ~leaf
    condition = joined("split_conditions", np.float32)
    start, words = np.zeros(total, np.int32), np.zeros(total, np.int32)
    bits: list[int] = []
    for root, tree in zip(roots, trees, strict=False):
        runs = zip(
            tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True
        )
        for node, first, size in runs:
            chosen = tree["categories"][first : first + size]
            filled = [0] * (max(chosen) // 32 + 1)
            for category in chosen:
                filled[category // 32] |= 1 << (category % 32)
            start[root + node], words[root + node] = len(bits), len(filled)
            bits += filled
    return {
        "root": frozen(roots[:-1], np.int32),
        "feature": frozen(np.where(leaf, 0, joined("split_indices", np.int64)), np.int32),
        "threshold": frozen(np.where(leaf | categorical, 0, condition), np.float32),
        "left": frozen(np.where(leaf, LEAF, left + shift), np.int32),
        "right": frozen(np.where(leaf, LEAF, right + shift), np.int32),
        "default_left": frozen(~leaf & (joined("default_left", np.int64) == 1), np.bool_),
        "leaf_value": frozen(np.where(leaf, condition, 0), np.float32),
        "categorical": frozen(categorical, np.bool_),
        "category_start": frozen(start, np.int32),
        "category_words": frozen(words, np.int32),
        "category_bits": frozen(bits, np.uint32),
    }


def trained(
    objective: str, booster: str, seed: int, *, categories: bool = False, **extra: Any
) -> xgboost.Booster:
    """Train a small model that fits its objective's labels."""
    random = np.random.default_rng(seed)
    rows = training_rows(random, categories=categories)
    signal = np.nan_to_num(rows[:, 0] % 5 - 2 + rows[:, 1] * 2) + random.normal(size=len(rows))
    kinds = ["c" if categories and column in {0, 2} else "q" for column in range(FEATURES)]
    labels = _labels(objective, signal)
    data = xgboost.DMatrix(rows, labels, feature_types=kinds if categories else None, nthread=1)
    if objective == "survival:aft":
        data.set_float_info("label_lower_bound", labels)
        data.set_float_info("label_upper_bound", labels * 1.5)
    if objective.startswith("rank:"):
        data.set_group([20] * (len(rows) // 20))
    parameters: dict[str, Any] = {
        "objective": objective,
        "booster": booster,
        "nthread": 1,
        "seed": seed,
        "verbosity": 0,
        "eta": float(random.uniform(0.05, 1)),
    }
    if objective.startswith("multi:"):
        parameters["num_class"] = 4
    if booster != "gblinear":
        parameters |= {"max_depth": int(random.integers(1, 7)), "subsample": 0.8}
    if booster == "dart":
        parameters |= {"rate_drop": 0.3, "one_drop": 1}
    return xgboost.train(parameters | extra, data, int(random.integers(1, 13)))


def _labels(objective: str, signal: NDArray[np.float64]) -> Any:
    positive = np.exp(signal / 3)
    yes = signal > 0
    labels = {
        "multi:softmax": np.clip(np.round(signal + 1), 0, 3),
        "multi:softprob": np.clip(np.round(signal + 1), 0, 3),
        "rank:pairwise": np.clip(np.round(signal), 0, 4),
        "rank:ndcg": np.clip(np.round(signal), 0, 4),
        "rank:map": yes,
        "binary:logistic": yes,
        "binary:logitraw": yes,
        "binary:hinge": yes,
        "reg:logistic": 1 / (1 + np.exp(-signal)),
        "count:poisson": np.round(positive),
        "reg:squaredlogerror": positive,
        "reg:gamma": positive,
        "reg:tweedie": positive,
        "survival:cox": positive,
        "survival:aft": positive,
    }
    return labels.get(objective, signal)


def training_rows(random: np.random.Generator, *, categories: bool = False) -> Floats:
    rows = random.normal(size=(200, FEATURES)).astype(np.float32)
    rows[:, 1] = np.round(rows[:, 1])
    rows[random.random(rows.shape) < 0.1] = np.nan
    if categories:
        rows[:, 0] = random.integers(0, 70, len(rows))
        rows[:, 2] = random.integers(0, 3, len(rows))
    return rows


def hard_rows(random: np.random.Generator, ensemble: Ensemble, count: int = 40) -> Floats:
    """Rows of every magnitude with missing and odd values; half of them exactly on thresholds."""
    scale = 10.0 ** random.integers(-3, 3, (count, 1))
    rows = (random.normal(size=(count, FEATURES)) * scale).astype(np.float32)
    mask = random.random(rows.shape) < 0.2
    rows[mask] = random.choice(np.array(ODD, np.float32), np.count_nonzero(mask))
    splits = np.flatnonzero((ensemble.left != LEAF) & ~ensemble.categorical)
    if len(splits):
        for row in range(count // 2):
            node = random.choice(splits, 3)
            exact = ensemble.threshold[node]
            near = np.nextafter(exact, np.float32(-np.inf))
            rows[row, ensemble.feature[node]] = np.where(random.random(3) < 0.5, exact, near)
    return rows

"""Models of the installed XGBoost, the same as ensembles, and matrices that are hard to score."""

from __future__ import annotations

from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from sagestead.forest.ensemble import LEAF, Ensemble
from sagestead.forest.files import read

Floats = NDArray[np.float32]
FEATURES = 9
TINY = (0.0, -0.0, 1e-45, -1e-45, 1e-38, np.nan)
CATEGORIES = (1.0, -1.0, -0.5, 0.99, 2.5, 31, 32, 33, 63, 64, 69.9, 70, 127, 2.0**24, 2.0**24 - 1)
ODD = (*TINY, *CATEGORIES, 2.0**31, 2.0**40, 3.4028235e38, -3.4028235e38)


def ensemble_of(booster: xgboost.Booster) -> Ensemble:
    """The same model, read from what `save_raw` says."""
    return read(bytes(booster.save_raw("ubj")))


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

"""Metrics that the container computes itself, unweighted, with scikit-learn's definitions.

Rule: a class is `margin > 0` for one margin a row and the greatest margin for several; what a class never had
divided by nothing counts as 0 (spec: xgboost-builtin.md section 4).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagestead.algorithms.xgboost.faults import UserFault

Array = NDArray[Any]


def class_score(metric: str, labels: Array, margins: Array) -> float:
    """Return a metric of `CLASS_METRICS`; margins: one a row, or rows x classes."""
    if not np.array_equal(labels, np.round(labels)):
        raise UserFault(f"Metric '{metric}' needs class labels; the labels are not whole numbers.")
    predicted = np.argmax(margins, axis=1) if margins.ndim > 1 else (margins > 0).astype(np.int64)
    return CLASS_METRICS[metric](labels.astype(np.int64), predicted)


def value_score(metric: str, labels: Array, predictions: Array) -> float:
    """Return a metric of `VALUE_METRICS`; predictions: one a row."""
    if predictions.ndim > 1:
        raise UserFault(
            f"Metric '{metric}' needs one prediction a row; the objective gives {predictions.shape[1]}."
        )
    return VALUE_METRICS[metric](labels.astype(np.float64), predictions.astype(np.float64))


class _Counts:
    """Per class of labels and predictions: how many were right, predicted, and there."""

    def __init__(self, labels: Array, predicted: Array) -> None:
        self.classes, places = np.unique(np.concatenate([labels, predicted]), return_inverse=True)
        true, guessed = places[: labels.size], places[labels.size :]
        self.right, self.predicted, self.there = (
            np.bincount(found, minlength=self.classes.size).astype(np.float64)
            for found in (guessed[guessed == true], guessed, true)
        )

    def precision(self) -> Array:
        return _ratio(self.right, self.predicted)

    def recall(self) -> Array:
        return _ratio(self.right, self.there)

    def f1(self) -> Array:
        return _ratio(2 * self.right, self.predicted + self.there)


def _ratio(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _of_class_one(per_class: Callable[[_Counts], Array]) -> Callable[[Array, Array], float]:
    """Return the metric of class 1; only for classes 0 and 1."""

    def score(labels: Array, predicted: Array) -> float:
        counts = _Counts(labels, predicted)
        if not set(counts.classes.tolist()) <= {0, 1}:
            raise UserFault(
                "Target is multiclass but average='binary'. Please choose another average setting, "
                "one of [None, 'micro', 'macro', 'weighted']."
            )
        return float(per_class(counts)[counts.classes == 1].sum())

    return score


def _mean_over_classes(per_class: Callable[[_Counts], Array]) -> Callable[[Array, Array], float]:
    return lambda labels, predicted: float(per_class(_Counts(labels, predicted)).mean())


def _accuracy(labels: Array, predicted: Array) -> float:
    return float(np.mean(labels == predicted))


def _balanced_accuracy(labels: Array, predicted: Array) -> float:
    counts = _Counts(labels, predicted)
    return float(counts.recall()[counts.there > 0].mean())


def _mse(labels: Array, predictions: Array) -> float:
    return float(np.mean((labels - predictions) ** 2))


def _r2(labels: Array, predictions: Array) -> float:
    rest, total = _mse(labels, predictions), _mse(labels, labels.mean())
    if total == 0:
        return 1.0 if rest == 0 else 0.0
    return 1 - rest / total


CLASS_METRICS: Mapping[str, Callable[[Array, Array], float]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1": _mean_over_classes(_Counts.f1),
    "f1_binary": _of_class_one(_Counts.f1),
    "f1_macro": _mean_over_classes(_Counts.f1),
    "precision": _of_class_one(_Counts.precision),
    "precision_macro": _mean_over_classes(_Counts.precision),
    "precision_micro": _accuracy,
    "recall": _of_class_one(_Counts.recall),
    "recall_macro": _mean_over_classes(_Counts.recall),
    "recall_micro": _accuracy,
}

VALUE_METRICS: Mapping[str, Callable[[Array, Array], float]] = {
    "mse": _mse,
    "rmse": lambda labels, predictions: float(np.sqrt(_mse(labels, predictions))),
    "mae": lambda labels, predictions: float(np.mean(np.abs(labels - predictions))),
    "r2": _r2,
}

from __future__ import annotations

import time

import numpy as np
import pytest

from sagestead.algorithms.xgboost.faults import UserFault
from sagestead.algorithms.xgboost.scores import class_score, value_score

# Confusion of the binary case: 3 right positives, 1 false positive, 2 false negatives, 4 right negatives.
BINARY_LABELS = np.array([1, 1, 1, 0, 1, 1, 0, 0, 0, 0], np.float32)
BINARY_MARGINS = np.array([2, 1, 0.1, 3, -1, 0, -1, -2, -3, -0.5], np.float32)
# Three classes; class 2 is never predicted.
LABELS = np.array([0, 0, 1, 1, 2], np.float32)
MARGINS = np.array([[3, 1, 0], [0, 1, 0], [0, 5, 1], [1, 2, 0], [2, 1, 0]], np.float32)


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("accuracy", 7 / 10),
        ("precision", 3 / 4),
        ("recall", 3 / 5),
        ("f1_binary", 6 / 9),
        ("f1", (6 / 9 + 8 / 11) / 2),
        ("precision_macro", (3 / 4 + 4 / 6) / 2),
        ("recall_macro", (3 / 5 + 4 / 5) / 2),
        ("balanced_accuracy", (3 / 5 + 4 / 5) / 2),
        ("precision_micro", 7 / 10),
    ],
)
def test_two_classes_by_the_sign_of_the_margin(metric: str, value: float) -> None:
    assert class_score(metric, BINARY_LABELS, BINARY_MARGINS) == pytest.approx(value)


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("accuracy", 3 / 5),
        ("precision_macro", (1 / 2 + 2 / 3 + 0) / 3),
        ("recall_macro", (1 / 2 + 1 + 0) / 3),
        ("f1_macro", (2 / 4 + 4 / 5 + 0) / 3),
        ("recall_micro", 3 / 5),
    ],
)
def test_several_classes_by_the_greatest_margin(metric: str, value: float) -> None:
    assert class_score(metric, LABELS, MARGINS) == pytest.approx(value)


def test_binary_averages_refuse_several_classes() -> None:
    with pytest.raises(UserFault, match="Target is multiclass but average='binary'"):
        class_score("f1_binary", LABELS, MARGINS)


def test_class_metrics_refuse_values_and_value_metrics_refuse_classes() -> None:
    with pytest.raises(UserFault, match="'accuracy' needs class labels"):
        class_score("accuracy", np.array([0.5]), np.array([1.0]))
    with pytest.raises(UserFault, match="'mse' needs one prediction a row"):
        value_score("mse", LABELS, MARGINS)


@pytest.mark.parametrize(
    ("metric", "value"), [("mse", 0.375), ("rmse", 0.375**0.5), ("mae", 0.5), ("r2", 0.9486081)]
)
def test_values(metric: str, value: float) -> None:
    labels, predictions = np.array([3, -0.5, 2, 7], np.float32), np.array([2.5, 0.0, 2, 8], np.float32)
    assert value_score(metric, labels, predictions) == pytest.approx(value)


def test_r2_of_equal_labels_is_one_or_nothing() -> None:
    same = np.array([2.0, 2.0])
    assert value_score("r2", same, same) == 1
    assert value_score("r2", same, same + 1) == 0


def test_labels_that_are_all_different_take_no_time() -> None:
    labels = np.arange(200_000, dtype=np.float32)
    began = time.process_time()
    assert class_score("f1_macro", labels, np.ones_like(labels)) == pytest.approx(2 / 200_001 / 200_000)
    assert time.process_time() - began < 2.0

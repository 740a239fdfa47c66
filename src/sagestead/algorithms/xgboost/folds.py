"""Cross-validation (`_kfold`, `_num_cv_round`): one model a fold and repeat, and predictions for every row.

Rule: train and validation channels are one data set; folds are drawn from `seed`, in equal shares of each
class when the objective classifies (spec: xgboost-builtin.md section 4).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xgboost import DMatrix
from xgboost.callback import TrainingCallback

from sagestead.algorithms.xgboost.artifacts import MODEL_NAME, write_model
from sagestead.algorithms.xgboost.boosting import Plan, boost
from sagestead.algorithms.xgboost.faults import UserFault
from sagestead.algorithms.xgboost.report import Evaluations, last_values, round_line, say
from sagestead.algorithms.xgboost.versions import behaviour
from sagestead.worker.layout import Layout

Rows = NDArray[np.int64]


def split(labels: NDArray[Any], folds: int, repeats: int, seed: int, *, by_class: bool) -> Iterator[Rows]:
    """Yield the rows of each fold (to validate on); the folds of a repeat hold every row once."""
    random = np.random.default_rng(abs(seed))
    for _ in range(repeats):
        order = random.permutation(labels.size)
        if by_class:
            order = order[np.argsort(labels[order], kind="stable")]
        for fold in range(folds):
            yield np.sort(order[fold::folds])


def cross_validate(
    settings: Mapping[str, Any], plan: Plan, data: DMatrix, layout: Layout, stop: TrainingCallback
) -> None:
    """Train and evaluate all folds; write `xgboost-model-<i>` and `predictions.csv`.

    `stop` is called after each round and may raise.
    """
    folds, repeats = settings["_kfold"], settings.get("_num_cv_round", 1)
    if data.num_row() < folds:
        raise UserFault(
            f"Hyperparameter _kfold: {folds} folds need as many rows; the data has {data.num_row()}."
        )
    objective = settings.get("objective", "")
    classifies = objective.startswith(("binary:", "multi:"))
    labels = data.get_label()
    results: list[Evaluations] = []
    predictions: list[list[NDArray[Any]]] = [[] for _ in range(repeats)]
    for number, rows in enumerate(
        split(labels, folds, repeats, settings.get("seed", 0), by_class=classifies)
    ):
        say(f"Fold {number % folds + 1} of {folds}, repeat {number // folds + 1} of {repeats}.")
        others = np.setdiff1d(np.arange(labels.size), rows)
        train, validation = data.slice(others), data.slice(rows)
        booster, evaluations = boost(plan, [(train, "train"), (validation, "validation")], further=[stop])
        results.append(evaluations)
        predictions[number // folds].append(_rows_of(rows, booster.predict(validation)))
        write_model(booster, layout.model / f"{MODEL_NAME}-{number}")
    say(_mean_line(plan, results))
    table = _predictions(labels, [np.concatenate(repeat) for repeat in predictions], objective)
    layout.output_data.mkdir(parents=True, exist_ok=True)
    np.savetxt(layout.output_data / "predictions.csv", table, delimiter=",", fmt="%f")


def _rows_of(rows: Rows, predicted: NDArray[Any]) -> NDArray[Any]:
    """Return predictions with their row numbers in front."""
    return np.column_stack([rows, predicted])


def _mean_line(plan: Plan, results: list[Evaluations]) -> str:
    """Return the line with each metric's mean over all models, metric by metric."""
    last = [{(data, metric): value for data, metric, value in last_values(result)} for result in results]
    metrics = [metric for data, metric in last[0] if data == "train"]
    means = [
        (data, metric, float(np.mean([values[data, metric] for values in last])))
        for metric in metrics
        for data in ("train", "validation")
    ]
    return round_line(plan.rounds, means, behaviour(plan.image).metric_format)


def _predictions(labels: NDArray[Any], repeats: list[NDArray[Any]], objective: str) -> NDArray[Any]:
    """Return rows of (label, mean prediction); for classes (label, mean probability, frequent class)."""
    by_row = np.stack([repeat[np.argsort(repeat[:, 0]), 1:] for repeat in repeats])
    if not objective.startswith(("binary:", "multi:")):
        return np.column_stack([labels, by_row[:, :, 0].mean(axis=0)])
    if by_row.shape[2] > 1:
        classes, values = by_row.argmax(axis=2), by_row.max(axis=2)
    else:
        values = by_row[:, :, 0]
        threshold = 0.0 if objective == "binary:logitraw" else 0.5
        classes = values if objective == "multi:softmax" else values > threshold
    winners = [np.bincount(column).argmax() for column in classes.astype(np.int64).T]
    return np.column_stack([labels, values.mean(axis=0), winners])

"""What happens after each boosting round, as callbacks of the library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
from xgboost import Booster, DMatrix
from xgboost.callback import TrainingCallback

from sagestead.algorithms.xgboost.artifacts import write_checkpoint, write_model
from sagestead.algorithms.xgboost.report import Evaluations, last_values, round_line, say
from sagestead.algorithms.xgboost.scores import CLASS_METRICS, class_score, value_score

Watched = Sequence[tuple[DMatrix, str]]


class ComputedMetrics(TrainingCallback):
    """Adds the metrics that the library does not compute to what it has evaluated."""

    def __init__(self, watched: Watched, metrics: Sequence[str], *, values_of_margins: bool) -> None:
        super().__init__()
        self._watched = watched
        self._metrics = metrics
        self._values_of_margins = values_of_margins

    def after_iteration(self, model: Booster, epoch: int, evals_log: Evaluations) -> bool:
        """Evaluate each metric on each data set; training goes on."""
        del epoch
        for matrix, name in self._watched:
            scores = self._scores(model, matrix)
            for metric, score in scores.items():
                values = evals_log.setdefault(name, {}).setdefault(metric, [])
                cast("list[float]", values).append(score)
        return False

    def _scores(self, model: Booster, matrix: DMatrix) -> dict[str, float]:
        labels = matrix.get_label()
        margins = model.predict(matrix, output_margin=True)
        values = margins if self._values_of_margins else model.predict(matrix)
        return {
            metric: class_score(metric, labels, margins)
            if metric in CLASS_METRICS
            else value_score(metric, labels, np.asarray(values))
            for metric in self._metrics
        }


class Printer(TrainingCallback):
    """Prints each round's metrics; `first` is the number of the first round."""

    def __init__(self, first: int, number_format: str) -> None:
        super().__init__()
        self._first = first
        self._format = number_format

    def after_iteration(self, model: Booster, epoch: int, evals_log: Evaluations) -> bool:
        """Print; training goes on."""
        del model
        say(round_line(self._first + epoch, last_values(evals_log), self._format))
        return False


class Checkpoints(TrainingCallback):
    """Writes a checkpoint after each round."""

    def __init__(self, folder: Path, first: int) -> None:
        super().__init__()
        self._folder = folder
        self._first = first

    def after_iteration(self, model: Booster, epoch: int, evals_log: Evaluations) -> bool:
        """Write; training goes on."""
        del evals_log
        write_checkpoint(model, self._folder, self._first + epoch)
        return False


class IntermediateModel(TrainingCallback):
    """Writes the model after each round, so that a stopped job has one."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def after_iteration(self, model: Booster, epoch: int, evals_log: Evaluations) -> bool:
        """Write; training goes on."""
        del epoch, evals_log
        write_model(model, self._path)
        return False

"""What happens after each boosting round, as callbacks of the library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from xgboost import Booster, DMatrix
from xgboost.callback import TrainingCallback

from sagestead.algorithms.xgboost.artifacts import write_checkpoint, write_model
from sagestead.algorithms.xgboost.report import Evaluations, last_values, round_line, say
from sagestead.algorithms.xgboost.scores import CLASS_METRICS, class_score, value_score

Watched = Sequence[tuple[DMatrix, str]]
Mean = Callable[[Sequence[float], int], NDArray[np.float64]]
"""(values on a host's own rows, how many rows) -> their means over all hosts."""


CELLS_A_THREAD = 200_000
"""With fewer, threads wait for each other longer than they work: on two cores, 185,000 cells in all take two
threads as long as one, and twice its processor time, which others could use."""


def useful_threads(cells: int, most: int) -> int:
    """Return how many of the threads that a job may use are worth it; how many does not change the model."""
    return max(1, min(most, cells // CELLS_A_THREAD))


class ComputedMetrics(TrainingCallback):
    """Adds the metrics that the library does not compute to what it has evaluated.

    With several hosts each computes them on its own rows, and the mean by rows counts.
    """

    def __init__(
        self, watched: Watched, metrics: Sequence[str], mean: Mean, *, values_of_margins: bool
    ) -> None:
        super().__init__()
        self._mean = mean
        self._watched = watched
        self._metrics = metrics
        self._values_of_margins = values_of_margins

    def after_iteration(self, model: Booster, epoch: int, evals_log: Evaluations) -> bool:
        """Evaluate each metric on each data set; training goes on."""
        del epoch
        for matrix, name in self._watched:
            scores = self._scores(model, matrix)
            means = self._mean([scores[metric] for metric in self._metrics], matrix.num_row())
            for metric, score in zip(self._metrics, means.tolist(), strict=True):
                values = evals_log.setdefault(name, {}).setdefault(metric, [])
                cast("list[float]", values).append(score)
        return False

    def _scores(self, model: Booster, matrix: DMatrix) -> dict[str, float]:
        if not matrix.num_row():
            return dict.fromkeys(self._metrics, 0.0)
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


class SharedThreads(TrainingCallback):
    """Uses as many threads as the job may use just now; how many does not change the model.

    `place` is the file that says so, `most` what the job may use at most.
    """

    def __init__(self, place: Path, most: int) -> None:
        super().__init__()
        self._place = place
        self._most = most
        self._used = most

    def before_iteration(self, model: Booster, epoch: int, evals_log: Evaluations) -> bool:
        """Look; training goes on."""
        del epoch, evals_log
        try:
            allowed = max(1, min(self._most, int(self._place.read_text())))
        except (FileNotFoundError, ValueError):
            return False
        if allowed != self._used:
            self._used = allowed
            model.set_param({"nthread": allowed})
        return False

"""Rows to numbers: the one seam between serving and what evaluates the trees.

Law: `predict` equals the prediction of XGBoost itself on a DMatrix of the same rows, bit for bit, however the
rows are divided into calls. Nothing reaches the native library that has not passed the structural check.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping

import numpy as np
import xgboost
from numpy.typing import NDArray

from sagestead.algorithms.xgboost.decoding import Matrix
from sagestead.algorithms.xgboost.faults import library_text
from sagestead.algorithms.xgboost.model_files import ModelFile
from sagestead.algorithms.xgboost.structure import Facts
from sagestead.worker.contract import ModelRefused

INSTALLED = str(xgboost.__version__)
_OUTPUTS = 1 << 28
_POSITIVE = re.compile(r"[1-9][0-9]{0,8}")


class Unpredictable(ValueError):  # noqa: N818 - it says why not
    """These rows cannot be evaluated by this model; the text is part of the container's answer."""

    status = 400


class Booster:
    """A model that predicts. Safe to use from several threads."""

    def __init__(self, file: ModelFile, threads: int) -> None:
        self.facts: Facts = file.facts
        self._threads = threads
        # The linear predictor of XGBoost is the only one that is not safe for threads.
        self._turn = threading.Lock()
        best = self.facts.best_iteration
        self._rounds = (0, 0) if best is None else (0, best + 1)
        try:
            self._booster = xgboost.Booster({"nthread": threads, "verbosity": 0})
            self._booster.load_model(bytearray(file.content))
            self.predict(np.zeros((1, 1), np.float32))
        except (xgboost.core.XGBoostError, Unpredictable, UnicodeDecodeError) as error:
            raise ModelRefused(f"Model file {file.name} cannot be loaded: {first_line(error)}.") from None

    def predict(self, matrix: Matrix) -> NDArray[np.float32]:
        """Return one float32 a row, or one row of `groups` for objectives that give several.

        Args:
            matrix: rows x columns; NaN (dense) and absent entries (sparse) are missing values. Fewer columns
                than the model has are taken as missing.

        Raises:
            Unpredictable: more columns than the model has, or infinite values.
        """
        rows, columns = matrix.shape
        if columns > self.facts.features:
            raise Unpredictable(
                "Check failed: learner_model_param_.num_feature >= p_fmat->Info().num_col_ "
                f"({self.facts.features} vs. {columns}) : "
                "Number of columns does not match number of features in booster."
            )
        if rows * self.facts.groups > _OUTPUTS:
            raise Unpredictable(f"{rows} rows of {self.facts.groups} predictions are more than {_OUTPUTS}.")
        try:
            if self.facts.booster == "gblinear":
                with self._turn:
                    return self._predict(matrix)
            return self._predict(matrix)
        except xgboost.core.XGBoostError as error:
            raise Unpredictable(first_line(error)) from None

    def _predict(self, matrix: Matrix) -> NDArray[np.float32]:
        data = xgboost.DMatrix(matrix, missing=np.nan, nthread=self._threads)
        found: NDArray[np.float32] = self._booster.predict(
            data, iteration_range=self._rounds, validate_features=False
        )
        return found


def threads_of(environment: Mapping[str, str]) -> int:
    """Return OMP_NUM_THREADS, at most one a core; 1 as AWS's container has it when it is not set."""
    text = environment.get("OMP_NUM_THREADS", "")
    return min(int(text), os.cpu_count() or 1) if _POSITIVE.fullmatch(text) else 1


def first_line(error: Exception) -> str:
    """Return the first line of what XGBoost says."""
    return library_text(str(error)).partition("\n")[0].rstrip(". ")

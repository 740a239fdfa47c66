"""Rows to numbers: the one seam between serving and what evaluates the trees.

Law: `predict` equals the prediction of XGBoost itself on a DMatrix of the same rows, bit for bit, however the
rows are divided into calls. No native loader sees the bytes of a model: `forest` reads and scores them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sagestead.algorithms.xgboost.decoding import Matrix
from sagestead.forest.ensemble import Ensemble
from sagestead.forest.layout import TooLarge, Words, plan
from sagestead.forest.scoring import Scorer, Unscorable
from sagestead.forest.threads import CORES, helpers
from sagestead.forest.transforms import UnknownObjective
from sagestead.worker.contract import ModelRefused

_OUTPUTS = 1 << 28
_CELLS = 1 << 22
_STEPS = 1 << 19
"""Steps that are worth a thread: about a millisecond of a kernel."""
_POSITIVE = re.compile(r"[1-9][0-9]{0,8}")


class Unpredictable(ValueError):  # noqa: N818 - it says why not
    """These rows cannot be evaluated by this model; the text is part of the container's answer."""

    status = 400


class Booster:
    """A model that predicts. Safe to use from several threads.

    Attributes:
        objective: its name, which says what the predictions are.
        classes: `num_class`; 0 when the objective has none.
        scorer: what evaluates its trees.
    """

    __slots__ = ("_threads", "classes", "objective", "scorer")

    def __init__(self, words: Words, objective: str, classes: int, threads: int) -> None:
        self.objective = objective
        self.classes = classes
        self.scorer = Scorer(words)
        self._threads = threads

    @classmethod
    def of(cls, ensemble: Ensemble, threads: int) -> Booster:
        """Lay out a model; raise `ModelRefused` when it cannot be."""
        return cls(plan_of(ensemble), ensemble.objective, ensemble.classes, threads)

    def predict(self, matrix: Matrix) -> NDArray[np.float32]:
        """Return one float32 a row, or one row of `groups` for objectives that give several.

        Args:
            matrix: rows x columns; NaN (dense) and absent entries (sparse) are missing values. Fewer columns
                than the model has are taken as missing.

        Raises:
            Unpredictable: more columns than the model has, or infinite values.
        """
        rows = matrix.shape[0]
        if rows * self.scorer.groups > _OUTPUTS:
            raise Unpredictable(f"{rows} rows of {self.scorer.groups} predictions are more than {_OUTPUTS}.")
        parts = min(self._threads, rows * max(1, self.scorer.steps) // _STEPS)
        try:
            if parts > 1:
                return self._by_threads(matrix, parts)
            return self._predict(matrix)
        except Unscorable as error:
            raise Unpredictable(str(error)) from None

    def _by_threads(self, matrix: Matrix, parts: int) -> NDArray[np.float32]:
        """Score equal parts at the same time; the kernels do not hold the GIL."""
        bounds = np.linspace(0, matrix.shape[0], parts + 1).astype(int)
        slices = [matrix[begin:end] for begin, end in itertools.pairwise(bounds)]
        others = [helpers().submit(self._predict, part) for part in slices[1:]]
        return np.concatenate([self._predict(slices[0]), *(other.result() for other in others)])

    def _predict(self, matrix: Matrix) -> NDArray[np.float32]:
        if not scipy.sparse.issparse(matrix):
            return self.scorer.score(np.asarray(matrix, np.float32))
        return np.concatenate([self.scorer.score(rows) for rows in self._dense(matrix)])

    def _dense(self, matrix: scipy.sparse.csr_matrix) -> Iterator[NDArray[np.float32]]:
        """Yield the rows of a sparse matrix, some at a time, with NaN where it has no entry."""
        count, columns = matrix.shape
        if columns > self.scorer.features:
            yield np.empty((0, columns), np.float32)  # is refused before memory is spent on it
        step = max(1, _CELLS // max(1, columns))
        for begin in range(0, max(1, count), step):
            part = matrix[begin : begin + step].tocoo()
            rows = np.full(part.shape, np.nan, np.float32)
            rows[part.row, part.col] = part.data
            yield rows


def plan_of(ensemble: Ensemble) -> Words:
    """Lay out the trees that AWS's containers predict with; raise `ModelRefused`."""
    try:
        return plan(ensemble, range(ensemble.trees_used))
    except (UnknownObjective, TooLarge) as error:
        raise ModelRefused(f"The model cannot be served: {error}") from None


def threads_of(environment: Mapping[str, str]) -> int:
    """Return OMP_NUM_THREADS, at most one a core; 1 as AWS's container has it when it is not set."""
    text = environment.get("OMP_NUM_THREADS", "")
    return min(int(text), CORES) if _POSITIVE.fullmatch(text) else 1

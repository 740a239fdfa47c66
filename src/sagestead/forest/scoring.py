"""Rows to predictions: the one way in to scoring an ensemble.

Law: a prediction equals that of XGBoost itself (`Booster.predict` of a `DMatrix` of the same float32 rows, on
x86-64) bit for bit, however the rows are divided into calls and whoever computes it, kernel or twin. What
XGBoost refuses is refused, in its words.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sagestead.forest import layout
from sagestead.forest.compiling import Kernels, kernels
from sagestead.forest.ensemble import Ensemble
from sagestead.forest.layout import Words
from sagestead.forest.threads import helpers
from sagestead.forest.transforms import LABEL
from sagestead.forest.twin import Twin

Floats = NDArray[np.float32]

_VOTING = ("multi:softmax", "binary:hinge")
_STEPS_AT_ONCE = 1 << 22
"""Steps between two returns to Python, some 20 ms of a kernel: an interrupt waits no longer."""
_WORTH_A_THREAD = 1 << 17
"""Bytes and steps of a part, a tenth of a millisecond: less is done sooner than handed over."""
_MOST_PARTS = 16
"""What takes longer, some two milliseconds, leaves the other cores to shorter requests."""
_ROW = 1 << 14
"""Columns of a row for which there is room before it is seen."""
_MATRIX = 2
_FLOAT32 = np.dtype(np.float32)


@dataclass(frozen=True, slots=True)
class Mold:
    """What envelopes have besides a length, an id, a number and a row, or its prediction.

    Attributes:
        asking: the kind of those that are known, and what precedes the row in the rest of each.
        answering: the kind of the answers, and all that is between the id and the prediction.
        after: follows the prediction.
    """

    asking: bytes
    answering: bytes
    after: bytes


class Unscorable(ValueError):  # noqa: N818 - it says why not
    """Rows that XGBoost would refuse to predict; the text is what it says."""


class Scorer:
    """One plan, ready to score. Safe to use from several threads; releases the GIL while a kernel runs.

    Attributes:
        features: columns that a row may have.
        groups: margins of a row.
        steps: steps from node to node that a row costs, about 2 ns each at best: what to plan with.
    """

    __slots__ = ("_plan", "_rows_at_once", "_transform", "_twin", "features", "groups", "steps")

    def __init__(self, plan: Words) -> None:
        """Take a plan as `layout.plan` made it: nothing in it is checked again."""
        self.features = int(plan[layout.FEATURES])
        self.groups = int(plan[layout.GROUPS])
        self.steps = layout.steps(plan)
        self._plan = plan
        self._transform = int(plan[layout.TRANSFORM])
        self._rows_at_once = max(1, _STEPS_AT_ONCE // max(1, self.steps))
        self._twin: Twin | None = None

    @classmethod
    def of(cls, ensemble: Ensemble, trees: range | None = None) -> Scorer:
        """Lay out an ensemble.

        Args:
            ensemble: a sound model.
            trees: which trees count, all when None; containers use `range(ensemble.trees_used)`;
                a gblinear model has none.

        Raises:
            UnknownObjective: its objective is none of those whose predictions are known.
            TooLarge: it cannot be addressed.
        """
        return cls(layout.plan(ensemble, trees))

    def score(self, rows: Floats, *, output_margin: bool = False) -> Floats:
        """Return a prediction a row, or one row of `groups` for objectives that give several.

        Args:
            rows: rows x columns of float32; NaN is a missing value. Fewer columns than `features` are taken
                as missing.
            output_margin: return the sums instead of what the objective makes of them.

        Raises:
            Unscorable: more columns than the model has, or infinite values.
        """
        if rows.ndim != _MATRIX or rows.dtype != _FLOAT32:
            raise TypeError(f"Rows are a matrix of float32, not {rows.ndim} dimensions of {rows.dtype}.")
        count, columns = rows.shape
        if columns > self.features:
            raise Unscorable(
                "Check failed: learner_model_param_.num_feature >= p_fmat->Info().num_col_ "
                f"({self.features} vs. {columns}) : "
                "Number of columns does not match number of features in booster."
            )
        out = np.empty((count, self.groups), _FLOAT32)
        if not self._score(np.ascontiguousarray(rows), out, output_margin):
            raise Unscorable(
                "Check failed: valid: Input data contains `inf` or a value too large, "
                "while `missing` is not set to `inf`"
            )
        return self._shaped(out, output_margin=output_margin)

    def score_row(self, body: bytes) -> float | None:
        """Return the prediction of a CSV body of one plain row of all columns, by one call of a kernel.

        None when it is no such body, the model gives several numbers a row, or the kernels are not ready:
        then the body has to be decoded.
        """
        ready = kernels()
        if ready is None:
            return None
        known, prediction = ready.score_row(body, self._plan)
        return prediction if known else None

    def answer_envelopes(
        self, data: bytes, start: int, most: int, mold: Mold, *, begin: bool
    ) -> tuple[int, int, int, bytes]:
        """Answer rows in envelopes (forest/envelope_kernels.py); `begin` False: see only how many are known.

        Returns:
            How many; the id of the last one; where the next one begins; the answers. None are known where the
            kernels are not ready.
        """
        ready = kernels()
        if ready is None or self.features > _ROW:
            return 0, 0, start, b""
        asking, answering, after = mold.asking, mold.answering, mold.after
        count, last, following, text = ready.answer_envelopes(
            data, start, most, asking, answering, after, self._plan, begin
        )
        return count, last, following, text.tobytes()

    def score_csv(self, body: bytes, most: int = 1) -> Floats | None:
        """Return the predictions of a plain CSV body, as `score` returns them, scored as they are read.

        None when the body has to be decoded: it is not plain, has more columns than the model, or the kernels
        are not ready.

        Args:
            body: the text.
            most: threads that may work on it, if it is neither short nor long.
        """
        ready = kernels()
        if ready is None:
            return None
        starts = self._starts(body) if most > 1 else [0]
        bounds = list(enumerate(itertools.pairwise([*starts, 0])))
        found: dict[int, Floats | None] = {}
        left = iter(bounds)

        def score_what_is_left() -> None:
            for place, (start, stop) in left:
                found[place] = self._score_lines(ready, body, start, stop)

        others = [helpers().submit(score_what_is_left) for _ in range(min(most, len(bounds)) - 1)]
        score_what_is_left()
        for other in others:
            if not other.cancel():
                other.result()
        parts = [part for place, _ in bounds if (part := found[place]) is not None]
        if len(parts) < len(bounds):
            return None
        return self._shaped(parts[0] if len(parts) == 1 else np.concatenate(parts), output_margin=False)

    def _starts(self, body: bytes) -> list[int]:
        """Return where the parts of a body begin that threads may take one after another."""
        first = body.find(b"\n") + 1  # the other lines are about as long
        parts = (len(body) + len(body) * self.steps // first) // _WORTH_A_THREAD if first else 1
        if not 1 < parts <= _MOST_PARTS:
            return [0]
        size = len(body) // parts
        near = range(size, len(body) - size // 2, size)
        ends = {body.find(b"\n", at) + 1 for at in near}
        return [0, *sorted(end for end in ends if 0 < end < len(body))]

    def _score_lines(self, ready: Kernels, body: bytes, start: int, stop: int) -> Floats | None:
        """Return the predictions of the lines from `start` to `stop`, 0: to the end; None to decline."""
        rows = body.count(b"\n", start, stop) if stop else sys.maxsize
        at, width, parts = start, 0, list[Floats]()
        while rows > 0:
            at, width, part = ready.score_csv(body, self._plan, at, width, min(rows, self._rows_at_once))
            if at < 0 or not len(part):
                return None  # what is left is too short for a row
            parts.append(part)
            rows -= len(part)
            if at == 0:
                break
        if at != stop:
            return None  # a line that is not a row
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _shaped(self, out: Floats, *, output_margin: bool) -> Floats:
        """Return one number a row where a row has one."""
        if self.groups == 1 or (self._transform == LABEL and not output_margin):
            return out[:, 0]
        return out

    def _score(self, rows: Floats, out: Floats, margins: bool) -> bool:  # noqa: FBT001 - a kernel has no names
        """Fill `out`; returns False when a value is infinite."""
        ready = kernels()
        if ready is None:
            return self._score_by_twin(rows, out, margins)
        compiled = ready.score
        self._twin = None
        if len(rows) <= self._rows_at_once:
            return compiled(self._plan, rows, out, margins)
        steps = range(0, len(rows), self._rows_at_once)
        parts = (slice(at, at + self._rows_at_once) for at in steps)
        return all(compiled(self._plan, rows[part], out[part], margins) for part in parts)

    def _score_by_twin(self, rows: Floats, out: Floats, margins: bool) -> bool:  # noqa: FBT001 - see above
        if np.isinf(rows).any():
            return False
        twin = self._twin
        if twin is None:
            self._twin = twin = Twin(self._plan)
        found = twin.score(rows, margins=margins)
        out[:, : found.shape[1]] = found
        return True


def together(objective: str, predictions: Sequence[Floats]) -> Floats:
    """Return what several models of one archive say together, as AWS's containers combine them.

    Args:
        objective: of the first model. Labels (multi:softmax, binary:hinge) are voted on and the lowest of
            equally frequent ones wins; everything else is averaged.
        predictions: of each model, all of one shape.
    """
    if len(predictions) == 1:
        return predictions[0]
    if objective in _VOTING:
        return _majority(np.stack(predictions))
    mean: Floats = np.mean(predictions, axis=0)
    return mean


def _majority(votes: Floats) -> Floats:
    """Return the most frequent label of each row (models x rows); of equally frequent ones the lowest."""
    winner: Floats = votes[0].copy()
    most = np.zeros(votes.shape[1], np.int64)
    for label in np.unique(votes):
        count = (votes == label).sum(axis=0)
        winner[count > most] = label
        most = np.maximum(most, count)
    return winner

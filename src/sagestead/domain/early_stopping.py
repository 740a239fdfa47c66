"""Which trials are not worth carrying on (spec: tuning.md sections 3 and 5).

Rule: a curve holds the losses (less is better) that a trial reported, one an epoch, from the first. A trial
is judged by trials at the same epoch only.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

Curve = Sequence[float]

FEWEST_PEERS = 3
REDUCTION = 3
"""Of the trials at a rung, one in so many goes on."""


def is_below_median(curve: Curve, earlier: Iterable[Curve]) -> bool:
    """Say whether a trial's newest loss is worse than the median of earlier trials' running averages then."""
    epoch = len(curve)
    averages = [statistics.fmean(other[:epoch]) for other in earlier if len(other) >= epoch > 0]
    return len(averages) >= FEWEST_PEERS and curve[-1] > statistics.median(averages)


@dataclass(frozen=True, slots=True)
class Halving:
    """Hyperband's rule: budgets in epochs grow by `REDUCTION` from rung to rung.

    Trials take the brackets in turn; a bracket's first rung is higher than the one before's.
    """

    least: int
    most: int

    def rungs(self, bracket: int) -> list[int]:
        """Return the epochs at which a trial of the bracket is judged."""
        return list(_rungs(self.least * REDUCTION**bracket, self.most))

    def bracket(self, index: int) -> int:
        """Return the bracket of the trial with that index, from 0."""
        return index % (len(self.rungs(0)) + 1)

    def ends(self, index: int, curves: Sequence[Curve]) -> bool:
        """Say whether a trial ends now: its budget is used up, or it is not among the best at a rung.

        `curves` are those of all trials, by index.
        """
        curve, bracket = curves[index], self.bracket(index)
        if len(curve) >= self.most:
            return True
        reached = [rung for rung in self.rungs(bracket) if len(curve) >= rung]
        if not reached:
            return False
        at = reached[-1] - 1
        peers = sorted(
            other[at]
            for number, other in enumerate(curves)
            if len(other) > at and self.bracket(number) == bracket
        )
        return curve[at] > peers[max(1, len(peers) // REDUCTION) - 1]


def _rungs(first: int, most: int) -> Iterator[int]:
    rung = first
    while rung < most:
        yield rung
        rung *= REDUCTION

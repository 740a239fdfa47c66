"""Which point of a search space to try next: `suggest`, a pure function.

Rule: the answer depends on the question alone. A model of the trials so far is rebuilt for every question
from what the question tells, asked once, and forgotten; no second truth is kept. Optuna is loaded when a
model is first needed, not before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sagestead.domain.search_space import (
    Categorical,
    Integer,
    Point,
    Range,
    Scale,
    Space,
    combinations,
    grid_point,
    random_point,
    seed_of,
    spread_point,
)
from sagestead.domain.tuning import Observation, Question, Strategy

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

ATTEMPTS = 6
"""So often a point is drawn anew that was tried before."""

ENUMERABLE = 10_000


def suggest(question: Question) -> dict[str, str]:
    """Return the point to try next; one that was not tried before if that can be had."""
    if question.strategy is Strategy.GRID:
        return grid_point(question.space, question.index)
    space = question.space
    tried = {_identity(space, one.point) for one in question.history}
    for attempt in range(ATTEMPTS):
        point = _drawn(question, seed_of(question.seed, question.index, attempt), attempt)
        if _identity(space, point) not in tried:
            return point
    return _untried(question, tried) or point


def _drawn(question: Question, seed: int, attempt: int) -> dict[str, str]:
    if question.strategy is not Strategy.BAYESIAN:
        return random_point(question.space, seed)
    if question.index >= question.exploring:
        return _modelled(question.space, question.history, seed)
    if attempt == 0:
        return spread_point(question.space, question.index, question.exploring, question.seed)
    return random_point(question.space, seed)


def _untried(question: Question, tried: set[tuple[str, ...]]) -> dict[str, str] | None:
    """Return some point that was not tried, of a space small enough to be gone through."""
    count = combinations(question.space)
    if count is None or count > ENUMERABLE:
        return None
    first = seed_of(question.seed, question.index) % count
    points = (grid_point(question.space, (first + number) % count) for number in range(count))
    return next((point for point in points if _identity(question.space, point) not in tried), None)


def _identity(space: Space, point: Point) -> tuple[str, ...]:
    return tuple(point.get(one.name, "") for one in space)


def _modelled(space: Space, history: Sequence[Observation], seed: int) -> dict[str, str]:
    """Return what a tree-structured Parzen estimator finds most promising.

    A trial under way counts as a bad one, so that trials side by side keep apart; a failed one is left out.
    """
    import optuna  # noqa: PLC0415 - costs a fifth of a second, which no start of the service should pay

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(
        n_startup_trials=0, multivariate=True, constant_liar=True, seed=seed % 2**32
    )
    study = optuna.create_study(sampler=sampler)
    distributions = {one.name: _distribution(one) for one in space}
    study.add_trials(_trials(space, history, distributions))
    asked = study.ask(distributions)
    return {one.name: _text(one, asked.params[one.name]) for one in space}


def _trials(
    space: Space, history: Iterable[Observation], distributions: dict[str, BaseDistribution]
) -> list[Any]:
    """Return what was tried as Optuna's trials, without points that are outside of the space."""
    from optuna.trial import TrialState, create_trial  # noqa: PLC0415 - as above

    found = []
    for one in history:
        inner = {part.name: _inner(part, one.point.get(part.name)) for part in space}
        if None in inner.values() or (one.loss is not None and math.isinf(one.loss)):
            continue
        state = TrialState.RUNNING if one.loss is None else TrialState.COMPLETE
        found.append(create_trial(state=state, value=one.loss, params=inner, distributions=distributions))
    return found


def _distribution(one: Range) -> BaseDistribution:
    """Return the range as Optuna knows it; a continuous one as its unit interval, whatever its scale."""
    from optuna.distributions import (  # noqa: PLC0415 - as above
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(one, Categorical):
        return CategoricalDistribution(one.values)
    if isinstance(one, Integer):
        return IntDistribution(one.low, one.high, log=one.scale is Scale.LOGARITHMIC)
    return FloatDistribution(0.0, 1.0)


def _inner(one: Range, text: str | None) -> Any:  # noqa: ANN401 - text, integer or real, by the range
    """Return a value as Optuna knows it; None when it is not in the range."""
    place = None if text is None else one.unit(text)
    if place is None or isinstance(one, Categorical):
        return None if place is None else text
    return int(text or 0) if isinstance(one, Integer) else place


def _text(one: Range, inner: Any) -> str:  # noqa: ANN401 - as above
    if isinstance(one, Categorical | Integer):
        return str(inner)
    return one.text(inner)

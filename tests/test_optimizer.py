"""The next point: the same for the same question, of the space, new if it can be, and better than chance."""

from __future__ import annotations

import math
import subprocess
import sys
from statistics import mean

from hypothesis import given, settings
from hypothesis import strategies as st

from sagestead.domain.search_space import (
    Categorical,
    Continuous,
    Integer,
    Scale,
    Space,
    random_point,
    seed_of,
)
from sagestead.domain.tuning import Observation, Question, Strategy
from sagestead.optimizer import suggest

SPACE: Space = (
    Continuous("x", 0.001, 1.0, Scale.LOGARITHMIC),
    Continuous("y", 0.0, 0.99, Scale.REVERSE),
    Integer("n", 1, 100, Scale.LOGARITHMIC),
    Integer("m", -5, 5, Scale.LINEAR),
    Categorical("c", ("a", "b", "c")),
)
SMALL: Space = (Categorical("c", ("a", "b")), Integer("n", 1, 3, Scale.LINEAR))
LOSSES = st.one_of(st.none(), st.just(math.inf), st.floats(-1e6, 1e6))


def asked(strategy: Strategy, space: Space, history: list[Observation], seed: int = 1) -> Question:
    return Question(strategy, space, tuple(history), seed, len(history), 4)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(LOSSES, max_size=14),
    st.integers(0, 2**63),
    st.sampled_from([Strategy.BAYESIAN, Strategy.RANDOM, Strategy.HYPERBAND]),
)
def test_the_answer_depends_on_the_question_alone(
    losses: list[float | None], seed: int, strategy: Strategy
) -> None:
    history = [
        Observation(random_point(SPACE, seed_of(seed, number)), loss) for number, loss in enumerate(losses)
    ]
    question = asked(strategy, SPACE, history, seed)
    point = suggest(question)
    assert suggest(question) == point
    assert all(one.unit(point[one.name]) is not None for one in SPACE)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**63), st.sampled_from([Strategy.BAYESIAN, Strategy.RANDOM]))
def test_a_small_space_is_gone_through_without_repeating(seed: int, strategy: Strategy) -> None:
    history: list[Observation] = []
    for number in range(6):
        history.append(Observation(suggest(asked(strategy, SMALL, history, seed)), float(number)))
    assert len({tuple(sorted(one.point.items())) for one in history}) == 6
    assert suggest(asked(strategy, SMALL, history, seed)), "all were tried, one is tried again"


def test_points_outside_of_the_space_teach_nothing() -> None:
    outside = [Observation({"x": "5", "c": "z"}, 0.0), Observation({}, 1.0)]
    assert suggest(Question(Strategy.BAYESIAN, SPACE, tuple(outside), 1, 9, 4))


def test_the_model_finds_more_than_chance() -> None:
    def loss(point: dict[str, str]) -> float:
        return abs(math.log10(float(point["x"])) + 1.5) + abs(int(point["m"]) - 2) + (point["c"] != "b")

    def best(strategy: Strategy, seed: int) -> float:
        history: list[Observation] = []
        for _ in range(25):
            point = suggest(asked(strategy, SPACE, history, seed))
            history.append(Observation(point, loss(point)))
        return min(one.loss or 0.0 for one in history)

    found = {one: mean(best(one, seed) for seed in range(4)) for one in (Strategy.BAYESIAN, Strategy.RANDOM)}
    assert found[Strategy.BAYESIAN] < found[Strategy.RANDOM]


def test_nothing_is_loaded_before_a_model_is_needed() -> None:
    code = "import sys, sagestead.service.control; sys.exit('optuna' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""Whatever happens to a tuning job, it keeps to its limits, asks no question twice, and ends."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.planning.search import Search, begun, config

from sagestead.domain.early_stopping import Halving, is_below_median
from sagestead.domain.tuning import Objective, Trial, best_trial, is_converged, not_improving
from sagestead.planning.trials import search_of, trial_name

EVENTS = st.lists(
    st.tuples(st.sampled_from(["plan", "plan", "crash", "end", "fail", "wait", "stop"]), st.integers(0, 7)),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(EVENTS, st.sampled_from(["Random", "Grid", "Bayesian"]), st.integers(1, 4))
def test_any_course_of_events(events: list[tuple[str, int]], strategy: str, parallel: int) -> None:
    search = begun(
        config(strategy, None if strategy == "Grid" else 7, parallel, limits={"MaxRuntimeInSeconds": 500})
    )
    for event, choice in events:
        _happen(search, event, choice)
    for _ in range(60):
        search.plan()
        for number in search.under_way():
            if search.children[number].status == "Stopping":
                search.end(number, "Stopped", 0.5)
            elif search.job.detail.get("_asking") is None:
                search.end(number, value=number / 10)
    total = search_of(search.job).total
    assert search.job.status in {"Completed", "Failed", "Stopped"}
    assert not search.under_way()
    assert total is not None
    assert sorted(search.children) == list(range(1, len(search.children) + 1))
    assert len(search.children) <= total
    assert len({tuple(point.items()) for point in search.points.values()}) == len(search.points)
    assert search.job.detail["ConsumedResources"]["RuntimeInSeconds"] >= 1
    succeeded = [n for n, child in search.children.items() if child.detail["FinalMetricDataList"]]
    assert ("BestTrainingJob" in search.job.detail) == bool(succeeded)


def _happen(search: Search, event: str, choice: int) -> None:
    if event == "plan":
        search.plan()
    elif event == "crash":
        search.plan(choice % 3)
    elif event == "wait":
        search.now += choice * 20
    elif event == "stop" and search.job.status == "InProgress" and choice == 0:
        search.job = replace(search.job, status="Stopping")
    elif event in {"end", "fail"} and search.under_way():
        number = search.under_way()[choice % len(search.under_way())]
        if event == "end":
            search.end(number, value=choice / 10)
        else:
            search.end(number, "Failed")


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["Random", "Hyperband"]))
def test_the_same_seed_tries_the_same_points_in_whatever_order_trials_end(seed: int, strategy: str) -> None:
    budget = {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 9}}
    more = {"RandomSeed": seed, "StrategyConfig": budget if strategy == "Hyperband" else {}}
    found = []
    for parallel in (1, 3):
        search = begun(config(strategy, 6, parallel, **more))
        for _ in range(40):
            search.plan()
            for number in reversed(search.under_way()):
                search.end(number, value=0.5)
        found.append(search.points)
    assert found[0] == found[1]
    assert len(found[0]) == 6


def test_names_count_with_at_least_three_digits_and_depend_on_the_very_job() -> None:
    job = begun(config("Random", 5, 1)).job
    assert trial_name(job, 7).startswith("hunt-007-")
    assert trial_name(job, 1000).startswith("hunt-1000-")
    assert trial_name(job, 7) != trial_name(replace(job, created_at=1001.0), 7)
    longest = replace(job, key=replace(job.key, name="x" * 32))
    assert len(trial_name(longest, 750)) <= 63


def trial(number: int, value: float | None, definition: int = 0, status: str = "Completed") -> Trial:
    return Trial(number, f"t{number}", "arn", definition, {}, status, value, 0.0, ended_at=float(number))


AUC, RMSE = Objective("validation:auc", maximise=True), Objective("validation:rmse", maximise=False)


def test_the_best_trial_is_the_earliest_of_equals_and_has_succeeded() -> None:
    trials = [trial(1, 0.5), trial(2, 0.9, status="Failed"), trial(3, 0.7), trial(4, 0.7), trial(5, None)]
    best = best_trial(trials, [AUC])
    assert best is not None
    assert best.number == 3
    least = best_trial(trials, [RMSE])
    assert least is not None
    assert least.number == 1
    assert best_trial([trial(1, None)], [AUC]) is None


def test_definitions_with_another_objective_are_compared_only_among_themselves() -> None:
    trials = [trial(1, 0.5), trial(2, 0.01, definition=1)]
    best = best_trial(trials, [AUC, RMSE])
    assert best is not None
    assert best.number == 1
    other = best_trial(trials[1:], [AUC, RMSE])
    assert other is not None
    assert other.number == 2


def test_convergence_is_half_of_all_trials_without_gain() -> None:
    assert not_improving([1.0, 0.9, 0.895, 0.5]) == 0
    assert not is_converged([0.5] * 10)
    assert is_converged([0.5] * 11)
    assert not is_converged([1 / (number + 1) for number in range(12)] + [0.5] * 11)


@pytest.mark.parametrize(
    ("newest", "is_bad"), [(0.5, False), (0.56, True)]
)  # running averages at the second epoch are 0.45, 0.55 and 0.65
def test_a_trial_is_stopped_below_the_median_of_running_averages(newest: float, *, is_bad: bool) -> None:
    earlier = [[0.5, 0.4, 0.0], [0.6, 0.5], [0.7, 0.6], [0.1]]
    assert is_below_median([0.9, newest], earlier) is is_bad
    assert not is_below_median([0.9, 9.0], earlier[1:])
    assert not is_below_median([], earlier)


@given(st.integers(1, 50), st.integers(1, 500), st.integers(0, 30))
def test_budgets_grow_by_three_within_their_limits(least: int, more: int, index: int) -> None:
    halving = Halving(least, least + more)
    rungs = halving.rungs(halving.bracket(index))
    assert all(least <= rung < least + more for rung in rungs)
    assert all(after == before * 3 for before, after in pairwise(rungs))
    curves = [[1.0] * (least + more) for _ in range(index + 1)]
    assert halving.ends(index, curves)

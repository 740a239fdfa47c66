"""Scores are those of the installed XGBoost, bit for bit, by the kernels and by their twin."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.forest.ensembles import FEATURES, Floats, ensemble_of, hard_rows, trained

from sagestead.forest import compiling, layout, scoring, transforms
from sagestead.forest.ensemble import frozen
from sagestead.forest.scoring import Scorer, Unscorable, together

OBJECTIVES = sorted(transforms.KNOWN)
SHAPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "parallel": {"num_parallel_tree": 3},
    "lossguide": {"grow_policy": "lossguide", "max_leaves": 20, "max_depth": 0, "tree_method": "hist"},
    "one-hot": {"max_cat_to_onehot": 100, "categories": True},
    "partition": {"max_cat_to_onehot": 1, "categories": True},
}
by_both = pytest.mark.usefixtures("by")
Case = tuple[int, int, int, str, str, str]
CASES: st.SearchStrategy[Case] = st.tuples(
    st.integers(0, 1 << 30),
    st.integers(0, 40),
    st.integers(0, FEATURES),
    st.sampled_from(sorted(SHAPES)),
    st.sampled_from(["gbtree", "dart"]),
    st.sampled_from(OBJECTIVES),
)


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    assert compiling.load() is not None


@pytest.fixture(params=["kernel", "twin"])
def by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "twin":
        monkeypatch.setattr(scoring, "kernels", lambda: None)


def oracle(booster: xgboost.Booster, rows: Floats, **options: Any) -> Floats:
    """What XGBoost says of rows of all columns; columns that are not there are written as missing."""
    padded = np.full((len(rows), FEATURES), np.nan, np.float32)
    padded[:, : rows.shape[1]] = rows
    found: Floats = booster.predict(xgboost.DMatrix(padded, nthread=1), **options)
    return found


def assert_same_bits(found: Floats, expected: Floats) -> None:
    assert found.dtype == expected.dtype == np.float32
    assert found.shape == expected.shape
    different = np.ascontiguousarray(found).view(np.uint32) != np.ascontiguousarray(expected).view(np.uint32)
    assert not different.any(), (found[different], expected[different])


@by_both
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("booster", ["gbtree", "dart", "gblinear"])
def test_every_objective_of_every_booster(objective: str, booster: str) -> None:
    model = trained(objective, booster, seed=len(objective))
    ensemble = ensemble_of(model)
    scorer = Scorer.of(ensemble)
    random = np.random.default_rng(0)
    for _ in range(3):
        rows = hard_rows(random, ensemble)
        assert_same_bits(scorer.score(rows), oracle(model, rows))
        assert_same_bits(scorer.score(rows, output_margin=True), oracle(model, rows, output_margin=True))


@by_both
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("objective", ["binary:logistic", "multi:softprob"])
@pytest.mark.parametrize("booster", ["gbtree", "dart"])
def test_every_shape_of_forest(objective: str, booster: str, shape: str) -> None:
    categorical = False
    for seed in range(3):
        model = trained(objective, booster, seed, **SHAPES[shape])
        ensemble = ensemble_of(model)
        categorical |= bool(ensemble.categorical.any())
        rows = hard_rows(np.random.default_rng(seed), ensemble)
        assert_same_bits(Scorer.of(ensemble).score(rows), oracle(model, rows))
    assert categorical == ("categories" in SHAPES[shape])


@settings(max_examples=60, deadline=None)
@given(CASES)
def test_random_models_and_matrices(case: Case) -> None:
    seed, count, columns, shape, booster, objective = case
    model = trained(objective, booster, seed, **SHAPES[shape])
    ensemble = ensemble_of(model)
    rows = hard_rows(np.random.default_rng(seed), ensemble, 40)[:count, :columns]
    scorer = Scorer.of(ensemble)
    expected = oracle(model, rows).reshape(scorer.score(rows).shape)
    assert_same_bits(scorer.score(rows), expected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "kernels", lambda: None)
        assert_same_bits(scorer.score(rows), expected)


@by_both
def test_however_rows_are_divided_their_bits_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained("multi:softprob", "gbtree", 5)
    ensemble = ensemble_of(model)
    rows = hard_rows(np.random.default_rng(5), ensemble, 500)
    whole = Scorer.of(ensemble).score(rows)
    assert_same_bits(whole, oracle(model, rows))
    one_by_one = [Scorer.of(ensemble).score(rows[at : at + 1]) for at in range(0, len(rows), 7)]
    assert_same_bits(np.concatenate(one_by_one), whole[::7])
    monkeypatch.setattr(scoring, "_STEPS_AT_ONCE", 1000)
    monkeypatch.setattr("sagestead.forest.twin._AT_ONCE", 1000)
    assert_same_bits(Scorer.of(ensemble).score(rows), whole)


@by_both
def test_rounds() -> None:
    model = trained("multi:softmax", "gbtree", 8, num_parallel_tree=2)
    ensemble = ensemble_of(model)
    rows = hard_rows(np.random.default_rng(8), ensemble)
    rounds = len(ensemble.round_start) - 1
    for begin, end in itertools.product((0, 1), (0, 2, rounds)):
        starts = ensemble.round_start.tolist()
        trees = range(starts[begin], starts[end or rounds])
        found = Scorer.of(ensemble, trees).score(rows, output_margin=True)
        assert_same_bits(found, oracle(model, rows, output_margin=True, iteration_range=(begin, end)))


@by_both
def test_best_iteration_is_what_the_containers_use() -> None:
    model = trained("reg:squarederror", "gbtree", 4)
    model.set_attr(best_iteration="0")
    ensemble = ensemble_of(model)
    rows = hard_rows(np.random.default_rng(4), ensemble)
    found = Scorer.of(ensemble, range(ensemble.trees_used)).score(rows)
    assert_same_bits(found, oracle(model, rows, iteration_range=(0, 1)))


@by_both
def test_a_column_that_is_not_there_is_missing() -> None:
    model = trained("reg:squarederror", "gbtree", 11)
    ensemble = ensemble_of(model)
    rows = np.random.default_rng(11).normal(size=(30, FEATURES)).astype(np.float32)
    for columns in range(FEATURES + 1):
        narrow = rows[:, :columns]
        assert_same_bits(Scorer.of(ensemble).score(narrow), oracle(model, narrow))


@by_both
def straight(objective: str) -> xgboost.Booster:
    """A model whose margin is its only column (or each group its own), to look at what follows."""
    groups = 4 if objective.startswith("multi:") else 1
    model = xgboost.train(
        {"objective": objective, "booster": "gblinear", "base_score": 0.5, "verbosity": 0, "nthread": 1}
        | ({"num_class": groups} if groups > 1 else {}),
        xgboost.DMatrix(np.zeros((4, groups)), np.ones(4), nthread=1),
        0,
    )
    document = json.loads(bytes(model.save_raw("json")))
    weights = np.concatenate([np.eye(groups), np.zeros((1, groups))])
    document["learner"]["gradient_booster"]["model"]["weights"] = weights.ravel().tolist()
    model.load_model(bytearray(json.dumps(document).encode()))
    return model


@by_both
@pytest.mark.parametrize(
    "objective", ["binary:logistic", "count:poisson", "binary:hinge", "multi:softprob", "multi:softmax"]
)
def test_margins_of_every_size_are_transformed_to_the_last_bit(objective: str) -> None:
    model = straight(objective)
    ensemble = ensemble_of(model)
    random = np.random.default_rng(3)
    spread = random.normal(size=20_000) * 10.0 ** random.integers(-4, 3, 20_000)
    edges = [0.0, -0.0, 88.7, -88.7, 88.72284, 89.0, -87.4, -103.9, -104.0, 1e-45, 3e38, -3e38, np.nan, 17.0]
    rows = np.concatenate([spread, edges, np.nextafter(np.array(edges, np.float32), np.float32(0))])
    rows = np.resize(rows.astype(np.float32), (len(rows) // ensemble.features, ensemble.features))
    expected = model.predict(xgboost.DMatrix(rows, nthread=1))
    assert_same_bits(Scorer.of(ensemble).score(rows), expected)


@by_both
def test_a_tree_that_is_one_leaf() -> None:
    model = trained("reg:squarederror", "gbtree", 2, gamma=1e9)
    ensemble = ensemble_of(model)
    assert (ensemble.left == -1).all()
    rows = hard_rows(np.random.default_rng(2), ensemble)
    assert_same_bits(Scorer.of(ensemble).score(rows), oracle(model, rows))


@by_both
def test_sums_that_overflow_are_what_xgboost_says() -> None:
    model = trained("multi:softprob", "gblinear", 3)
    ensemble = ensemble_of(model)
    rows = np.full((4, FEATURES), 3.4e38, np.float32)
    rows[:2, ::2] *= -1
    rows[1] = 1e38
    expected = oracle(model, rows)
    assert np.isnan(expected).any()
    found = Scorer.of(ensemble).score(rows)
    assert np.array_equal(found, expected, equal_nan=True)
    margins = Scorer.of(ensemble).score(rows, output_margin=True)
    assert np.array_equal(margins, oracle(model, rows, output_margin=True), equal_nan=True)


@by_both
@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e39])
def test_infinite_values_are_refused_in_xgboosts_words(value: float) -> None:
    model = trained("reg:squarederror", "gbtree", 0)
    rows = np.zeros((5, FEATURES), np.float32)
    with np.errstate(over="ignore"):
        rows[3, FEATURES - 1] = value
    with pytest.raises(xgboost.core.XGBoostError) as theirs:
        xgboost.DMatrix(rows)
    with pytest.raises(Unscorable) as ours:
        Scorer.of(ensemble_of(model)).score(rows)
    assert str(ours.value) in str(theirs.value)


@by_both
def test_more_columns_than_the_model_has_are_refused_in_xgboosts_words() -> None:
    model = trained("reg:squarederror", "gbtree", 0)
    rows = np.zeros((2, FEATURES + 1), np.float32)
    with pytest.raises(xgboost.core.XGBoostError) as theirs:
        model.predict(xgboost.DMatrix(rows))
    with pytest.raises(Unscorable) as ours:
        Scorer.of(ensemble_of(model)).score(rows)
    assert str(ours.value) in str(theirs.value)


def test_rows_of_another_type_are_a_mistake_of_the_caller() -> None:
    ensemble = ensemble_of(trained("reg:squarederror", "gbtree", 0))
    with pytest.raises(TypeError, match="2 dimensions of float64"):
        Scorer.of(ensemble).score(np.zeros((2, 2)))  # type: ignore[arg-type]  # the mistake


@by_both
def test_rows_need_not_be_contiguous_or_writable() -> None:
    model = trained("reg:squarederror", "gbtree", 6)
    ensemble = ensemble_of(model)
    rows = hard_rows(np.random.default_rng(6), ensemble)
    expected = oracle(model, rows)
    assert_same_bits(Scorer.of(ensemble).score(np.asfortranarray(rows)), expected)
    assert_same_bits(Scorer.of(ensemble).score(np.repeat(rows, 2, axis=0)[::2]), expected)
    read_only = np.frombuffer(rows.tobytes(), np.float32).reshape(rows.shape)
    assert_same_bits(Scorer.of(ensemble).score(read_only), expected)


def test_an_unknown_objective_is_refused_by_name() -> None:
    ensemble = dataclasses.replace(
        ensemble_of(trained("reg:squarederror", "gbtree", 0)), objective="reg:made_up"
    )
    with pytest.raises(transforms.UnknownObjective, match="'reg:made_up' is not known"):
        Scorer.of(ensemble)


def test_a_model_that_cannot_be_addressed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ensemble = ensemble_of(trained("reg:squarederror", "gbtree", 0))
    monkeypatch.setattr(layout, "_LARGEST", 100)
    with pytest.raises(layout.TooLarge, match="more than 100 words"):
        Scorer.of(ensemble)


def test_several_models_say_their_mean_or_what_most_say() -> None:
    a, b, c = (np.array(values, np.float32) for values in ([0, 1, 2, 5], [1, 1, 0, 3], [1, 2, 1, 4]))
    assert together("reg:squarederror", [a]) is a
    assert_same_bits(together("reg:squarederror", [a, b]), np.mean([a, b], axis=0))
    # Of labels that are equally frequent the lowest wins.
    assert_same_bits(together("multi:softmax", [a, b, c]), np.array([1, 1, 0, 3], np.float32))


def test_steps_tell_what_a_row_costs() -> None:
    ensemble = ensemble_of(trained("reg:squarederror", "gbtree", 1, max_depth=3, num_parallel_tree=2))
    assert 0 < Scorer.of(ensemble).steps <= 3 * ensemble.trees
    linear = ensemble_of(trained("multi:softprob", "gblinear", 1))
    assert Scorer.of(linear).steps == FEATURES * 4


@by_both
def test_a_chain_of_a_thousand_nodes() -> None:
    """A tree that bends left at every node, as deep as lossguide can grow it."""
    depth = 1000
    flat = ensemble_of(trained("reg:squarederror", "gbtree", 2, gamma=1e9))
    nodes = 2 * depth + 1
    inner = np.arange(nodes) % 2 == 0
    inner[-1] = False
    left = np.where(inner, np.arange(nodes) + 2, -1)
    right = np.where(inner, np.arange(nodes) + 1, -1)
    value = np.where(inner, 0, np.arange(nodes))
    chain = dataclasses.replace(
        flat,
        root=frozen([0], np.int32),
        round_start=frozen([0, 1], np.int32),
        tree_group=frozen([0], np.int32),
        tree_weight=frozen([1], np.float32),
        base_margin=frozen([0], np.float32),
        feature=frozen(np.zeros(nodes), np.int32),
        threshold=frozen(np.where(inner, depth - np.arange(nodes) // 2, 0), np.float32),
        left=frozen(left, np.int32),
        right=frozen(right, np.int32),
        default_left=frozen(np.zeros(nodes), np.bool_),
        leaf_value=frozen(value, np.float32),
        categorical=frozen(np.zeros(nodes), np.bool_),
        category_start=frozen(np.zeros(nodes), np.int32),
        category_words=frozen(np.zeros(nodes), np.int32),
    )
    rows = np.array([[depth], [depth - 0.5], [1.5], [0.5], [np.nan]], np.float32)
    found = Scorer.of(chain).score(rows)
    assert found.tolist() == [1, 3, nodes - 2, nodes - 1, 1]

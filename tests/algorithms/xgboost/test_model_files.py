from __future__ import annotations

import json
import os
import pickle
import random
import struct
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from sagestead.algorithms.xgboost.model_files import find, read
from sagestead.algorithms.xgboost.predicting import Booster, Unpredictable, threads_of
from sagestead.algorithms.xgboost.structure import check
from sagestead.forest.documents import Malformed, read_json
from sagestead.forest.ubjson import read_ubjson
from sagestead.worker.contract import ModelRefused

RNG = np.random.default_rng(11)
X = RNG.random((300, 5)).astype(np.float32)
X[RNG.random(X.shape) < 0.1] = np.nan
X[:, 2] = RNG.integers(0, 6, 300)
Y = np.nan_to_num(X[:, 0]) + X[:, 2] / 6

KINDS: dict[str, dict[str, Any]] = {
    "squared": {"objective": "reg:squarederror"},
    "logistic": {
        "objective": "binary:logistic",
        "grow_policy": "lossguide",
        "max_leaves": 20,
        "max_depth": 0,
    },
    "softprob": {"objective": "multi:softprob", "num_class": 3},
    "softmax": {"objective": "multi:softmax", "num_class": 3, "num_parallel_tree": 2, "subsample": 0.5},
    "hinge": {"objective": "binary:hinge"},
    "poisson": {"objective": "count:poisson"},
    "gamma": {"objective": "reg:gamma", "base_score": 0.7},
    "pruned": {"objective": "reg:squarederror", "gamma": 0.5, "tree_method": "exact"},
    "dart": {"booster": "dart", "rate_drop": 0.4},
    "linear": {"booster": "gblinear"},
    "categories": {"tree_method": "hist", "max_cat_to_onehot": 2},
}


@cache
def booster(kind: str) -> xgboost.Booster:
    params = KINDS[kind]
    objective = params.get("objective", "")
    label = Y + 0.1
    if objective.startswith("multi"):
        label = np.clip(Y * 2, 0, 2).astype(int)
    elif objective.startswith("binary"):
        label = (Y > 1).astype(int)
    types = ["q", "q", "c", "q", "q"] if kind == "categories" else None
    data = xgboost.DMatrix(X, label=label, feature_types=types, enable_categorical=types is not None)
    return xgboost.train(
        {**params, "nthread": 1, "verbosity": 0, "max_depth": params.get("max_depth", 3)}, data, 6
    )


def raw(kind: str, form: str = "ubj") -> bytes:
    return bytes(booster(kind).save_raw(form))


def saved(folder: Path, content: bytes, name: str = "xgboost-model") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_xgboosts_bit_for_bit_in_any_division(kind: str, tmp_path: Path) -> None:
    types = ["q", "q", "c", "q", "q"] if kind == "categories" else None
    data = xgboost.DMatrix(X, feature_types=types, enable_categorical=types is not None)
    expected = booster(kind).predict(data)
    for form in ("ubj", "json"):
        ours = Booster.of(read(saved(tmp_path, raw(kind, form))), 1)
        assert ours.predict(X).tobytes() == expected.tobytes()
        parts = [ours.predict(X[at : at + 7]) for at in range(0, len(X), 7)]
        assert np.concatenate(parts).tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_both_formats_say_the_same(kind: str) -> None:
    facts = check(read_ubjson(raw(kind)))
    assert facts == check(read_json(raw(kind, "json")))
    assert (facts.features, list(facts.version)) == (5, json.loads(raw(kind, "json"))["version"])
    assert facts.groups == (3 if kind.startswith("soft") else 1)


def test_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ModelRefused, match="holds no model file"):
        find(tmp_path)
    saved(tmp_path, b"", ".hidden")
    other = saved(tmp_path, b"", "my.ubj")
    assert find(tmp_path) == [other]
    assert "Ignoring hidden file '.hidden'" in caplog.text
    saved(tmp_path, b"", "second.ubj")
    with pytest.raises(ModelRefused, match=r"several files \(my.ubj, second.ubj\)"):
        find(tmp_path)
    for number in (10, 2, 0):
        saved(tmp_path, b"", f"xgboost-model-{number}")
    assert [path.name for path in find(tmp_path)] == [
        "xgboost-model-0",
        "xgboost-model-2",
        "xgboost-model-10",
    ]
    assert "Ignoring 'my.ubj'" in caplog.text


def changed(kind: str, change: Any) -> bytes:
    document = json.loads(raw(kind, "json"))
    change(document)
    return json.dumps(document).encode()


def set_version(document: Any) -> None:
    document["version"] = [99, 0, 0]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (pickle.dumps({"a": 1}), "its pickle does not hold a Booster"),
        (struct.pack("<f", 0.5) + bytes(200), "it is in none of XGBoost's formats"),
        (b"", "it is in none of XGBoost's formats"),
        (b'{"a": 1}', "version is not a list of numbers"),
        (b"{", "it ends too early"),
        (changed("squared", set_version), r"XGBoost 99\.0"),
    ],
)
def test_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(ModelRefused, match=sentence):
        read(saved(tmp_path, content))


def first_tree(document: Any) -> Any:
    return document["learner"]["gradient_booster"]["model"]["trees"][0]


def put(key: str, place: int, value: Any) -> Any:
    def change(document: Any) -> None:
        first_tree(document)[key][place] = value

    return change


def parameter(key: str, value: Any) -> Any:
    def change(document: Any) -> None:
        document["learner"]["learner_model_param"][key] = value

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (put("left_children", 0, 10**6), "leave it or loop"),
        (put("left_children", 1, 0), "leave it or loop"),
        (put("right_children", 0, 1), "the same node"),
        (put("right_children", 0, -1), "leave it or loop|only one child"),
        (put("parents", 1, 2), "not who links to it"),
        (put("split_indices", 0, 5), "a column that is not there"),
        (put("split_indices", 0, -1), "a column that is not there"),
        (put("split_indices", 0, 0.5), "holds a fraction"),
        (put("default_left", 0, 2), "default_left"),
        (put("split_conditions", 0, "x"), "not a list of numbers"),
        (lambda document: first_tree(document)["parents"].pop(), "parents has"),
        (parameter("num_feature", "2"), "a column that is not there"),
        (parameter("num_feature", "0"), "num_feature is 0"),
        (parameter("num_feature", "-1"), "num_feature is not a whole number"),
        (parameter("num_feature", 5), "num_feature is not a whole number"),
        (parameter("num_target", "2"), "several targets"),
        (parameter("base_score", "nan"), "base_score is not a number"),
        (lambda document: document["learner"]["attributes"].update(best_iteration="6"), "beyond its rounds"),
    ],
)
def test_structures_that_are_refused(change: Any, sentence: str) -> None:
    with pytest.raises(Malformed, match=sentence):
        check(read_json(changed("squared", change)))


LONG = b'{"a":[' + b"9" * 5000 + b"]}"
LARGE = b'{"a":[99999999999999999999999]}'


@pytest.mark.parametrize(
    "text", [b'{"a":1,"a":2}', b'{"a":1}x', b"{" * 10, b'{"a":\xff}', b"[" * 99999, LONG, LARGE]
)
def test_json_that_is_refused(text: bytes) -> None:
    with pytest.raises(Malformed):
        read_json(text)


def test_ubjson_that_is_refused() -> None:
    for text in (
        b"",
        b"{",
        b"x",
        b"[" * 99,
        b"S\x4c" + b"\xff" * 8,
        b"[$U#L" + b"\x7f" * 8,
        b"[$U",
        b"{i\x01aTi\x01aT}",
        b"TT",
    ):
        with pytest.raises(Malformed):
            read_ubjson(text)


def test_ubjson_forms() -> None:
    assert read_ubjson(b"[TFZi\x05Si\x01a]") == [True, False, None, 5, "a"]
    assert read_ubjson(b"[$I#i\x02\x00\x01\xff\xff").tolist() == [1, -1]
    assert read_ubjson(b"{#i\x01i\x01ad\x3f\x80\x00\x00") == {"a": 1.0}
    assert read_ubjson(b"[i\x01U\x02]").tolist() == [1, 2]


@given(st.integers(0, 2**32), st.sampled_from(["squared", "categories", "dart", "linear", "softprob"]))
@settings(max_examples=150, deadline=None)
def test_mutated_models_are_refused_or_predict(seed: int, kind: str) -> None:
    chance = random.Random(seed)  # noqa: S311 - hypothesis chose the seed
    content = bytearray(raw(kind))
    for _ in range(chance.choice([1, 1, 2, 5])):
        at = chance.randrange(len(content))
        content[at] = chance.choice(
            [0, 1, 127, 128, 255, content[at] ^ 1, content[at] ^ 128, chance.randrange(256)]
        )
    try:
        facts = check(read_ubjson(bytes(content)))
    except Malformed:
        return
    assert facts.features >= 1


def test_wider_rows_are_refused_and_narrower_ones_taken_as_missing(tmp_path: Path) -> None:
    ours = Booster.of(read(saved(tmp_path, raw("squared"))), 1)
    with pytest.raises(Unpredictable, match=r"5 vs\. 6"):
        ours.predict(np.zeros((1, 6), np.float32))
    filled = np.hstack([X[:, :4], np.full((len(X), 1), np.nan, np.float32)])
    assert ours.predict(X[:, :4]).tobytes() == ours.predict(filled).tobytes()


def test_threads() -> None:
    assert [threads_of({"OMP_NUM_THREADS": text}) for text in ("1", "0", "x", "", "9" * 99)] == [1] * 5
    assert threads_of({"OMP_NUM_THREADS": "999"}) == os.cpu_count()
    assert threads_of({}) == 1

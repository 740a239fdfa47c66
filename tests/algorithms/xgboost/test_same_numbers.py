"""The law of serving: a client reads what XGBoost predicts for a DMatrix of the same rows, bit for bit."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray

from sagestead.algorithms.xgboost.serving import load
from sagestead.domain.transform import TransformObject, TransformTask
from sagestead.worker.contract import Invocation
from sagestead.worker.transform import transform

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
EDGES = np.array([0, -0.0, 1e-45, -1e-45, 1.1754944e-38, 3.4e38, -3.4e38, np.nan, 1, -1], np.float32)
OBJECTIVES = {
    "binary": ["binary:logistic", "binary:logitraw", "binary:hinge", "reg:logistic", "rank:map"],
    "classes": ["multi:softmax", "multi:softprob", "rank:pairwise", "rank:ndcg"],
    "positive": [
        "reg:squarederror", "reg:gamma", "reg:tweedie", "reg:squaredlogerror", "reg:absoluteerror",
        "reg:pseudohubererror", "count:poisson", "survival:cox",
    ],
}  # fmt: skip
Floats = NDArray[np.float32]


def trained(objective: str, booster: str, seed: int) -> xgboost.Booster:
    random = np.random.default_rng(seed)
    features = random.normal(size=(200, 4)).astype(np.float32)
    features[random.random(features.shape) < 0.1] = np.nan
    score = np.nan_to_num(features[:, 0])
    labels = {
        "binary": score > 0,
        "classes": random.integers(0, 3, score.size),
        "positive": np.abs(score) + 0.1,
    }
    (kind,) = (kind for kind, names in OBJECTIVES.items() if objective in names)
    params = {"objective": objective, "booster": booster, "max_depth": 4, "nthread": 1, "verbosity": 0}
    params |= {"num_class": 3} if objective.startswith("multi:") else {}
    params |= {"rate_drop": 0.3} if booster == "dart" else {}
    return xgboost.train(params, xgboost.DMatrix(features, labels[kind]), 4)


def hard_rows(model: xgboost.Booster, booster: str, seed: int) -> Floats:
    """Return rows of edge values, and of every threshold with its neighbours."""
    thresholds = np.zeros(0, np.float32)
    if booster != "gblinear":
        trees = json.loads(bytes(model.save_raw("json")))["learner"]["gradient_booster"]
        trees = trees.get("gbtree", trees)["model"]["trees"]
        splits = np.concatenate([tree["split_conditions"] for tree in trees]).astype(np.float32)
        thresholds = np.concatenate([splits, np.nextafter(splits, np.inf), np.nextafter(splits, -np.inf)])
    cells = np.concatenate([np.tile(EDGES, 4), thresholds])
    return np.random.default_rng(seed).choice(cells, (100, 4)).astype(np.float32)


def csv_of(rows: Floats) -> bytes:
    return "\n".join(
        ",".join("" if math.isnan(cell) else repr(float(cell)) for cell in row) for row in rows
    ).encode()


def libsvm_of(rows: Floats) -> bytes:
    return "\n".join(
        " ".join(f"{place}:{float(cell)!r}" for place, cell in enumerate(row) if not math.isnan(cell))
        for row in rows
    ).encode()


def bits(values: Any) -> list[int]:
    numbers = np.asarray(values, np.float64).astype(np.float32).ravel()
    numbers[np.isnan(numbers)] = np.nan  # text has one NaN only
    found: list[int] = numbers.view(np.uint32).tolist()
    return found


def batch(folder: Path, model: xgboost.Booster, rows: Floats, strategy: Any) -> list[Any]:
    (folder / "in.csv").write_bytes(csv_of(rows) + b"\n")
    task = TransformTask(
        [TransformObject("s3://b/in.csv", "in.csv", "out")],
        content_type="text/csv",
        split_type="Line",
        strategy=strategy,
    )
    environment = {"SAGEMAKER_BATCH": "true"}
    result = transform(task, load(folder / "model", IMAGE, environment), folder, environment, lambda _: None)
    assert result.reason is None, model
    text = (folder / "out").read_text().replace("nan", "NaN").replace("inf", "Infinity")
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("booster", ["gbtree", "dart", "gblinear"])
@pytest.mark.parametrize("objective", [name for names in OBJECTIVES.values() for name in names])
def test_served_predictions_are_those_of_xgboost(tmp_path: Path, objective: str, booster: str) -> None:
    seed = sum(map(ord, objective + booster))
    model = trained(objective, booster, seed)
    rows = hard_rows(model, booster, seed)
    rows[0] = 1  # a first column that is there: libsvm of this image counts from it
    expected = bits(model.predict(xgboost.DMatrix(rows)))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "xgboost-model").write_bytes(model.save_raw("ubj"))
    served = load(tmp_path / "model", IMAGE, {})

    def asked(body: bytes, content_type: str, accept: str) -> str:
        answer = served.invoke(Invocation(body, content_type, accept))
        assert answer.status == 200, answer
        return answer.body.decode()

    lines = asked(csv_of(rows), "text/csv", "text/csv").splitlines()
    assert bits([[float(cell) for cell in line.split(",")] for line in lines]) == expected
    document = json.loads(asked(libsvm_of(rows), "text/libsvm", "application/json"))
    assert bits([each["score"] for each in document["predictions"]]) == expected
    assert bits(batch(tmp_path, model, rows, "MultiRecord")) == expected
    assert bits(batch(tmp_path, model, rows[:9], "SingleRecord")) == expected[: 9 * len(expected) // 100]


@pytest.mark.parametrize("cell", ["inf", "-inf", "1e39", "-1e400"])
def test_infinities_are_refused_as_a_dmatrix_refuses_them(tmp_path: Path, cell: str) -> None:
    model = trained("reg:squarederror", "gbtree", 1)
    (tmp_path / "xgboost-model").write_bytes(model.save_raw("ubj"))
    with np.errstate(over="ignore"):
        row = np.array([[float(cell), 0, 0, 0]], np.float64).astype(np.float32)
    with pytest.raises(xgboost.core.XGBoostError, match="Input data contains `inf`") as theirs:
        xgboost.DMatrix(row)
    answer = load(tmp_path, IMAGE, {}).invoke(Invocation(f"{cell},0,0,0".encode(), "text/csv"))
    assert answer.status == 415
    assert answer.body.decode().rpartition("\n ")[2] in str(theirs.value)

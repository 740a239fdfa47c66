from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from sagestead.algorithms.xgboost import decoding, encoding
from sagestead.algorithms.xgboost.recordio import Record, Tensor, frame, parse_record, write_record
from sagestead.algorithms.xgboost.serving import load
from sagestead.forest import compiling, scoring
from sagestead.worker.contract import Answer, BatchModel, Invocation, Model, ModelRefused

Loaded = Callable[..., Model]
RNG = np.random.default_rng(7)
X = RNG.random((200, 4)).astype(np.float32)
CSV = "text/csv; charset=utf-8"


def uri(tag: str) -> str:
    suffix = "-cpu-py3" if tag.startswith(("0.", "1.0")) else ""
    return f"683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:{tag}{suffix}"


@cache
def booster(objective: str, seed: int = 0) -> xgboost.Booster:
    score = X[:, 0] + X[:, 1]
    if objective.startswith("multi"):
        params: dict[str, Any] = {"num_class": 3}
        label = np.digitize(score, [0.7, 1.3]).astype(float)
    else:
        params, label = {}, (score > 1).astype(float) if objective.startswith("binary") else score
    params |= {"objective": objective, "nthread": 1, "seed": seed, "subsample": 0.7, "max_depth": 3}
    return xgboost.train(params, xgboost.DMatrix(X, label=label), 8)


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    def make(objective: str = "reg:squarederror", tag: str = "1.7-1", **environment: str) -> Model:
        booster(objective).save_model(tmp_path / "m.ubj")
        (tmp_path / "m.ubj").rename(tmp_path / "xgboost-model")
        return load(tmp_path, uri(tag), environment)

    return make


def ask(model: Model, body: str | bytes, kind: str | None = "text/csv", accept: str | None = None) -> Answer:
    raw = body.encode() if isinstance(body, str) else body
    return model.invoke(Invocation(raw, content_type=kind, accept=accept))


def csv_of(rows: Any) -> str:
    return "\n".join(",".join(repr(float(cell)) for cell in row) for row in rows)


def expected(objective: str, rows: int) -> list[Any]:
    found: list[Any] = booster(objective).predict(xgboost.DMatrix(X[:rows])).tolist()
    return found


def test_one_line_with_commas_below_1_2_2_and_lines_from_there(loaded: Loaded) -> None:
    values = expected("reg:squarederror", 3)
    for tag in ("0.90-2", "1.0-1", "1.2-1"):
        answer = ask(loaded(tag=tag), csv_of(X[:3]))
        assert (answer.status, answer.content_type) == (200, CSV)
        assert answer.body.decode() == ",".join(map(repr, values))
    for tag in ("1.2-2", "1.3-1", "1.5-1", "1.7-1", "3.0-5"):
        answer = ask(loaded(tag=tag), csv_of(X[:3]) + "\n")
        assert (answer.status, answer.content_type) == (200, CSV)
        assert answer.body.decode() == "".join(f"{value!r}\n" for value in values)


def test_values_are_float32_widened_to_double(loaded: Loaded) -> None:
    text = ask(loaded(), csv_of(X[:1])).body.decode().strip()
    assert float(text) == float(np.float32(float(text)))
    assert len(text) > 12


def test_softprob_rows(loaded: Loaded) -> None:
    values = expected("multi:softprob", 2)
    old = ask(loaded("multi:softprob", "1.0-1"), csv_of(X[:2]))
    assert old.body.decode() == f"{values[0]},{values[1]}"
    new = ask(loaded("multi:softprob", "1.7-1"), csv_of(X[:2]))
    assert new.body.decode() == "".join(",".join(map(repr, row)) + "\n" for row in values)
    batch = ask(loaded("multi:softprob", "1.7-1", SAGEMAKER_BATCH="true"), csv_of(X[:2]))
    assert batch.body.decode() == f"{values[0]}\n{values[1]}\n"


def test_batch_is_one_prediction_a_line_under_every_tag(loaded: Loaded) -> None:
    values = expected("reg:squarederror", 3)
    for tag, accept in (("1.0-1", None), ("1.7-1", "application/json"), ("3.0-5", "text/csv")):
        answer = ask(loaded(tag=tag, SAGEMAKER_BATCH="true"), csv_of(X[:3]), accept=accept)
        assert answer.body.decode() == "".join(f"{value!r}\n" for value in values)
    assert ask(loaded(SAGEMAKER_BATCH="true"), "1,2,3,4", accept="application/json").content_type == (
        "application/json"
    )


def test_accept(loaded: Loaded) -> None:
    model = loaded()
    (value,) = expected("reg:squarederror", 1)
    answer = ask(model, csv_of(X[:1]), accept="application/json; charset=utf-8")
    assert (answer.content_type, json.loads(answer.body)) == (
        "application/json",
        {"predictions": [{"score": value}]},
    )
    assert answer.body == f'{{"predictions": [{{"score": {value!r}}}]}}'.encode()
    assert ask(model, csv_of(X[:1]), accept="*/*").content_type == CSV
    refused = ask(model, csv_of(X[:1]), accept="image/png")
    assert refused.status == 406
    assert refused.body.decode() == (
        "Accept type image/png is not supported. Please use supported accept types: ['application/json', "
        "'application/jsonlines', 'application/x-recordio-protobuf', 'text/csv']."
    )
    assert ask(loaded(tag="1.2-1"), csv_of(X[:1]), accept="image/png").content_type == CSV
    default = loaded(SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="application/json")
    assert ask(default, csv_of(X[:1])).content_type == "application/json"
    unencodable = ask(model, csv_of(X[:1]), accept="application/jsonlines")
    assert (unencodable.status, unencodable.content_type) == (500, "text/html; charset=utf-8")
    assert unencodable.body.startswith(b"<!doctype html>")


def test_order_of_checks(loaded: Loaded) -> None:
    model = loaded(MAX_CONTENT_LENGTH="50")
    assert ask(model, b"", "image/png", "image/png").status == 204
    assert ask(model, b"", "image/png", "image/png").body == b""
    assert ask(model, b"x" * 51, "image/png").status == 413
    assert ask(model, b"x" * 50, "image/png", "image/png").status == 415
    assert ask(model, "1,2,3,4,5,6", accept="image/png").status == 400
    assert ask(model, "1,2,3,4", accept="image/png").status == 406


FAILED = "Loading {0} data failed with Exception, please ensure data is in {0} format:\n {1}\n {2}"
INFINITE = (
    "Check failed: valid: Input data contains `inf` or a value too large, while `missing` is not set to `inf`"
)
TYPES = (
    "csv, libsvm, parquet, recordio-protobuf, text/csv, text/libsvm, text/x-libsvm, application/x-parquet, "
    "application/x-recordio-protobuf"
)
LABELS = (
    "text/csv; label_size=2 is not an accepted csv ContentType. "
    "Optional parameter label_size must be equal to 1"
)
RECORDS = (
    "Loading recordio-protobuf data failed with Exception, please ensure data is in recordio-protobuf "
    "format: <class 'ValueError'> A RecordIO frame begins with 0x78787878 instead of 0xced7230a."
)


def failed(kind: str, text: str, error: str = "ValueError") -> str:
    return FAILED.format(kind, f"<class '{error}'>", text)


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ("1,2,x,4", "text/csv", failed("csv", "could not convert string to float: 'x'")),
        ("\n", "text/csv", failed("csv", "Could not determine delimiter", "_csv.Error")),
        ("1,2\n1,2,3", "text/csv", failed("csv", "setting an array element with a sequence.")),
        ("1,2,3,inf", "csv", failed("csv", INFINITE)),
        ("1,2,3,4", "text/csv; label_size=2", LABELS),
        ("{}", "application/json", f"application/json is not an accepted ContentType: {TYPES}."),
        ("PAR1", "application/x-parquet", "Content-type application/x-parquet is not supported."),
        ("0 a:1", None, failed("libsvm", "invalid literal for int() with base 10: 'a'")),
        ("0", "text/libsvm", failed("libsvm", "cannot infer dimensions from zero sized index arrays")),
        ("xxxxxxxx", "application/x-recordio-protobuf", RECORDS),
    ],
)
def test_unreadable_bodies(loaded: Loaded, body: str, kind: str | None, text: str) -> None:
    answer = ask(loaded(), body, kind)
    assert (answer.status, answer.content_type) == (415, "text/html; charset=utf-8")
    assert answer.body.decode() == text


def test_ragged_rows_of_the_newest_numpy(loaded: Loaded) -> None:
    text = ask(loaded(tag="3.0-5"), "1,2\n1,2,3").body.decode()
    assert text.endswith("The detected shape was (2,) + inhomogeneous part.")


def test_column_counts(loaded: Loaded) -> None:
    wide = csv_of([[*X[0], 9.0]])
    (value,) = expected("reg:squarederror", 1)
    old, new = loaded(tag="1.0-1"), loaded(tag="1.7-1")
    assert ask(old, wide).body.decode() == repr(value)
    assert ask(old, "1,2,3").body.decode() == (
        "Unable to evaluate payload provided: Feature size of csv inference data 3 is not consistent with "
        "feature size of trained model 4."
    )
    assert ask(old, "0 7:1", "text/libsvm").body.decode() == (
        "Unable to evaluate payload provided: Feature size of libsvm inference data 8 is larger than "
        "feature size of trained model 4."
    )
    refused = ask(new, wide)
    assert refused.status == 400
    assert refused.body.decode() == (
        "Unable to evaluate payload provided: Check failed: learner_model_param_.num_feature >= "
        "p_fmat->Info().num_col_ (4 vs. 5) : Number of columns does not match number of features in booster."
    )


def test_delimiters_and_missing_cells(loaded: Loaded) -> None:
    model = loaded()
    commas = ask(model, "0.5,,0.25,1e-3").body
    assert ask(model, "0.5\t\t0.25\t1e-3").body == commas
    assert ask(model, "0.5;;0.25;1e-3\r\n").body == commas
    assert ask(model, "0.5,nan,0.25,1e-3\r\n", "text/csv;label_size=1").body == commas
    assert ask(model, "5.1", "csv").status == 200


def test_libsvm(loaded: Loaded) -> None:
    dense = ask(loaded(), "0.5,,0.25,").body
    assert ask(loaded(), "1 0:0.5 2:0.25", None).body == dense
    assert ask(loaded(tag="3.0-5"), "1 1:0.5 3:0.25", "text/x-libsvm").body == dense
    assert ask(loaded(), "1 0:0.5 2:0.25\n0", "libsvm").body.count(b"\n") == 2


def test_recordio(loaded: Loaded) -> None:
    dense = b"".join(frame(write_record(Record(features={"values": Tensor(row)}))) for row in X[:3])
    assert ask(loaded(), dense, "application/x-recordio-protobuf").body == ask(loaded(), csv_of(X[:3])).body
    keys = np.array([0, 2], np.uint64)
    sparse = Tensor(np.array([0.5, 0.25], np.float32), keys, (4,))
    body = frame(write_record(Record(features={"values": sparse})))
    assert ask(loaded(), body, "application/x-recordio-protobuf").body == ask(loaded(), "0.5,,0.25,").body


def test_best_iteration_is_used(tmp_path: Path) -> None:
    model = booster("reg:squarederror").copy()
    model.set_attr(best_iteration="2")
    (tmp_path / "xgboost-model").write_bytes(model.save_raw("json"))
    (value,) = model.predict(xgboost.DMatrix(X[:1]), iteration_range=(0, 3)).tolist()
    assert ask(load(tmp_path, uri("1.7-1"), {}), csv_of(X[:1])).body.decode() == f"{value!r}\n"


def test_ensembles(tmp_path: Path) -> None:
    for objective, combined in (("reg:squarederror", "mean"), ("multi:softmax", "vote")):
        found = []
        for number in range(3):
            model = booster(objective, number)
            (tmp_path / f"xgboost-model-{number}").write_bytes(model.save_raw("ubj"))
            found.append(model.predict(xgboost.DMatrix(X)))
        answer = ask(load(tmp_path, uri("1.7-1"), {}), csv_of(X)).body.decode().split()
        if combined == "mean":
            assert answer == [repr(value) for value in np.mean(found, axis=0).tolist()]
        else:
            votes = np.array(found).astype(int)
            assert answer == [repr(float(np.bincount(column).argmax())) for column in votes.T]
        first = load(tmp_path, uri("1.7-1"), {"SAGEMAKER_INFERENCE_ENSEMBLE": "false"})
        assert ask(first, csv_of(X)).body.decode().split() == [repr(value) for value in found[0].tolist()]


def test_selectable_json_of_a_binary_model(loaded: Loaded) -> None:
    model = loaded(
        "binary:logistic", SAGEMAKER_INFERENCE_OUTPUT="probability, Predicted_Label,labels,predicted_score"
    )
    (value,) = expected("binary:logistic", 1)
    answer = ask(model, csv_of(X[:1]), accept="application/json")
    label = int(value > 0.5)
    assert answer.body.decode() == (
        f'{{"predictions": [{{"predicted_label": {label}, "labels": [0, 1], "probability": {value!r}, '
        '"predicted_score": NaN}]}'
    )
    lines = ask(model, csv_of(X[:2]), accept="application/jsonlines")
    assert lines.content_type == "application/jsonlines"
    assert [json.loads(line)["labels"] for line in lines.body.splitlines()] == [[0, 1], [0, 1]]


def test_selectable_csv_and_recordio(loaded: Loaded) -> None:
    model = loaded(
        "multi:softprob", SAGEMAKER_INFERENCE_OUTPUT="probabilities,predicted_label,labels,nothing"
    )
    row, second = expected("multi:softprob", 2)
    labels = [values.index(max(values)) for values in (row, second)]
    text = ask(model, csv_of(X[:2])).body.decode()
    assert text == f'"{row}",{labels[0]},"[0, 1, 2]",nan\n"{second}",{labels[1]},"[0, 1, 2]",nan'
    raw = ask(model, csv_of(X[:1]), accept="application/x-recordio-protobuf").body
    label = parse_record(raw[8 : 8 + int.from_bytes(raw[4:8], "little")]).label
    assert label["probabilities"].values.tolist() == row
    assert np.isnan(label["nothing"].values).all()


def test_selectable_raw_scores_and_refusals(loaded: Loaded) -> None:
    (value,) = expected("binary:logitraw", 1)
    model = loaded("binary:logitraw", SAGEMAKER_INFERENCE_OUTPUT="raw_scores,predicted_label,probability")
    assert ask(model, csv_of(X[:1])).body.decode() == f'"{[1.0 - value, value]}",{int(value > 0)},nan'
    poisson = loaded("count:poisson", SAGEMAKER_INFERENCE_OUTPUT="predicted_score")
    refused = ask(poisson, csv_of(X[:1]))
    assert (refused.status, refused.body.decode()) == (
        500,
        "Objective `count:poisson` unsupported for selectable inference predictions.",
    )
    old = loaded(tag="0.90-2", SAGEMAKER_INFERENCE_OUTPUT="predicted_score")
    assert ask(old, csv_of(X[:1])).body.decode() == repr(expected("reg:squarederror", 1)[0])


@pytest.mark.parametrize("tag", ["0.90-2", "1.0-1", "1.2-2", "1.7-1", "3.0-5"])
@pytest.mark.parametrize("objective", ["reg:squarederror", "multi:softmax", "multi:softprob"])
@pytest.mark.parametrize("mode", ["", "SAGEMAKER_BATCH", "SAGEMAKER_INFERENCE_OUTPUT"])
def test_the_same_answers_with_and_without_kernels(
    loaded: Loaded, tag: str, objective: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert compiling.load() is not None
    model = loaded(objective, tag, **({mode: "predicted_label"} if mode else {}))
    wide = csv_of([[*X[0], 9.0]])
    bodies = [csv_of(X[:1]), csv_of(X[:40]) + "\r\n", wide, "1,2,3", "0.1 , 2,nan,", "1,2,3,x", "1;2;3;4"]
    asked = [(body, accept) for body in bodies for accept in (None, "application/json", "x/y")]
    with_kernels = [ask(model, body, accept=accept) for body, accept in asked]
    for module in (decoding, encoding, scoring):
        monkeypatch.setattr(module, "kernels", lambda: None)
    assert [ask(model, body, accept=accept) for body, accept in asked] == with_kernels


@given(
    st.binary(max_size=300),
    st.sampled_from([None, "text/csv", "text/libsvm", "application/x-recordio-protobuf"]),
)
@settings(max_examples=200, deadline=None)
def test_any_body_is_answered(body: bytes, kind: str | None) -> None:
    assert ask(_shared(), body, kind).status in (200, 204, 400, 415)


@cache
def _shared() -> Model:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "xgboost-model").write_bytes(booster("reg:squarederror").save_raw("ubj"))
        return load(Path(name), uri("3.0-5"), {})


def test_requests_that_an_instance_puts_together_get_their_own_answers(loaded: Loaded) -> None:
    model = loaded("reg:squarederror", "1.7-1")
    assert isinstance(model, BatchModel)
    bodies = (b"1,2,3", b"", b"no number", b"3,2,1\n1,2,3")
    invocations = [Invocation(body, "text/csv") for body in bodies]
    answers = model.invoke_many(invocations)
    assert answers == [model.invoke(invocation) for invocation in invocations]
    assert [answer.status for answer in answers] == [200, 204, 415, 200]


def test_unknown_image(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="is not one that this server can run"):
        load(tmp_path, "example/other:1", {})

"""What a serving script's process makes of requests, with the defaults of the frameworks."""

from __future__ import annotations

import ast
import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xgboost

from sagestead.worker.toolkit import container
from sagestead.worker.toolkit.container.sagestead_container import inside
from sagestead.worker.toolkit.container.sagestead_container.inside import Script, respond


class Doubling:
    @staticmethod
    def predict(data: np.ndarray) -> np.ndarray:
        return data * 2


SKLEARN = Script(SimpleNamespace(model_fn=lambda _: Doubling()), "sklearn")


def answer(body: bytes, kind: str | None, accept: str | None = None) -> tuple[int, str, bytes]:
    return respond(SKLEARN, Doubling(), {"content_type": kind, "accept": accept}, body)


def test_text_becomes_floats_and_a_row_is_one_dimensional() -> None:
    assert answer(b"1,2\n", "text/csv") == (200, "application/json", b"[2.0, 4.0]")
    assert answer(b"1,2\n3,4", "text/csv", "text/csv") == (200, "text/csv", b"2.0,4.0\n6.0,8.0\n")
    assert answer(b"[[1], [2]]", None, "*/*") == (200, "application/json", b"[[2.0], [4.0]]")


def test_an_array_is_taken_as_it_is_and_never_unpickled() -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([1, 2]))
    status, _, body = answer(buffer.getvalue(), "application/x-npy", "application/x-npy")
    assert status == 200
    assert np.load(io.BytesIO(body)).dtype == np.int64
    pickled = io.BytesIO()
    np.save(pickled, np.array([{}], dtype=object), allow_pickle=True)
    assert answer(pickled.getvalue(), "application/x-npy")[0] == 500


@pytest.mark.parametrize(
    ("kind", "accept", "status"), [("image/png", None, 415), ("text/csv", "image/png", 406)]
)
def test_a_type_that_is_not_supported_is_told_as_json(kind: str, accept: str | None, status: int) -> None:
    found, content_type, body = answer(b"1", kind, accept)
    assert (found, content_type) == (status, "application/json")
    assert set(json.loads(body)) == {"error", "error-message", "stack-trace"}


def test_functions_may_ask_for_a_context_and_name_their_content_type() -> None:
    def model_fn(model_dir: str, context: inside.Context) -> object:
        return context.system_properties["model_dir"], model_dir

    def transform_fn(model: object, body: str, kind: str, accept: str) -> tuple[bytes, str]:
        return json.dumps([model, body, kind, accept]).encode(), "text/plain"

    script = Script(SimpleNamespace(model_fn=model_fn, transform_fn=transform_fn), "sklearn")
    model = script.load("/opt/ml/model")
    status, kind, body = respond(script, model, {"content_type": "text/csv", "accept": "a/b"}, b"x")
    assert (status, kind) == (200, "text/plain")
    assert json.loads(body) == [["/opt/ml/model", "/opt/ml/model"], "x", "text/csv", "a/b"]


def test_an_answer_of_flasks_is_understood() -> None:
    response = SimpleNamespace(get_data=lambda: b"x", mimetype="text/x")
    assert inside.written(response, "text/csv") == ("text/x", b"x")


@pytest.mark.parametrize("content", ["1,,3\n4,5,6\n", "1;nan;3"])
def test_xgboost_is_given_a_matrix(content: str) -> None:
    matrix = inside.xgboost_input(content, "text/csv")
    assert isinstance(matrix, xgboost.DMatrix)
    assert matrix.num_col() == 3


@pytest.mark.parametrize("path", sorted(Path(container.__file__).parent.rglob("*.py")), ids=str)
def test_what_runs_in_a_runtime_is_written_for_python_37(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 7))

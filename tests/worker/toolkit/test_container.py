"""What scripts may import in a runtime: the small modules in the place of AWS's, in a Python of their own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from sagestead.algorithms.xgboost.recordio import Record, Tensor, frame, write_record
from sagestead.worker.toolkit import laid
from sagestead.worker.toolkit.container.sagestead_container import formats, inside, matrices, recordio
from sagestead.worker.toolkit.container.sagestead_container.answers import Response


def said(tmp_path: Path, script: str, *more: Path, **variables: str) -> str:
    """Run a script as a run's program is run; returns what it printed."""
    path = ":".join(map(str, (*more, laid.lay(tmp_path / "runtimes"))))
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": os.defpath, "PYTHONPATH": path, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.stdout + done.stderr


PUBLISHED = """
import sagemaker_containers
from sagemaker_containers import entry_point
from sagemaker_containers.beta.framework import content_types, encoders, env, modules, transformer, worker
from sagemaker_training import environment, logging_config
from sagemaker_xgboost_container import distributed
from sagemaker_xgboost_container.data_utils import get_dmatrix
import sagemaker_containers.beta.framework as framework
import os
told = env.TrainingEnv()
assert told.hyperparameters == environment.Environment().hyperparameters == {"depth": 3}
assert sagemaker_containers.training_env().hosts == ["algo-1"]
assert framework.encoders is encoders
logging_config.get_logger().warning("ready")
answer = worker.Response(encoders.encode([[1.5, 2]], content_types.CSV), content_types.CSV,
    mimetype=content_types.CSV)
print(answer.get_data(), answer.mimetype, encoders.decode("1,2\\n", "text/csv").tolist())
"""


def test_published_scripts_find_what_they_import(tmp_path: Path) -> None:
    told = '{"hyperparameters": {"depth": 3}, "hosts": ["algo-1"]}'
    output = said(tmp_path, PUBLISHED, SM_TRAINING_ENV=told)
    assert output == "b'1.5,2.0\\n' text/csv [1.0, 2.0]\nready\n"


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (
            "from sagemaker_xgboost_container.distributed import rabit_run",
            "sagemaker_xgboost_container.distributed.rabit_run is not provided here. Of",
        ),
        (
            "from sagemaker_containers.beta.framework import modules; modules.import_module('x')",
            "ImportError: sagemaker_containers.beta.framework.modules.import_module is not provided here.",
        ),
        (
            "from sagemaker_training import intermediate_output",
            "what else a script uses belongs into its requirements.txt.",
        ),
    ],
)
def test_what_is_not_provided_is_said(tmp_path: Path, script: str, sentence: str) -> None:
    assert sentence in said(tmp_path, script)


def test_what_is_installed_goes_before(tmp_path: Path) -> None:
    (tmp_path / "own" / "sagemaker_training").mkdir(parents=True)
    (tmp_path / "own" / "sagemaker_training" / "__init__.py").write_text("own = True\n")
    script = "import sagemaker_training, sagemaker_inference; print(sagemaker_training.own)"
    assert said(tmp_path, script, tmp_path / "own") == "True\n"


def test_the_folder_is_laid_once_for_everybody_to_read(tmp_path: Path) -> None:
    path = laid.lay(tmp_path)
    assert laid.lay(tmp_path) == path
    assert list(tmp_path.iterdir()) == [path]
    for one in (path, *path.rglob("*")):
        assert one.stat().st_mode & 0o777 == (0o755 if one.is_dir() else 0o644)


def test_a_response_says_its_status_and_type() -> None:
    script = inside.Script(
        SimpleNamespace(
            model_fn=lambda _: None,
            transform_fn=lambda *_: Response(["no ", b"cat"], status=404, mimetype="text/plain"),
        ),
        "sklearn",
    )
    assert inside.respond(script, None, {"content_type": "text/csv"}, b"1") == (404, "text/plain", b"no cat")
    assert Response("[]", "text/csv").content_type == "application/json"


def test_arrays_are_written_and_read_as_the_toolkits_do() -> None:
    assert formats.encode([1, 2], "text/csv") == "1\n2\n"
    assert formats.encode(np.array([[1.5]]), "application/json") == "[[1.5]]"
    assert formats.csv_to_numpy("1\n2\n").tolist() == [1.0, 2.0]
    assert formats.csv_to_numpy("a,1\n").tolist() == ["a", "1"]
    assert formats.decode(formats.encode([1], "application/x-npy"), "application/x-npy").tolist() == [1]
    with pytest.raises(formats.ClientError, match="cannot be read as"):
        formats.csv_to_numpy("a", int)
    with pytest.raises(formats.UnsupportedFormatError, match="Content type image/png is not supported"):
        formats.decode("", "image/png")


def recorded(*rows: tuple[Tensor, float | None]) -> bytes:
    out = io.BytesIO()
    for features, label in rows:
        labels = {} if label is None else {"values": Tensor(np.array([label], np.float32))}
        out.write(frame(write_record(Record({"values": features}, labels))))
    return out.getvalue()


FLOATS = st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=5)


@given(st.lists(st.tuples(FLOATS, st.sampled_from([np.float32, np.float64])), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_records_are_read_as_they_were_written(rows: list[tuple[list[float], type]]) -> None:
    written = recorded(*((Tensor(np.array(values, kind)), 1.0) for values, kind in rows))
    read, labels = recordio.read(written)
    assert [values.tolist() for values, _, _ in read] == [values for values, _ in rows]
    assert labels == [1.0] * len(rows)
    assert recordio.width(read) == max(len(values) for values, _ in rows)


@given(st.binary(max_size=60), st.integers(0, 59), st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_records_or_a_value_error(noise: bytes, place: int, byte: int) -> None:
    broken = bytearray(recorded((Tensor(np.array([1, -2], np.int32), np.array([0, 7], np.uint64)), 2.0)))
    broken[place % len(broken)] = byte
    for content in (noise, bytes(broken)):
        try:
            recordio.read(content)
        except ValueError as error:
            assert str(error)  # noqa: PT017 - either is fine


def test_a_request_of_records_becomes_a_matrix_dense_or_sparse() -> None:
    dense = recorded(
        (Tensor(np.array([1, 2], np.float32)), None), (Tensor(np.array([3, 4], np.float32)), None)
    )
    matrix: Any = inside.xgboost_input(dense, "application/x-recordio-protobuf")
    assert (matrix.num_row(), matrix.num_col(), matrix.get_label().size) == (2, 2, 0)
    sparse = Tensor(np.array([5, -1], np.int32), np.array([0, 3], np.uint64), (6,))
    matrix = matrices.decode(recorded((sparse, 1.0)), "application/x-recordio-protobuf; x=y")
    assert (matrix.num_row(), matrix.num_col(), matrix.get_label().tolist()) == (1, 6, [1.0])
    assert matrix.get_data().toarray().tolist()[0][:4] == [5.0, 0.0, 0.0, -1.0]


def test_a_channel_becomes_a_matrix(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.csv").write_text("1,0.5,2,3\n0,1.5,,5\n")
    (tmp_path / "deep" / "b.csv").write_text("1,2.5,6,7\n")
    (tmp_path / ".hidden").write_text("x")
    matrix = matrices.get_dmatrix(str(tmp_path), "text/csv; label_size=1")
    assert (matrix.num_col(), matrix.get_label().tolist()) == (3, [1, 0, 1])
    weighted = matrices.get_dmatrix(str(tmp_path), "csv", csv_weights=1)
    assert (weighted.num_col(), weighted.get_weight().tolist()) == (2, [0.5, 1.5, 2.5])
    (tmp_path / "rows.libsvm").write_text("1 0:1 2:3\n0 1:2")
    with xgboost.config_context(verbosity=0):  # it warns of what it reads itself
        sparse = matrices.get_dmatrix(str(tmp_path / "rows.libsvm"), "text/libsvm")
    assert sparse.get_label().tolist() == [1, 0]
    (tmp_path / "rows.pb").write_bytes(recorded((Tensor(np.array([1, 2], np.float32)), 3.0)))
    assert matrices.get_dmatrix(str(tmp_path / "rows.pb"), "recordio-protobuf").get_label().tolist() == [3]
    assert matrices.get_dmatrix(str(tmp_path / "nothing"), "csv") is None
    with pytest.raises(formats.UserError, match="text/png is not an accepted ContentType: csv, text/csv,"):
        matrices.get_dmatrix(str(tmp_path), "text/png")
    with pytest.raises(formats.UserError, match="label_size must be equal to 1"):
        matrices.get_content_type("csv; label_size=2")
    with pytest.raises(formats.UserError, match="leave is_pipe"):
        matrices.get_dmatrix(str(tmp_path), "csv", is_pipe=True)

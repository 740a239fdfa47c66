"""`sagestead model predict` says for every file what XGBoost says, or why not."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from tests.forest.ensembles import FEATURES, trained
from typer.testing import CliRunner, Result

from sagestead.cli import app


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["model", "predict", *map(str, words)])


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    numbers = np.random.default_rng(0).normal(size=(6, FEATURES)).round(3)
    path.write_text(
        "\n".join(",".join(map(str, row)) for row in numbers) + "\n" + "," * (FEATURES - 1) + "\n"
    )
    return path


def oracle(model: xgboost.Booster, rows: Path) -> Any:
    matrix = np.genfromtxt(rows, delimiter=",", dtype=np.float32)
    return model.predict(xgboost.DMatrix(matrix)).tolist()


def test_each_file_has_its_line_in_order(rows: Path, tmp_path: Path) -> None:
    logistic, softprob = trained("binary:logistic", "gbtree", 1), trained("multi:softprob", "dart", 2)
    logistic.save_model(tmp_path / "a.json")
    softprob.save_model(tmp_path / "b.ubj")
    (tmp_path / "c.pkl").write_bytes(pickle.dumps(logistic))
    (tmp_path / "bad").write_bytes(b"not a model")
    names = ["a.json", "bad", "b.ubj", "none", "c.pkl"]
    found = lines(run(*(tmp_path / name for name in names), "--csv", rows))
    assert [Path(line["file"]).name for line in found] == names
    assert found[0]["predictions"] == oracle(logistic, rows) == found[4]["predictions"]
    assert found[2]["predictions"] == oracle(softprob, rows)
    assert set(found[1]) == set(found[3]) == {"file", "refused"}
    assert "cannot be opened: No such file or directory." in found[3]["refused"]


def test_rows_that_do_not_fit_a_model_refuse_that_model(rows: Path, tmp_path: Path) -> None:
    trained("reg:squarederror", "gbtree", 1).save_model(tmp_path / "fits.json")
    small = xgboost.train({"verbosity": 0}, xgboost.DMatrix(np.eye(3), [1, 2, 3]), 1)
    small.save_model(tmp_path / "small.json")
    fits, refused = lines(run(tmp_path / "fits.json", tmp_path / "small.json", "--csv", rows))
    assert len(fits["predictions"]) == 7
    assert "(3 vs. 9) : Number of columns does not match number of features in booster." in refused["refused"]


def test_infinite_cells_are_refused(tmp_path: Path) -> None:
    trained("reg:squarederror", "gbtree", 1).save_model(tmp_path / "m.json")
    (tmp_path / "rows.csv").write_text("1e39,1\n")
    (line,) = lines(run(tmp_path / "m.json", "--csv", tmp_path / "rows.csv"))
    assert "Input data contains `inf`" in line["refused"]


def test_it_predicts_with_the_best_iteration(rows: Path, tmp_path: Path) -> None:
    model = trained("reg:squarederror", "gbtree", 4)
    model.set_attr(best_iteration="0")
    model.save_model(tmp_path / "m.ubj")
    (line,) = lines(run(tmp_path / "m.ubj", "--csv", rows))
    assert line["predictions"] == oracle(model[:1], rows)


def test_rows_that_cannot_be_read_refuse_every_file(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    found = lines(run(tmp_path / "m.json", tmp_path / "n.json", "--csv", tmp_path / "rows.csv"))
    assert [Path(line["file"]).name for line in found] == ["m.json", "n.json"]
    assert all("cannot be read: could not convert string to float" in line["refused"] for line in found)


def test_rows_that_are_not_there_end_the_command(tmp_path: Path) -> None:
    result = run(tmp_path / "m.json", "--csv", tmp_path / "none")
    assert result.exit_code == 1
    assert "No such file" in result.stderr
    assert not result.stdout

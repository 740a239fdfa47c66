"""`sagestead model`: what a file holds, and the same model in today's format."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xgboost
from tests.forest.library import cases
from typer.testing import CliRunner, Result

from sagestead.cli.main import app


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["model", *map(str, arguments)])


@pytest.fixture
def old(tmp_path: Path) -> Path:
    case = cases()["0.90", "multi-softprob-best"]
    suffix = next(suffix for suffix in case.files if suffix.startswith("pickle"))
    path = tmp_path / "xgboost-model"
    path.write_bytes(case.files[suffix])
    return path


def test_inspect_as_json(old: Path) -> None:
    found = run("inspect", old, "--json")
    assert found.exit_code == 0
    facts = json.loads(found.stdout)
    assert facts | {"base_margin": None, "nodes": None} == {
        "format": "pickle of binary",
        "version": "before 1.0",
        "booster": "gbtree",
        "objective": "multi:softprob",
        "features": 5,
        "classes": 3,
        "trees": 15,
        "trees_used": 15,
        "nodes": None,
        "categorical_splits": 0,
        "best_iteration": 4,
        "base_margin": None,
        "feature_names": ["f0", "f1", "f2", "f3", "f4"],
        "feature_types": [],
    }


def test_inspect_for_people(old: Path) -> None:
    found = run("inspect", old)
    assert found.exit_code == 0
    for word in ("before 1.0", "multi:softprob", "pickle of binary", "best iteration", "not recorded"):
        assert word in found.stdout


def test_convert_writes_what_the_installed_xgboost_reads(old: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.ubj"
    done = run("convert", old, out)
    assert done.exit_code == 0, done.output
    assert "bytes of UBJSON for XGBoost 2.0 and later, from pickle of binary (before 1.0)" in done.stdout
    case = cases()["0.90", "multi-softprob-best"]
    booster = xgboost.Booster()
    booster.load_model(out)
    rows = xgboost.DMatrix(case.rows, feature_names=booster.feature_names)
    assert np.allclose(booster.predict(rows), case.prediction, rtol=1e-6, atol=0)
    again = run("convert", old, out)
    assert again.exit_code == 1
    assert "exists already" in again.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_names_in_a_file_are_only_shown(tmp_path: Path) -> None:
    document = json.loads(cases()["3.2.0", "pruned"].files["json"])
    path = tmp_path / "[red]model"
    document["learner"]["feature_names"] = ["[/red]", "\x1b[31m", "c", "d", "e"]
    path.write_text(json.dumps(document))
    shown = run("inspect", path)
    assert shown.exit_code == 0
    assert "[/red], '\\x1b[31m', c" in shown.stdout.replace("\n", "")
    document["learner"]["objective"]["name"] = "[/red]\x1b[31m"
    path.write_text(json.dumps(document))
    refused = run("inspect", path)
    assert refused.exit_code == 1
    assert "its objective '[/red]\\x1b[31m' is not one of" in refused.stderr


def test_what_cannot_be_read_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "model"
    for command in (("inspect", path), ("convert", path, tmp_path / "out")):
        missing = run(*command)
        assert missing.exit_code == 1
        assert "cannot be opened: No such file" in missing.stderr
    path.write_bytes(b'{"learner": []}')
    bad = run("inspect", path)
    assert bad.exit_code == 1
    assert "version is not a list of numbers" in bad.stderr
    assert not bad.stdout

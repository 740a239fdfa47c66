"""What is written is read back the same, by us and by the installed XGBoost."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import xgboost
from tests.forest.library import Case, cases

from sagestead.domain.refused_model import ModelRefused
from sagestead.forest.ensemble import Ensemble, frozen
from sagestead.forest.files import read
from sagestead.forest.writing import oldest_reader, write

SAID = {"format", "version", "objective_parameters", "attributes", "best_iteration", "best_ntree_limit"}
VERSIONS = sorted({version for version, _ in cases()})


def models(case: Case) -> list[Ensemble]:
    return [read(content) for content in case.files.values()]


def predicted(case: Case, model: Ensemble, content: bytes) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(content))
    categories = case.name.startswith("categories")
    matrix = xgboost.DMatrix(
        case.rows,
        feature_names=list(model.feature_names) or None,
        feature_types=list(model.feature_types) or None,
        enable_categorical=categories,
        nthread=1,
    )
    rounds = int(np.searchsorted(model.round_start, case.trees))
    limit = (0, rounds) if case.trees < model.trees else (0, 0)
    found = booster.predict(matrix, iteration_range=limit).reshape(-1)
    assert found.dtype == np.float32
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_the_installed_xgboost_predicts_what_the_writing_version_did(version: str) -> None:
    stated = tuple(map(int, version.split(".")))
    for case in (case for case in cases().values() if case.version == version):
        if version == "0.72.1" and case.name == "reg-tweedie":
            continue
        model = models(case)[0]
        found, wanted = predicted(case, model, write(model)), case.prediction.reshape(-1)
        if stated >= (1, 4):
            assert np.array_equal(found, wanted), case.name
        else:  # where the base margin was added last, the last bits of the sums differ
            assert np.allclose(found, wanted, rtol=1e-6, atol=1e-7), case.name


def test_an_ensemble_reads_back_the_same() -> None:
    for case in cases().values():
        model = models(case)[0]
        try:
            again = read(write(model))
        except ModelRefused:
            assert (case.version, case.name) == ("0.72.1", "reg-tweedie")
            continue
        assert again.format == "UBJSON"
        assert again.trees_used == model.trees_used
        for field in fields(Ensemble):
            one, two = getattr(model, field.name), getattr(again, field.name)
            if field.name not in SAID:
                assert np.array_equal(one, two) if isinstance(one, np.ndarray) else one == two, field.name


def test_one_base_score_a_class_needs_a_newer_reader() -> None:
    assert oldest_reader(models(cases()["3.0.5", "multi-softprob"])[0]) == "2.0"
    assert oldest_reader(models(cases()["3.2.0", "multi-softprob"])[0]) == "3.1"


def test_a_margin_without_a_base_score_is_refused() -> None:
    model = models(cases()["3.2.0", "binary-logistic"])[0]
    margin = np.float32(-0.8472978)
    refused = []
    for step in range(8):
        moved = replace(model, base_margin=frozen([margin + step * np.spacing(margin)], np.float32))
        try:
            assert np.array_equal(read(write(moved)).base_margin, moved.base_margin)
        except ModelRefused as refusal:
            refused.append(str(refusal))
    assert 0 < len(refused) < 8
    assert all("has no base score in today's format" in sentence for sentence in refused)

from __future__ import annotations

from typing import Any

import pytest

from sagestead.algorithms.xgboost.faults import UserFault
from sagestead.algorithms.xgboost.translation import to_library
from sagestead.algorithms.xgboost.versions import behaviour
from sagestead.domain.images import BuiltInImage


def translated(tag: str, rows: int = 10, **settings: Any) -> tuple[dict[str, Any], str]:
    params, notes = to_library(settings, behaviour(BuiltInImage("xgboost", tag)), rows, threads=2)
    return params, "\n".join(notes)


def test_a_job_gets_the_defaults_of_its_image() -> None:
    assert translated("1.7-1")[0] == {"base_score": 0.5, "tree_method": "exact", "nthread": 2}
    assert translated("3.0-5")[0] == {"nthread": 2}
    assert translated("1.7-1", rows=5_000_000)[0]["tree_method"] == "approx"
    assert translated("1.7-1", tree_method="hist", base_score=0.1)[0]["base_score"] == 0.1
    assert "base_score" not in translated("1.7-1", objective="reg:absoluteerror")[0]
    assert translated("1.7-1", colsample_bynode=0.5)[0]["tree_method"] == "hist"
    assert "tree_method" not in translated("1.7-1", updater=["grow_quantile_histmaker"])[0]


@pytest.mark.parametrize(
    ("given", "params", "note"),
    [
        ({"tree_method": "gpu_hist"}, {"tree_method": "hist"}, "tree_method gpu_hist became hist"),
        (
            {"objective": "reg:linear"},
            {"objective": "reg:squarederror"},
            "reg:linear became reg:squarederror",
        ),
        ({"silent": 1}, {"verbosity": 0}, "silent=1 became verbosity=0"),
        ({"silent": 1, "verbosity": 3}, {"verbosity": 3}, ""),
        (
            {"sketch_eps": 0.03, "tree_method": "approx"},
            {"tree_method": "approx", "max_bin": 34},
            "sketch_eps=0.03 became max_bin=34",
        ),
        (
            {"sketch_eps": 0.03, "tree_method": "hist"},
            {"tree_method": "hist"},
            "sketch_eps=0.03 has no effect",
        ),
        ({"predictor": "gpu_predictor"}, {}, "predictor=gpu_predictor has no effect"),
        ({"deterministic_histogram": "false"}, {}, "deterministic_histogram=false has no effect"),
        ({"dsplit": "col"}, {}, "dsplit=col has no effect"),
        ({"lambda_bias": 0.5}, {}, "lambda_bias=0.5 has no effect"),
        ({"booster": "gblinear", "tree_method": "exact"}, {"booster": "gblinear"}, "gblinear has no trees"),
        ({"single_precision_histogram": "false"}, {}, ""),
        ({"updater": ["refresh", "prune"]}, {"updater": "refresh,prune"}, ""),
        ({"monotone_constraints": [1, -1]}, {"monotone_constraints": "(1, -1)"}, ""),
        ({"interaction_constraints": [[1], [2]]}, {"interaction_constraints": "[[1], [2]]"}, ""),
        ({"nthread": 1}, {"nthread": 1}, ""),
        ({"nthread": 64}, {"nthread": 2}, "nthread=64 became 2"),
        ({"num_round": 3, "csv_weights": 1, "_kfold": 2, "eval_metric": ["auc"]}, {}, ""),
    ],
)
def test_what_the_library_dropped_is_translated_or_said(
    given: dict[str, Any], params: dict[str, Any], note: str
) -> None:
    found, notes = translated("3.0-5", **given)
    assert found == {"nthread": 2, **params}
    assert note in notes


@pytest.mark.parametrize(
    "given",
    [
        {"single_precision_histogram": "true"},
        {"use_dask_gpu_training": "true"},
        {"colsample_bynode": 0.5, "tree_method": "exact"},
        {"updater": ["distcol"]},
        {"updater": ["grow_skmaker", "prune"]},
    ],
)
def test_what_would_change_the_result_is_refused_by_name(given: dict[str, Any]) -> None:
    with pytest.raises(UserFault, match=next(iter(given))):
        translated("1.5-1", **given)


@pytest.mark.parametrize("given", [{"tree_method": "exact"}, {"booster": "gblinear"}, {"dsplit": "col"}])
def test_what_needs_all_data_in_one_place_is_refused_on_several_instances(given: dict[str, Any]) -> None:
    of_image = behaviour(BuiltInImage("xgboost", "1.7-1"))
    with pytest.raises(UserFault, match="cannot be used on 2 instances"):
        to_library(given, of_image, 10, threads=2, hosts=2)
    params, notes = to_library({"tree_method": "auto"}, of_image, 10, threads=2, hosts=2)
    assert params["tree_method"] == "approx"
    assert "2 instances train together" in "".join(notes)

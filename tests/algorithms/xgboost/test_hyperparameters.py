from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagestead.algorithms.xgboost.faults import UserFault
from sagestead.algorithms.xgboost.hyperparameters import PARAMETERS, validate
from sagestead.domain.images import BuiltInImage

NEW = BuiltInImage("xgboost", "1.7-1")
OLD = BuiltInImage("xgboost", "1.0-1")


def refusal(given: dict[str, str], image: BuiltInImage = NEW) -> str:
    with pytest.raises(UserFault) as refused:
        validate(given, image)
    return str(refused.value)


def test_values_are_parsed_and_aliases_take_their_main_name() -> None:
    assert validate(
        {
            "num_round": "10",
            "learning_rate": "0.2",
            "reg_lambda": "2",
            "objective": "binary:logistic",
            "eval_metric": "auc, error@0.7",
            "tree_method": "hist",
            "monotone_constraints": "(1, -1,0)",
            "interaction_constraints": "[[1,2],[3]]",
        },
        NEW,
    ) == {
        "num_round": 10,
        "eta": 0.2,
        "lambda": 2.0,
        "objective": "binary:logistic",
        "eval_metric": ["auc", "error@0.7"],
        "tree_method": "hist",
        "monotone_constraints": [1, -1, 0],
        "interaction_constraints": [[1, 2], [3]],
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_rounds": "1"}, "Extraneous hyperparameter found: num_rounds"),
        ({"num_round": "ten"}, "Hyperparameter num_round: could not parse value (caused by ValueError)"),
        ({"num_round": "0"}, "Hyperparameter num_round: 0 is not in [1, +inf)"),
        ({"eta": "2"}, "Hyperparameter eta: 2.0 is not in [0, 1]"),
        ({"eta": "nan"}, "Hyperparameter eta: nan is not in [0, 1]"),
        ({"gamma": "inf"}, "Hyperparameter gamma: inf is not in [0, +inf)"),
        ({"subsample": "0"}, "Hyperparameter subsample: 0.0 is not in (0, 1]"),
        ({"tweedie_variance_power": "2"}, "Hyperparameter tweedie_variance_power: 2.0 is not in (1, 2)"),
        ({"seed": "2147483647"}, "Hyperparameter seed: 2147483647 is not in (-2147483648, 2147483647)"),
        ({"booster": "tree"}, "Hyperparameter booster: tree is not in ['gbtree', 'gblinear', 'dart']"),
        ({"updater": "grow"}, "Hyperparameter updater: value grow not in range ['grow_colmaker',"),
        ({"eta": "0.1", "learning_rate": "0.1"}, "Hyperparameter eta is given twice"),
        ({"objective": "multi:softmax"}, "Require input for parameter 'num_class' for multi-classification"),
        (
            {"objective": "reg:gamma", "eval_metric": "auc"},
            "Metric 'auc' can only be applied for classification and ranking problems.",
        ),
        (
            {"objective": "reg:gamma", "eval_metric": "aft-nloglik"},
            "Metric 'aft-nloglik' can only be applied for 'survival:aft' objective.",
        ),
        (
            {"objective": "binary:logistic", "base_score": "1"},
            "base_score must be in (0,1) for logistic loss, got: 1.0",
        ),
        (
            {"objective": "reg:gamma", "base_score": "0"},
            "base_score must be greater than 0 for objective reg:gamma",
        ),
        ({"eval_metric": "rmse"}, "Hyperparameter eval_metric needs hyperparameter objective"),
        ({"objective": "reg:gamma", "eval_metric": "rmse@1"}, "Metric 'rmse@1' is not supported."),
        (
            {"objective": "rank:map", "eval_metric": "map@x"},
            "Threshold value 't' in 'map@t' expects float input.",
        ),
        (
            {"objective": "reg:gamma", "eval_metric": "loss"},
            "Hyperparameter eval_metric: value loss not in range",
        ),
        ({"booster": "gblinear", "updater": "refresh"}, "Linear updater should be one of these options"),
        ({"process_type": "update", "updater": "sync"}, "process_type 'update' can only be used with"),
        ({"updater": "grow_colmaker,grow_histmaker"}, "Only one tree grow plugin can be selected."),
        ({"monotone_constraints": "(1,0)"}, "monotone_constraints can be used only when the tree_method"),
        ({"monotone_constraints": "1,0"}, "Hyperparameter monotone_constraints: could not parse value"),
        ({"tree_method": "hist", "monotone_constraints": "(2)"}, "value 2 not in range [-1, 0, 1]"),
        (
            {"interaction_constraints": "[[1]]"},
            "interaction_constraints can be used only when the tree_method",
        ),
        ({"tree_method": "hist", "interaction_constraints": "[[0]]"}, "value 0 not in range [1, +inf)"),
        ({"interaction_constraints": "[1]"}, "interaction_constraints: could not parse value"),
        ({"_tuning_objective_metric": "auc"}, "Hyperparameter _tuning_objective_metric: auc is not in"),
    ],
)
def test_refusals_use_the_containers_words(changed: dict[str, str], message: str) -> None:
    assert message in refusal({"num_round": "1", **changed})


def test_number_of_rounds_is_required_before_anything_else_is_looked_at() -> None:
    assert refusal({"nonsense": "1"}) == "Missing required hyperparameter: num_round"


@pytest.mark.parametrize(
    ("tag", "accepted", "name", "value"),
    [
        ("1.0-1", True, "silent", "1"),
        ("1.2-1", False, "silent", "1"),
        ("1.0-1", False, "deterministic_histogram", "true"),
        ("1.5-1", True, "single_precision_histogram", "true"),
        ("1.7-1", False, "single_precision_histogram", "true"),
        ("1.2-2", False, "sampling_method", "uniform"),
        ("1.3-1", True, "sampling_method", "uniform"),
        ("1.2-1", False, "_kfold", "5"),
        ("1.2-2", True, "_kfold", "5"),
        ("1.0-1", False, "objective", "reg:pseudohubererror"),
        ("1.2-1", True, "objective", "reg:pseudohubererror"),
        ("1.5-1", False, "objective", "reg:absoluteerror"),
        ("1.7-1", True, "objective", "reg:absoluteerror"),
        ("1.2-1", False, "_tuning_objective_metric", "validation:f1_binary"),
        ("1.2-2", True, "_tuning_objective_metric", "validation:f1_binary"),
        ("1", True, "objective", "reg:linear"),
    ],
)
def test_each_image_knows_its_own(tag: str, accepted: bool, name: str, value: str) -> None:  # noqa: FBT001 - a table
    given = {"num_round": "1", name: value}
    image = BuiltInImage("xgboost", tag)
    if accepted:
        assert name in validate(given, image)
    else:
        assert name in refusal(given, image)


def test_old_images_say_that_there_is_no_gpu() -> None:
    assert refusal({"num_round": "1", "tree_method": "gpu_hist"}, OLD) == "GPU training is not supported yet."
    assert validate({"num_round": "1", "tree_method": "gpu_hist"}, NEW)["tree_method"] == "gpu_hist"


@given(st.sampled_from(sorted(PARAMETERS)), st.text(max_size=12))
def test_any_text_is_parsed_or_refused(name: str, text: str) -> None:
    try:
        validate({"num_round": "1", name: text}, NEW)
    except UserFault as refused:
        assert name in str(refused) or "objective" in str(refused)  # noqa: PT017 - either outcome is right

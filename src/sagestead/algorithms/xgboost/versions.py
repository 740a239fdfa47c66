"""What differs between the image tags in training, as one table (spec: xgboost-builtin.md sections 3 to 5).

Rule: training is always done by the installed XGBoost. Where the library of a tag had another default, the
default of the tag is set explicitly, so that a job means what it meant with its image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sagestead.domain.images import BuiltInImage
from sagestead.domain.metrics import MAXIMISED, MINIMISED

EXACT_BELOW_ROWS = 4 << 20
"""Up to 1.7, tree_method `auto` means `exact` for fewer rows than this, else `approx`."""

_METRICS_SINCE = {
    "1.2-1": ["r2", "aft-nloglik", "interval-regression-accuracy", "mphe"],
    "1.2-2": ["f1_binary", "f1_macro"],
    "1.3-1": [
        "balanced_accuracy",
        "mape",
        "precision",
        "precision_macro",
        "precision_micro",
        "recall",
        "recall_macro",
        "recall_micro",
    ],
}

_COMPUTED_SINCE = {
    "1": ["accuracy", "f1", "mse"],
    "1.2-1": ["r2"],
    "1.2-2": ["f1_binary", "f1_macro"],
    "1.3-1": [
        "balanced_accuracy",
        "mae",
        "precision",
        "precision_macro",
        "precision_micro",
        "recall",
        "recall_macro",
        "recall_micro",
        "rmse",
    ],
}

_OBJECTIVES_SINCE = {
    "1": [
        "binary:logistic",
        "binary:logitraw",
        "binary:hinge",
        "count:poisson",
        "multi:softmax",
        "multi:softprob",
        "rank:pairwise",
        "rank:ndcg",
        "rank:map",
        "reg:linear",
        "reg:squarederror",
        "reg:logistic",
        "reg:gamma",
        "reg:squaredlogerror",
        "reg:tweedie",
        "survival:cox",
    ],
    "1.2-1": ["aft_loss_distribution", "reg:pseudohubererror", "survival:aft"],
    "1.7-1": ["reg:absoluteerror"],
}

_MULTICLASS = ("multi:softmax", "multi:softprob")
_METRIC_BEFORE_1_3 = {
    "binary:logistic": "error",
    "binary:logitraw": "auc",
    **dict.fromkeys(_MULTICLASS, "merror"),
}
_RANKING_BEFORE_3 = dict.fromkeys(["rank:pairwise", "rank:ndcg", "rank:map"], "map")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the images from one tag on train.

    Attributes:
        metric_format: how a metric's value is printed.
        margin_metrics: metrics computed by the container see margins (else transformed predictions).
        keeps_best: with early stopping, only the rounds up to the best one are kept.
        base_score: used when the job names none; None leaves it to the library (an estimate).
        chooses_exact: tree_method `auto` is chosen by the number of rows, and is the default.
        default_metric: objective -> eval_metric where the library's default is another one today.
    """

    metric_format: str
    margin_metrics: bool
    keeps_best: bool
    base_score: float | None = 0.5
    chooses_exact: bool = True
    default_metric: Mapping[str, str] = field(default_factory=dict)


_BEHAVIOURS = (
    ("1", Behaviour("%g", False, False, default_metric=_METRIC_BEFORE_1_3 | _RANKING_BEFORE_3)),  # noqa: FBT003 - rows of a table
    ("1.2-1", Behaviour("%.5f", True, False, default_metric=_METRIC_BEFORE_1_3 | _RANKING_BEFORE_3)),  # noqa: FBT003 - the same
    ("1.3-1", Behaviour("%.5f", True, True, default_metric=_RANKING_BEFORE_3)),  # noqa: FBT003 - the same
    ("3.0-5", Behaviour("%.5f", True, True, base_score=None, chooses_exact=False)),  # noqa: FBT003 - the same
)


def behaviour(image: BuiltInImage) -> Behaviour:
    """Return the newest behaviour that the image has."""
    return [row for since, row in _BEHAVIOURS if image.at_least(since)][-1]


def metrics(image: BuiltInImage) -> list[str]:
    """Return the names that `eval_metric` may take, those to maximise first."""
    later = {name for since, names in _METRICS_SINCE.items() if not image.at_least(since) for name in names}
    return [name for name in MAXIMISED + MINIMISED if name not in later]


def computed_metrics(image: BuiltInImage) -> set[str]:
    """Return the metrics that the container computes itself instead of the library."""
    return {name for since, names in _COMPUTED_SINCE.items() if image.at_least(since) for name in names}


def objectives(image: BuiltInImage) -> list[str]:
    """Return the objectives that the image accepts."""
    return sorted(
        name for since, names in _OBJECTIVES_SINCE.items() if image.at_least(since) for name in names
    )

"""Hyperparameters of the built-in XGBoost: names, ranges, and the container's messages.

Rule: one table says what each image accepts. Order of checks, as in the container: aliases, required names,
unknown names, then for each name parsing and range, then what depends on two names (spec: xgboost-builtin.md
section 3). Every refusal is a `UserFault`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sagestead.algorithms.xgboost.dependencies import check_dependencies
from sagestead.algorithms.xgboost.faults import UserFault
from sagestead.algorithms.xgboost.ranges import Choice, Integer, Kind, Listed, Metrics, Nested, Real, Signs
from sagestead.algorithms.xgboost.versions import metrics, objectives
from sagestead.domain.images import BuiltInImage

ALIASES = {"learning_rate": "eta", "min_split_loss": "gamma", "reg_lambda": "lambda", "reg_alpha": "alpha"}

UPDATERS = [
    "grow_colmaker",
    "distcol",
    "grow_histmaker",
    "grow_skmaker",
    "sync",
    "refresh",
    "prune",
    "shotgun",
    "coord_descent",
    "grow_quantile_histmaker",
]

_BOOLEAN = ["true", "false"]
_UNIT = Real("[0, 1]")
_SHARE = Real("(0, 1]")
_NON_NEGATIVE = Real("[0, +inf)")
_FLAG = Integer("[0, 1]")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One hyperparameter: what it takes, and which images know it (from `since` on, up to before `until`)."""

    kind: Kind | Callable[[BuiltInImage], Kind]
    since: str = "1"
    until: str | None = None

    def known_to(self, image: BuiltInImage) -> bool:
        """Say whether the image accepts it."""
        return image.at_least(self.since) and not (self.until and image.at_least(self.until))

    def kind_for(self, image: BuiltInImage) -> Kind:
        """Return what it takes with that image."""
        return self.kind(image) if callable(self.kind) else self.kind


def _updaters(image: BuiltInImage) -> Kind:
    return Listed(UPDATERS if image.at_least("1.2-1") else [*UPDATERS, "grow_local_histmaker"])


def _tree_methods(image: BuiltInImage) -> Kind:
    methods = ["auto", "exact", "approx", "hist"]
    if image.at_least("1.2-1"):
        return Choice([*methods, "gpu_hist"])
    return Choice(
        methods,
        {"gpu_hist": "GPU training is not supported yet.", "gpu_exact": "GPU training is not supported yet."},
    )


def _predictors(image: BuiltInImage) -> Kind:
    if image.at_least("1.2-1"):
        return Choice(["auto", "cpu_predictor", "gpu_predictor"])
    return Choice(["cpu_predictor", "auto"], {"gpu_predictor": "GPU training is not supported yet."})


PARAMETERS: Mapping[str, Parameter] = {
    "num_round": Parameter(Integer("[1, +inf)")),
    "csv_weights": Parameter(_FLAG),
    "early_stopping_rounds": Parameter(Integer("[1, +inf)")),
    "booster": Parameter(Choice(["gbtree", "gblinear", "dart"])),
    "verbosity": Parameter(Integer("[0, 3]")),
    "silent": Parameter(_FLAG, until="1.2-1"),
    "nthread": Parameter(Integer("[1, +inf)")),
    "eta": Parameter(_UNIT),
    "gamma": Parameter(_NON_NEGATIVE),
    "max_depth": Parameter(Integer("[0, +inf)")),
    "min_child_weight": Parameter(_NON_NEGATIVE),
    "max_delta_step": Parameter(_NON_NEGATIVE),
    "subsample": Parameter(_SHARE),
    "colsample_bytree": Parameter(_SHARE),
    "colsample_bylevel": Parameter(_SHARE),
    "colsample_bynode": Parameter(_SHARE),
    "lambda": Parameter(_NON_NEGATIVE),
    "alpha": Parameter(_NON_NEGATIVE),
    "tree_method": Parameter(_tree_methods),
    "sketch_eps": Parameter(Real("(0, 1)")),
    "scale_pos_weight": Parameter(Real("(0, +inf)")),
    "updater": Parameter(_updaters),
    "dsplit": Parameter(Choice(["row", "col"])),
    "refresh_leaf": Parameter(_FLAG),
    "process_type": Parameter(Choice(["default", "update"])),
    "grow_policy": Parameter(Choice(["depthwise", "lossguide"])),
    "max_leaves": Parameter(Integer("[0, +inf)")),
    "max_bin": Parameter(Integer("[0, +inf)")),
    "predictor": Parameter(_predictors),
    "monotone_constraints": Parameter(Signs()),
    "interaction_constraints": Parameter(Nested()),
    "sample_type": Parameter(Choice(["uniform", "weighted"])),
    "normalize_type": Parameter(Choice(["tree", "forest"])),
    "rate_drop": Parameter(_UNIT),
    "one_drop": Parameter(_FLAG),
    "skip_drop": Parameter(_UNIT),
    "lambda_bias": Parameter(_UNIT),
    "tweedie_variance_power": Parameter(Real("(1, 2)")),
    "objective": Parameter(lambda image: Choice(objectives(image))),
    "num_class": Parameter(Integer("[2, +inf)")),
    "base_score": Parameter(_NON_NEGATIVE),
    "eval_metric": Parameter(lambda image: Metrics(metrics(image))),
    "seed": Parameter(Integer("(-2147483648, 2147483647)")),
    "num_parallel_tree": Parameter(Integer("[1, +inf)")),
    "save_model_on_termination": Parameter(Choice(_BOOLEAN)),
    "deterministic_histogram": Parameter(Choice(_BOOLEAN), since="1.2-1"),
    "single_precision_histogram": Parameter(Choice(_BOOLEAN), since="1.2-1", until="1.7-1"),
    "sampling_method": Parameter(Choice(["uniform", "gradient_based"]), since="1.3-1"),
    "prob_buffer_row": Parameter(Integer("(1, +inf)"), since="1.3-1"),
    "aft_loss_distribution": Parameter(Choice(["normal", "logistic", "extreme"]), since="1.2-1"),
    "aft_loss_distribution_scale": Parameter(_NON_NEGATIVE, since="1.2-1"),
    "use_dask_gpu_training": Parameter(Choice(_BOOLEAN), since="1.5-1"),
    "_kfold": Parameter(Integer("[2, +inf)"), since="1.2-2"),
    "_num_cv_round": Parameter(Integer("[1, +inf)"), since="1.2-2"),
    "_tuning_objective_metric": Parameter(
        lambda image: Choice([f"validation:{metric}" for metric in metrics(image)])
    ),
}


def validate(given: Mapping[str, str], image: BuiltInImage) -> dict[str, Any]:
    """Return the hyperparameters parsed, by their main names; raise `UserFault` with the container's message.

    Integers and reals become numbers, comma lists lists of text, constraints nested lists of integers;
    everything else stays text. Names that were not given are absent.
    """
    named: dict[str, str] = {}
    for name, text in given.items():
        main = ALIASES.get(name, name)
        if main in named:
            raise UserFault(f"Hyperparameter {main} is given twice: by its own name and by an alias.")
        named[main] = text
    if "num_round" not in named:
        raise UserFault("Missing required hyperparameter: num_round")
    for name in named:
        if name not in PARAMETERS or not PARAMETERS[name].known_to(image):
            raise UserFault(f"Extraneous hyperparameter found: {name}")
    settings = {name: _parsed(name, text, image) for name, text in named.items()}
    check_dependencies(settings)
    return settings


def _parsed(name: str, text: str, image: BuiltInImage) -> Any:  # noqa: ANN401 - its type is the parameter's
    kind = PARAMETERS[name].kind_for(image)
    try:
        value = kind.parse(text)
    except ValueError:
        raise UserFault(f"Hyperparameter {name}: could not parse value (caused by ValueError)") from None
    kind.check(name, value)
    return value

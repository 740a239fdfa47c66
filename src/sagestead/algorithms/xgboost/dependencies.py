"""Checks that need two hyperparameters, in the container's words (spec: xgboost-builtin.md section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagestead.algorithms.xgboost.faults import UserFault

_GROWERS = ("grow_colmaker", "distcol", "grow_histmaker", "grow_local_histmaker", "grow_quantile_histmaker")
_LOGISTIC = ("binary:logistic", "binary:logitraw", "reg:logistic")
_LOGARITHMIC = ("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft")
_LINEAR = ("shotgun", "coord_descent")


def check_dependencies(settings: Mapping[str, Any]) -> None:
    """Raise `UserFault` for hyperparameters that do not go together."""
    _check_classes(settings)
    _check_base_score(settings)
    _check_metrics(settings)
    _check_updaters(settings)
    _check_constraints(settings)


def _check_classes(settings: Mapping[str, Any]) -> None:
    if str(settings.get("objective")).startswith("multi:") and "num_class" not in settings:
        raise UserFault("Require input for parameter 'num_class' for multi-classification")
    if "objective" not in settings and "num_class" in settings:
        raise UserFault(
            "Do not need to setup parameter 'num_class' for learning task other than multi-classification."
        )


def _check_base_score(settings: Mapping[str, Any]) -> None:
    base_score, objective = settings.get("base_score"), settings.get("objective")
    if base_score is None:
        return
    if objective in _LOGISTIC and not 0 < base_score < 1:
        raise UserFault(f"base_score must be in (0,1) for logistic loss, got: {base_score}")
    if objective in _LOGARITHMIC and not base_score:
        raise UserFault(f"base_score must be greater than 0 for objective {objective}, got: {base_score}")


def _check_metrics(settings: Mapping[str, Any]) -> None:
    metrics = settings.get("eval_metric", [])
    if metrics and "objective" not in settings:
        raise UserFault("Hyperparameter eval_metric needs hyperparameter objective: name both.")
    objective = settings.get("objective", "")
    if "auc" in metrics and not objective.startswith(("binary:", "rank:")):
        raise UserFault("Metric 'auc' can only be applied for classification and ranking problems.")
    if "aft-nloglik" in metrics and objective != "survival:aft":
        raise UserFault("Metric 'aft-nloglik' can only be applied for 'survival:aft' objective.")


def _check_updaters(settings: Mapping[str, Any]) -> None:
    updaters = settings.get("updater")
    if updaters is None:
        return
    if settings.get("booster") == "gblinear":
        if len(updaters) != 1 or updaters[0] not in _LINEAR:
            raise UserFault("Linear updater should be one of these options: 'shotgun', 'coord_descent'.")
    elif settings.get("process_type") == "update":
        if not set(updaters) <= {"refresh", "prune"}:
            raise UserFault("process_type 'update' can only be used with updater 'refresh' and 'prune'")
    elif linear := [updater for updater in updaters if updater in _LINEAR]:
        raise UserFault(
            f"Updater '{linear[0]}' is for booster 'gblinear'; name one that grows or changes trees."
        )
    elif len([updater for updater in updaters if updater in _GROWERS]) > 1:
        raise UserFault(
            "Only one tree grow plugin can be selected. Choose one from the following: "
            + ", ".join(f"'{grower}'" for grower in _GROWERS)
        )


def _check_constraints(settings: Mapping[str, Any]) -> None:
    method = settings.get("tree_method")
    if "monotone_constraints" in settings and method not in ("exact", "hist"):
        raise UserFault(
            "monotone_constraints can be used only when the tree_method parameter is set to "
            "either 'exact' or 'hist'."
        )
    if "interaction_constraints" in settings and method not in ("exact", "hist", "approx"):
        raise UserFault(
            "interaction_constraints can be used only when the tree_method parameter is set to "
            "either 'exact', 'hist' or 'approx'."
        )

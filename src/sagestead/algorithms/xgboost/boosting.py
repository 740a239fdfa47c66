"""One call of the library: metrics, early stopping, callbacks, and what its errors mean."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

import numpy as np
import xgboost
from numpy.typing import NDArray
from xgboost.callback import EarlyStopping, TrainingCallback

from sagestead.algorithms.xgboost.faults import library_fault
from sagestead.algorithms.xgboost.report import Evaluations, say
from sagestead.algorithms.xgboost.rounds import ComputedMetrics, Mean, Printer, Watched
from sagestead.algorithms.xgboost.versions import behaviour, computed_metrics
from sagestead.domain.images import BuiltInImage
from sagestead.domain.metrics import MAXIMISED


def _own_values(values: Sequence[float], _rows: int) -> NDArray[np.float64]:
    return np.array(values, np.float64)


@dataclass(frozen=True, slots=True)
class Plan:
    """How to boost.

    Attributes:
        image: decides number format, metrics and which rounds are kept.
        params: parameters for the library, without metrics.
        rounds: how many rounds the finished model has.
        metrics: what to evaluate, in order; empty: the objective's default.
        mean: how the hosts come to one value of a metric that the library does not compute.
        is_quiet: rounds are not printed; another host does.
        stop_metric: what early stopping looks at; None: the last metric.
        patience: rounds without improvement after which training stops; None: never.
    """

    image: BuiltInImage
    params: Mapping[str, Any]
    rounds: int
    metrics: Sequence[str] = field(default_factory=list)
    stop_metric: str | None = None
    patience: int | None = None
    mean: Mean = _own_values
    is_quiet: bool = False


def plan_boosting(settings: Mapping[str, Any], params: Mapping[str, Any], image: BuiltInImage) -> Plan:
    """Return the plan of a job: `settings` are its hyperparameters, `params` those for the library."""
    asked = list(settings.get("eval_metric", []))
    objective = settings.get("_tuning_objective_metric", "").partition(":")[2]
    metrics = [objective] * bool(objective) + [metric for metric in asked if metric != objective]
    default = behaviour(image).default_metric.get(settings.get("objective", ""))
    return Plan(
        image,
        params,
        settings["num_round"],
        metrics or [default] * bool(default),
        objective or (asked[-1] if asked else None),
        settings.get("early_stopping_rounds"),
    )


def boost(
    plan: Plan,
    watched: Watched,
    *,
    done: int = 0,
    model: xgboost.Booster | None = None,
    further: Sequence[TrainingCallback] = (),
) -> tuple[xgboost.Booster, Evaluations]:
    """Train on the first watched data set and evaluate on all; return the model and its evaluations.

    `done` rounds of `model` count; if no round is left, the model is returned as it is.
    Raises `UserFault` or `AlgorithmFault` for errors of the library.
    """
    if model and done >= plan.rounds:
        return model, {}
    evaluations: Evaluations = {}
    computed = [metric for metric in plan.metrics if metric in computed_metrics(plan.image)]
    native = [metric for metric in plan.metrics if metric not in computed]
    callbacks = [
        *_computed(plan, watched, computed),
        *([] if plan.is_quiet else [Printer(done, behaviour(plan.image).metric_format)]),
        *further,
        *_early_stopping(plan, watched),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = _say_warning
        try:
            booster = xgboost.train(
                {**plan.params, **({"eval_metric": native} if native else {})},
                watched[0][0],
                plan.rounds - done,
                evals=list(watched),
                evals_result=evaluations,
                xgb_model=model,
                callbacks=callbacks,
                verbose_eval=False,
            )
        except (xgboost.core.XGBoostError, ValueError, TypeError) as fault:
            raise library_fault(str(fault)) from fault
    return booster, evaluations


def _computed(plan: Plan, watched: Watched, metrics: Sequence[str]) -> list[ComputedMetrics]:
    """Return what computes metrics; without any, no round predicts for nothing."""
    of_margins = behaviour(plan.image).margin_metrics
    return [ComputedMetrics(watched, metrics, plan.mean, values_of_margins=of_margins)] if metrics else []


def _early_stopping(plan: Plan, watched: Watched) -> list[EarlyStopping]:
    if plan.patience is None:
        return []
    metric = plan.stop_metric
    return [
        EarlyStopping(
            rounds=plan.patience,
            data_name=watched[-1][1],
            metric_name=metric,
            maximize=metric.partition("@")[0] in MAXIMISED if metric else None,
            save_best=behaviour(plan.image).keeps_best,
        )
    ]


def _say_warning(  # noqa: PLR0913, PLR0917 - the signature that Python calls
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print what the library warns of, without the place in its code."""
    del category, filename, lineno, file, line
    say(" ".join(str(message).split()))

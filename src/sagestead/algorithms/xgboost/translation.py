"""From the hyperparameters of a job to the parameters of the installed library.

Rule: what the installed library no longer knows is translated where it has an equivalent, left out where the
result cannot differ, and refused by name otherwise. Each translation and omission is a line for the log.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sagestead.algorithms.xgboost.faults import UserFault
from sagestead.algorithms.xgboost.versions import EXACT_BELOW_ROWS, Behaviour

_NOT_FOR_THE_LIBRARY = (
    "num_round",
    "csv_weights",
    "early_stopping_rounds",
    "save_model_on_termination",
    "eval_metric",
    "_kfold",
    "_num_cv_round",
    "_tuning_objective_metric",
)

_WITHOUT_EFFECT = {
    "predictor": "there is one way to predict on the CPU",
    "deterministic_histogram": "histograms on the CPU are always deterministic",
    "dsplit": "on one host all data is in one place",
    "prob_buffer_row": "the XGBoost of no image reads it",
    "lambda_bias": "the XGBoost of no image from 0.90 on reads it",
}

_FOR_ONE_HOST = (
    ("tree_method", "exact", "use hist or approx"),
    ("booster", "gblinear", "use gbtree or dart"),
    ("dsplit", "col", "leave it out: rows are divided"),
)

_GONE_UPDATERS = ("distcol", "grow_skmaker", "grow_local_histmaker")


@dataclass
class _Translation:
    params: dict[str, Any]
    behaviour: Behaviour
    rows: int
    threads: int
    hosts: int = 1
    notes: list[str] = field(default_factory=list)


def to_library(
    settings: Mapping[str, Any], behaviour: Behaviour, rows: int, threads: int, hosts: int = 1
) -> tuple[dict[str, Any], list[str]]:
    """Return parameters for `xgboost.train` (without metrics) and lines for the log; raise `UserFault`.

    `rows`: rows of the training data. `threads`: most threads that may be used. `hosts`: how many there are.
    """
    params = {name: value for name, value in settings.items() if name not in _NOT_FOR_THE_LIBRARY}
    work = _Translation(params, behaviour, rows, threads, hosts)
    for step in _STEPS:
        step(work)
    return work.params, work.notes


def _refuse_what_needs_one_host(work: _Translation) -> None:
    """Refuse what is exact only where all data is in one place."""
    if work.hosts == 1:
        return
    for name, value, instead in _FOR_ONE_HOST:
        if work.params.get(name) == value:
            raise UserFault(
                f"Hyperparameter {name}: {value} cannot be used on {work.hosts} instances; {instead}, or "
                "train on 1 instance."
            )


def _leave_out_what_has_no_effect(work: _Translation) -> None:
    for name, why in _WITHOUT_EFFECT.items():
        if name in work.params:
            work.notes.append(f"Hyperparameter {name}={work.params.pop(name)} has no effect: {why}.")


def _refuse_what_is_gone(work: _Translation) -> None:
    if work.params.pop("single_precision_histogram", "false") == "true":
        raise UserFault(
            "Hyperparameter single_precision_histogram: true is not offered by this server's XGBoost; "
            "leave it out to train with double precision."
        )
    if work.params.pop("use_dask_gpu_training", "false") == "true":
        raise UserFault(
            "Hyperparameter use_dask_gpu_training: true needs GPUs, which are not offered; leave it out."
        )
    for updater in work.params.get("updater", []):
        if updater in _GONE_UPDATERS:
            raise UserFault(
                f"Hyperparameter updater: {updater} is not offered by this server's XGBoost; "
                "use grow_colmaker, grow_histmaker or grow_quantile_histmaker."
            )


def _silent(work: _Translation) -> None:
    silent = work.params.pop("silent", None)
    if silent is not None and "verbosity" not in work.params:
        work.params["verbosity"] = 0 if silent else 1
        work.notes.append(f"Hyperparameter silent={silent} became verbosity={work.params['verbosity']}.")


def _objective(work: _Translation) -> None:
    if work.params.get("objective") == "reg:linear":
        work.params["objective"] = "reg:squarederror"
        work.notes.append("Objective reg:linear became reg:squarederror, its name today.")
    base_score = work.behaviour.base_score
    if base_score is not None and work.params.get("objective") != "reg:absoluteerror":
        work.params.setdefault("base_score", base_score)


def _tree_method(work: _Translation) -> None:
    params = work.params
    if params.get("tree_method") == "gpu_hist":
        params["tree_method"] = "hist"
        work.notes.append("tree_method gpu_hist became hist, the same method on the CPU.")
    if params.get("booster") == "gblinear":
        if params.pop("tree_method", None):
            work.notes.append("Hyperparameter tree_method has no effect: booster gblinear has no trees.")
        return
    samples_by_node = params.get("colsample_bynode", 1.0) != 1.0
    if params.get("tree_method") == "exact" and samples_by_node:
        raise UserFault(
            f"Hyperparameter colsample_bynode: {params['colsample_bynode']} with tree_method exact is not "
            "offered by this server's XGBoost; use tree_method hist."
        )
    grows = "updater" not in params and params.get("process_type") != "update"
    if work.behaviour.chooses_exact and grows and params.get("tree_method", "auto") == "auto":
        params["tree_method"], why = _chosen_method(work, samples_by_node=samples_by_node)
        work.notes.append(f"tree_method auto is {params['tree_method']}: {why}.")


def _chosen_method(work: _Translation, *, samples_by_node: bool) -> tuple[str, str]:
    """Return what `auto` means for an image that chooses, and why."""
    rows = work.rows
    if work.hosts > 1:
        return "approx", f"{work.hosts} instances train together"
    if rows >= EXACT_BELOW_ROWS:
        return "approx", f"the data has {rows} rows"
    if samples_by_node:
        return "hist", "the exact method of this server's XGBoost samples no columns by node"
    return "exact", f"the data has {rows} rows"


def _sketch_eps(work: _Translation) -> None:
    sketch_eps = work.params.pop("sketch_eps", None)
    if sketch_eps is None:
        return
    if work.params.get("tree_method") == "approx":
        work.params["max_bin"] = max(2, math.ceil(1 / sketch_eps))
        work.notes.append(f"Hyperparameter sketch_eps={sketch_eps} became max_bin={work.params['max_bin']}.")
    else:
        work.notes.append(f"Hyperparameter sketch_eps={sketch_eps} has no effect: only approx reads it.")


def _threads(work: _Translation) -> None:
    asked = work.params.get("nthread", work.threads)
    work.params["nthread"] = min(asked, work.threads)
    if asked > work.threads:
        work.notes.append(
            f"Hyperparameter nthread={asked} became {work.threads}: the job has no more threads."
        )


def _spelling(work: _Translation) -> None:
    for name in ("monotone_constraints", "interaction_constraints"):
        if name in work.params:
            text = str(work.params[name])
            work.params[name] = f"({text[1:-1]})" if name == "monotone_constraints" else text
    if "updater" in work.params:
        work.params["updater"] = ",".join(work.params["updater"])


_STEPS: tuple[Callable[[_Translation], None], ...] = (
    _refuse_what_needs_one_host,
    _leave_out_what_has_no_effect,
    _refuse_what_is_gone,
    _silent,
    _objective,
    _tree_method,
    _sketch_eps,
    _threads,
    _spelling,
)

"""Warm start: whether a tuning job may learn from its parents (spec: tuning.md section 6).

Rule: what is taken over is noted when the job is created, so that parents may be deleted afterwards; their
trials are found by that note.
"""

from __future__ import annotations

from sagestead.control.context import Context
from sagestead.control.operations import records
from sagestead.control.trial_records import children_of
from sagestead.domain.errors import Invalid
from sagestead.domain.job_status import TERMINAL
from sagestead.domain.metrics import OBJECTIVE_HYPERPARAMETER
from sagestead.domain.resources import Json, Kind, Resource
from sagestead.domain.search_space import Categorical, Range, space_of
from sagestead.domain.tuning import Strategy, tuned_of
from sagestead.planning.trials import definitions_of, objective_of, search_of

MOST_JOBS = 500
MOST_CHANGES = 10
IDENTICAL = "IdenticalDataAndAlgorithm"


def inherited(ctx: Context, spec: Json) -> Json:
    """Return what the job notes of its parents; nothing without a WarmStartConfig."""
    config = spec.get("WarmStartConfig")
    if not config:
        return {}
    _check_job(spec)
    names = [one.get("HyperParameterTuningJobName", "") for one in config["ParentHyperParameterTuningJobs"]]
    if len(set(names)) < len(names):
        raise Invalid("WarmStartConfig.ParentHyperParameterTuningJobs names a job twice; name each once.")
    parents = [_parent(ctx, name) for name in names]
    for parent in parents:
        _check_search(spec, parent)
        if config["WarmStartType"] == IDENTICAL:
            _check_identical(spec, parent)
    tried = sum(len(children_of(ctx.resources, parent)) for parent in parents)
    more = spec["HyperParameterTuningJobConfig"]["ResourceLimits"].get("MaxNumberOfTrainingJobs", 0)
    if tried + more > MOST_JOBS:
        raise Invalid(
            f"Warm start: the parents' {tried} training jobs and {more} new ones are more than {MOST_JOBS}; "
            "lower "
            "MaxNumberOfTrainingJobs, or name fewer parents."
        )
    noted: Json = {"_parents": [{"Name": one.key.name, "Since": one.created_at} for one in parents]}
    if config["WarmStartType"] == IDENTICAL:
        best = [(parent, parent.detail.get("BestTrainingJob")) for parent in parents]
        noted["_inherited_best"] = [{**one, "TuningJobName": parent.key.name} for parent, one in best if one]
    return noted


def _check_job(spec: Json) -> None:
    strategy = spec["HyperParameterTuningJobConfig"]["Strategy"]
    if strategy not in {Strategy.BAYESIAN, Strategy.RANDOM}:
        raise Invalid(f"Warm start needs strategy Bayesian or Random, not {strategy}.")
    if "TrainingJobDefinitions" in spec:
        raise Invalid("Warm start needs one TrainingJobDefinition, not TrainingJobDefinitions.")


def _parent(ctx: Context, name: str) -> Resource:
    parent = records.find(ctx, Kind.TUNING_JOB, name)
    if parent is None:
        raise Invalid(f"Warm start: there is no tuning job '{name}' to learn from; check the name.")
    if parent.status not in TERMINAL:
        raise Invalid(
            f"Warm start: tuning job '{name}' is in status {parent.status}; wait until it has ended, or stop "
            "it."
        )
    if "TrainingJobDefinitions" in parent.spec:
        raise Invalid(f"Warm start: tuning job '{name}' has TrainingJobDefinitions; name one that has not.")
    return parent


def _check_search(spec: Json, parent: Resource) -> None:
    """Refuse another objective, another number or another type of hyperparameters, and too many changes."""
    name = parent.key.name
    config = spec["HyperParameterTuningJobConfig"]
    (definition,), (before,) = definitions_of(spec), definitions_of(parent.spec)
    objective, theirs = objective_of(definition, config), search_of(parent).objectives[0]
    if objective != theirs:
        raise Invalid(
            f"Warm start: tuning job '{name}' optimises {theirs.metric} another way or another metric than "
            f"{objective.metric}; give the same objective."
        )
    tuned = {one.name: one for one in space_of(tuned_of(definition, config), "ParameterRanges.")}
    tuned_before = {one.name: one for one in search_of(parent).spaces[0]}
    static, static_before = _static(definition), _static(before)
    others = (tuned.keys() | static.keys()) ^ (tuned_before.keys() | static_before.keys())
    if others:
        raise Invalid(
            f"Warm start: static and tuned hyperparameters together must be those of tuning job '{name}'; "
            f"these are not: {', '.join(sorted(others))}."
        )
    both = sorted(tuned.keys() & tuned_before.keys())
    changed = next((one for one in both if type(tuned[one]) is not type(tuned_before[one])), None)
    if changed is not None:
        raise Invalid(f"Warm start: hyperparameter {changed} has another type in tuning job '{name}'.")
    changes = sum(2 for one in static if one in static_before and static[one] != static_before[one])
    changes += sum(_weight(tuned_before[one]) for one in static if one in tuned_before)
    if changes > MOST_CHANGES:
        raise Invalid(
            f"Warm start: {changes} changes of static hyperparameters since tuning job '{name}' are more "
            "than "
            f"{MOST_CHANGES}; change fewer."
        )


def _check_identical(spec: Json, parent: Resource) -> None:
    """Refuse other data or another image."""
    (definition,), (before,) = definitions_of(spec), definitions_of(parent.spec)
    image, theirs = (one["AlgorithmSpecification"].get("TrainingImage") for one in (definition, before))
    if image != theirs or _data(definition) != _data(before):
        raise Invalid(
            f"WarmStartConfig.WarmStartType {IDENTICAL} needs the TrainingImage and the InputDataConfig of "
            "tuning "
            f"job '{parent.key.name}'; give TransferLearning."
        )


def _data(definition: Json) -> Json:
    return {one["ChannelName"]: one["DataSource"] for one in definition.get("InputDataConfig", [])}


def _static(definition: Json) -> Json:
    given = definition.get("StaticHyperParameters", {})
    return {name: text for name, text in given.items() if name != OBJECTIVE_HYPERPARAMETER}


def _weight(moved: Range) -> int:
    """Return how many changes it is that a tuned hyperparameter became static."""
    return len(moved.values) if isinstance(moved, Categorical) else 1

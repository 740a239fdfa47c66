"""What the service chooses when a tuning job's Autotune is Enabled (spec: tuning.md section 1).

Rule: only what the request leaves open is chosen, and Describe shows what was chosen. Ranges of the built-in
XGBoost are those that its documentation recommends; others are spread around the hint given.
"""

from __future__ import annotations

from types import MappingProxyType

from sagestead.domain.errors import Invalid
from sagestead.domain.images import trains_built_in
from sagestead.domain.resources import Json
from sagestead.domain.tuning import Strategy

JOBS = 20
RETRIES = 3
AROUND = 10.0
"""A hinted number is searched from a tenth of it to ten times as much."""

_RECOMMENDED = MappingProxyType(
    {
        "alpha": ("Continuous", "0", "1000"),
        "colsample_bytree": ("Continuous", "0.5", "1"),
        "eta": ("Continuous", "0.1", "0.5"),
        "gamma": ("Continuous", "0", "5"),
        "lambda": ("Continuous", "0", "1000"),
        "max_depth": ("Integer", "1", "10"),
        "min_child_weight": ("Continuous", "0", "120"),
        "num_round": ("Integer", "10", "400"),
        "subsample": ("Continuous", "0.5", "1"),
    }
)
_LISTS = ("IntegerParameterRanges", "ContinuousParameterRanges", "CategoricalParameterRanges")


def autotuned(request: Json) -> Json:
    """Return the request with all chosen that it leaves open; unchanged without Autotune.

    Raises:
        Invalid: AutoParameters without Autotune, or nothing is known to choose a range by.
    """
    is_on = request.get("Autotune", {}).get("Mode") == "Enabled"
    config = dict(request["HyperParameterTuningJobConfig"])
    spec = {**request, "HyperParameterTuningJobConfig": config}
    if "TrainingJobDefinition" in request:
        definition = dict(request["TrainingJobDefinition"])
        ranges = _ranges(config.get("ParameterRanges", {}), definition, is_on=is_on)
        if ranges:
            config["ParameterRanges"] = ranges
        spec["TrainingJobDefinition"] = definition
        definitions = [definition]
    else:
        definitions = spec["TrainingJobDefinitions"] = [
            dict(one) for one in request["TrainingJobDefinitions"]
        ]
        for definition in definitions:
            ranges = _ranges(definition.get("HyperParameterRanges", {}), definition, is_on=is_on)
            if ranges:
                definition["HyperParameterRanges"] = ranges
    if is_on:
        _choose(config, definitions)
    return spec


def _choose(config: Json, definitions: list[Json]) -> None:
    """Fill in limits, early stopping, convergence and retries."""
    if config["Strategy"] != Strategy.GRID:
        limits = config["ResourceLimits"]
        jobs = max(JOBS, limits["MaxParallelTrainingJobs"])
        config["ResourceLimits"] = {"MaxNumberOfTrainingJobs": jobs, **limits}
    if config["Strategy"] != Strategy.HYPERBAND:
        config.setdefault("TrainingJobEarlyStoppingType", "Auto")
    config.setdefault(
        "TuningJobCompletionCriteria", {"ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}}
    )
    for definition in definitions:
        definition.setdefault("RetryStrategy", {"MaximumRetryAttempts": RETRIES})


def _ranges(given: Json, definition: Json, *, is_on: bool) -> Json:
    """Return ranges with those that are to be chosen."""
    hints = given.get("AutoParameters", [])
    if hints and not is_on:
        raise Invalid(
            f"AutoParameters ({hints[0]['Name']}) are for tuning jobs whose Autotune.Mode is Enabled; enable "
            "it, "
            "or give a range."
        )
    found: Json = {name: list(given.get(name, [])) for name in _LISTS if name in given or is_on}
    if not is_on:
        return found
    is_xgboost = trains_built_in(definition)
    for hint in hints:
        kind, low, high = _around(hint, is_xgboost=is_xgboost)
        found[f"{kind}ParameterRanges"].append({"Name": hint["Name"], "MinValue": low, "MaxValue": high})
    if is_xgboost and not any(found.values()):
        static = definition.get("StaticHyperParameters", {})
        for name, (kind, low, high) in _RECOMMENDED.items():
            if name not in static:
                found[f"{kind}ParameterRanges"].append({"Name": name, "MinValue": low, "MaxValue": high})
    return found


def _around(hint: Json, *, is_xgboost: bool) -> tuple[str, str, str]:
    """Return (kind, least, most) of a range around a hint."""
    name, text = hint["Name"], hint["ValueHint"]
    if is_xgboost and name in _RECOMMENDED:
        return _RECOMMENDED[name]
    try:
        value = float(text)
    except ValueError:
        raise Invalid(
            f"AutoParameters: '{text}' of {name} is no number to choose a range by; give a "
            "CategoricalParameterRange with its values."
        ) from None
    low, high = sorted((value / AROUND, value * AROUND))
    if "." not in text and "e" not in text.lower():
        return ("Integer", str(min(int(value), int(low) or 1)), str(max(int(value), int(high))))
    return ("Continuous", repr(low), repr(high))

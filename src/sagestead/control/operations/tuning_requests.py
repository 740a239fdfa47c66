"""What a CreateHyperParameterTuningJob request may ask for (spec: tuning.md section 1).

Rule: everything is checked before anything is stored: first where things stand, then what contradicts itself;
each training job definition is checked as the CreateTrainingJob request that it will come to.
"""

from __future__ import annotations

from sagestead.control.operations import training_requests
from sagestead.control.operations.autotuning import autotuned
from sagestead.control.operations.carried_out import refuse_others
from sagestead.control.operations.quotas import check_instances
from sagestead.domain.errors import Invalid, OverLimit
from sagestead.domain.images import trains_built_in
from sagestead.domain.metrics import MAXIMISED, MINIMISED, OBJECTIVE_HYPERPARAMETER
from sagestead.domain.resources import Json
from sagestead.domain.search_space import BadRange, Categorical, Space, combinations, random_point, space_of
from sagestead.domain.tuning import Objective, Strategy, tuned_of
from sagestead.planning.trials import (
    definitions_of,
    objective_of,
    static_hyperparameters,
    training_request,
)

MOST_HYPERPARAMETERS = 100
MOST_JOBS = 750
MOST_RANDOM_JOBS = 10_000
MOST_PARALLEL = 100
MOST_RESOURCE = 20_000
EPOCHS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
"""Static hyperparameters that say how long a whole training is."""

_JOB = frozenset(
    {
        "HyperParameterTuningJobName",
        "HyperParameterTuningJobConfig",
        "TrainingJobDefinition",
        "TrainingJobDefinitions",
        "WarmStartConfig",
        "Autotune",
        "Tags",
    }
)
_CONFIG = frozenset(
    {
        "Strategy",
        "StrategyConfig",
        "HyperParameterTuningJobObjective",
        "ResourceLimits",
        "ParameterRanges",
        "TrainingJobEarlyStoppingType",
        "TuningJobCompletionCriteria",
        "RandomSeed",
    }
)
_SAMPLE_NAME = "trial"


def completed(request: Json) -> Json:
    """Return the request with everything filled in that it leaves open; refuse what is not right."""
    refuse_others(request, _JOB)
    refuse_others(request["HyperParameterTuningJobConfig"], _CONFIG, "HyperParameterTuningJobConfig.")
    if bool(request.get("TrainingJobDefinition")) == bool(request.get("TrainingJobDefinitions")):
        raise Invalid("Give either TrainingJobDefinition or TrainingJobDefinitions, exactly one of them.")
    spec = autotuned(request)
    config = spec["HyperParameterTuningJobConfig"]
    _check_places(spec, config)
    spaces = [_space(definition, config) for definition in definitions_of(spec)]
    for definition, space in zip(definitions_of(spec), spaces, strict=True):
        if definition.get("ResourceConfig") and definition.get("HyperParameterTuningResourceConfig"):
            raise Invalid("Give ResourceConfig or HyperParameterTuningResourceConfig, not both of them.")
        objective = objective_of(definition, config)
        _check_objective(definition, objective)
        _check_hyperparameters(definition, objective, space)
    spec = _with_objectives(spec)
    config = _with_budget(config, definitions_of(spec))
    _check_strategy(config, spaces)
    _check_limits(config, spaces)
    spec["HyperParameterTuningJobConfig"] = config
    parallel = config["ResourceLimits"]["MaxParallelTrainingJobs"]
    for training in trainings(spec):
        training_requests.check(training)
        resources = training["ResourceConfig"]
        wanted = {resources["InstanceType"]: parallel * resources["InstanceCount"]}
        check_instances("training job", wanted, {})
    return spec


def trainings(spec: Json) -> list[Json]:
    """Return a CreateTrainingJob request of each definition."""
    config = spec["HyperParameterTuningJobConfig"]
    return [
        training_request(_SAMPLE_NAME, definition, random_point(_space(definition, config), 0))
        for definition in definitions_of(spec)
    ]


def _check_places(spec: Json, config: Json) -> None:
    """Refuse objectives and ranges that stand in the wrong place, or nowhere."""
    members = (
        ("HyperParameterTuningJobObjective", "TuningObjective"),
        ("ParameterRanges", "HyperParameterRanges"),
    )
    several = "TrainingJobDefinitions" in spec
    for of_job, of_definition in members:
        for number, definition in enumerate(definitions_of(spec), 1):
            own, shared = bool(definition.get(of_definition)), bool(config.get(of_job))
            if several and (shared or not own):
                raise Invalid(
                    f"With TrainingJobDefinitions, {of_definition} belongs into each of them (the one with "
                    "number "
                    f"{number} too), and {of_job} is left out of HyperParameterTuningJobConfig."
                )
            if not several and (own or not shared):
                raise Invalid(
                    f"With one TrainingJobDefinition, give HyperParameterTuningJobConfig.{of_job}, and leave "
                    f"{of_definition} out of the definition."
                )
    names = [definition.get("DefinitionName") for definition in definitions_of(spec)]
    if several and (None in names or len(set(names)) < len(names)):
        raise Invalid("Each of TrainingJobDefinitions needs a DefinitionName of its own.")


def _space(definition: Json, config: Json) -> Space:
    at = "HyperParameterRanges." if "HyperParameterRanges" in definition else "ParameterRanges."
    try:
        return space_of(tuned_of(definition, config), at)
    except BadRange as fault:
        raise Invalid(str(fault)) from fault


def _check_objective(definition: Json, objective: Objective) -> None:
    algorithm = definition["AlgorithmSpecification"]
    image = algorithm.get("TrainingImage", "")
    if trains_built_in(definition):
        known = MAXIMISED if objective.maximise else MINIMISED
        if objective.metric not in {f"validation:{metric}" for metric in known}:
            raise Invalid(
                f"The objective metric for the hyperparameter tuning job, [{objective.metric}], isn't valid "
                "for "
                f"the [{image}] algorithm. Choose a valid objective metric: one to "
                f"{'maximize' if objective.maximise else 'minimize'}, such as validation:{known[1]}."
            )
    elif objective.metric not in {one["Name"] for one in algorithm.get("MetricDefinitions", [])}:
        raise Invalid(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric in the "
            "metric "
            "definitions."
        )


def _check_hyperparameters(definition: Json, objective: Objective, space: Space) -> None:
    static = definition.get("StaticHyperParameters", {})
    names = {one.name for one in space}
    if not names:
        raise Invalid("There is no hyperparameter to tune: give at least one range.")
    both = sorted(names & static.keys())
    if both:
        raise Invalid(
            f"Hyperparameter {both[0]} is both in StaticHyperParameters and in a range; leave one of them "
            "out."
        )
    given = static.get(OBJECTIVE_HYPERPARAMETER, objective.metric)
    if given != objective.metric or OBJECTIVE_HYPERPARAMETER in names:
        raise Invalid(
            f"Hyperparameter {OBJECTIVE_HYPERPARAMETER} is set to the objective {objective.metric}; leave it "
            "out."
        )
    total = len(names | static.keys() | {OBJECTIVE_HYPERPARAMETER})
    if total > MOST_HYPERPARAMETERS:
        raise Invalid(
            f"There are {total} hyperparameters, static and to tune; at most {MOST_HYPERPARAMETERS} may be."
        )


def _with_objectives(spec: Json) -> Json:
    """Return the request whose definitions tell their algorithms what is optimised."""
    config = spec["HyperParameterTuningJobConfig"]

    def told(definition: Json) -> Json:
        static = static_hyperparameters(definition, objective_of(definition, config))
        return {**definition, "StaticHyperParameters": static}

    if "TrainingJobDefinitions" in spec:
        return {**spec, "TrainingJobDefinitions": [told(one) for one in spec["TrainingJobDefinitions"]]}
    return {**spec, "TrainingJobDefinition": told(spec["TrainingJobDefinition"])}


def _with_budget(config: Json, definitions: list[Json]) -> Json:
    """Return the job's config with Hyperband's whole budget; refuse a budget that nobody asks for."""
    given = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    if config["Strategy"] != Strategy.HYPERBAND:
        if given:
            raise Invalid(
                "StrategyConfig.HyperbandStrategyConfig is for strategy Hyperband, not "
                f"{config['Strategy']}; "
                "leave it out."
            )
        return config
    epochs = [
        int(one["StaticHyperParameters"][name])
        for one in definitions
        for name in EPOCHS
        if one["StaticHyperParameters"].get(name, "").isdecimal()
    ]
    least, most = given.get("MinResource", 1), given.get("MaxResource", max(epochs, default=None))
    if most is None:
        raise Invalid(
            "Strategy Hyperband needs StrategyConfig.HyperbandStrategyConfig.MaxResource: the most reports "
            "of the "
            f"objective that a training job makes. It may also be the static hyperparameter {EPOCHS[0]}."
        )
    if not least <= most <= MOST_RESOURCE:
        raise Invalid(
            f"HyperbandStrategyConfig: MinResource {least} must not be above MaxResource {most}, nor that "
            "above "
            f"{MOST_RESOURCE}."
        )
    budget = {"MinResource": least, "MaxResource": most}
    return {**config, "StrategyConfig": {"HyperbandStrategyConfig": budget}}


def _check_limits(config: Json, spaces: list[Space]) -> None:
    limits, strategy = config["ResourceLimits"], config["Strategy"]
    parallel, total = limits["MaxParallelTrainingJobs"], limits.get("MaxNumberOfTrainingJobs")
    most = MOST_RANDOM_JOBS if strategy == Strategy.RANDOM else MOST_JOBS
    for member, value, limit in (
        ("MaxParallelTrainingJobs", parallel, MOST_PARALLEL),
        ("MaxNumberOfTrainingJobs", total or 0, most),
    ):
        if value > limit:
            raise OverLimit(f"ResourceLimits.{member} {value} is above the limit of {limit}; lower it.")
    if total is None:
        criteria = config.get("TuningJobCompletionCriteria")
        if strategy != Strategy.GRID and "MaxRuntimeInSeconds" not in limits and not criteria:
            raise Invalid(
                "ResourceLimits.MaxNumberOfTrainingJobs is missing: give it, or MaxRuntimeInSeconds, or "
                "TuningJobCompletionCriteria."
            )
    elif parallel > total:
        raise Invalid(
            f"ResourceLimits.MaxParallelTrainingJobs {parallel} is above MaxNumberOfTrainingJobs {total}; "
            "lower it."
        )
    counts = [combinations(space) for space in spaces]
    known = sum(count for count in counts if count is not None)
    if total is not None and None not in counts and known < total:
        raise Invalid(
            "You don't have enough combinations of hyperparameter ranges. The total number of hyperparameter "
            f"combinations for the provided ranges [{float(known)}] must be equal or greater than the value "
            "of "
            f"MaxNumberOfJobs, [{total}]. Provide additional ranges."
        )
    if strategy == Strategy.GRID and total is None and known > MOST_JOBS:
        raise OverLimit(f"The grid has {known} combinations; at most {MOST_JOBS} training jobs may be.")


def _check_strategy(config: Json, spaces: list[Space]) -> None:
    strategy = config["Strategy"]
    if strategy == Strategy.HYPERBAND and config.get("TrainingJobEarlyStoppingType") == "Auto":
        raise Invalid(
            "TrainingJobEarlyStoppingType Auto does not go with strategy Hyperband, which stops training "
            "jobs by "
            "itself; give Off."
        )
    numeric = (one.name for space in spaces for one in space if not isinstance(one, Categorical))
    wrong = next(numeric, None) if strategy == Strategy.GRID else None
    if wrong is not None:
        raise Invalid(
            f"Strategy Grid takes CategoricalParameterRanges only; give the values of {wrong} one by one."
        )

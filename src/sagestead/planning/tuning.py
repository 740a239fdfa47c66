"""What to do next about a tuning job.

Rule: a trial begins in two looks. The first records its number and which trials are under way; the second
chooses its point from what was known by then and launches it. So a crash between any two steps, whatever ends
meanwhile, changes neither the point nor the number of trials. Once the end is decided it stays decided.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sagestead.domain.early_stopping import Curve, Halving, is_below_median
from sagestead.domain.job_status import TERMINAL, JobStatus
from sagestead.domain.resources import Json, Resource
from sagestead.domain.search_space import seed_of
from sagestead.domain.tuning import (
    Objective,
    ObjectiveStatus,
    Observation,
    Question,
    Strategy,
    Trial,
    best_trial,
    is_converged,
    losses_by_end,
    not_improving,
    objective_counters,
    status_counters,
)
from sagestead.planning.steps import LaunchTrial, Plan, Step, StopTrial
from sagestead.planning.trials import Search, search_of, summary, trials_of

LOOK_SECONDS = 5.0
CURVE_SECONDS = 0.5
"""How often trials under way are judged, when they may be stopped early."""

EXPLORING = 10
FEWEST_EXPLORING = 4
FIRST_ATTEMPTS = 5
LONGEST_SECONDS = 30 * 86400

NO_SUCCESS = (
    "No training job succeeded after 5 attempts. Please take a look at the training job failures to get more "
    "details."
)
NO_METRIC = (
    "No objective metrics found after running 5 training jobs. Please ensure that the custom algorithm is "
    "emitting the objective metric as defined by the regular expression provided."
)
ALL_FAILED = "All training jobs failed. Please take a look at the training jobs failures to get more details."


@dataclass(frozen=True, slots=True)
class Observed:
    """What can be seen around a tuning job.

    Attributes:
        children: its training jobs.
        inherited: what warm start's parents tried, as the next question takes it.
        curves: losses that each trial has reported so far, by training job name; of jobs that stop early.
    """

    children: tuple[Resource, ...]
    inherited: tuple[Observation, ...] = ()
    curves: Mapping[str, Curve] = field(default_factory=dict)


def plan(job: Resource, seen: Observed, now: float) -> Plan:
    """Return what to do now about a tuning job."""
    if job.status in TERMINAL:
        return Plan((), job.status, job.detail)
    search = search_of(job)
    trials = trials_of(seen.children)
    detail = {**job.detail, **_results(job, search, trials)}
    end = detail.get("_end") or _end(job, search, trials, now)
    if end is not None:
        return _ending({**detail, "_end": end}, job, trials, now)
    return _going_on(detail, _Look(job, search, trials, seen, now))


def give_up(job: Resource, reason: str, now: float) -> Plan | None:
    """Return the plan that ends a job which cannot be carried on; None when it ended already."""
    if job.status in TERMINAL:
        return None
    return _over({**job.detail, "_end": {"status": JobStatus.FAILED.value, "reason": reason}}, job, now)


def stops_early(job: Resource) -> bool:
    """Say whether trials may be stopped for what they report."""
    config = job.spec["HyperParameterTuningJobConfig"]
    words = config["Strategy"], config.get("TrainingJobEarlyStoppingType")
    return Strategy.HYPERBAND in words or "Auto" in words


def is_asking(job: Resource) -> bool:
    """Say whether the next look chooses a point."""
    return job.detail.get("_asking") is not None


def question(
    search: Search,
    trials: Sequence[Trial],
    inherited: tuple[Observation, ...],
    number: int,
    pending: Collection[int],
) -> Question:
    """Return the question whose answer is the point of a trial, as it was when `pending` were under way."""
    definition, index = search.place(number)
    objective = search.objectives[definition]
    history = tuple(
        Observation(trial.point, None if trial.number in pending else loss_of(trial, objective))
        for trial in trials
        if trial.definition == definition and trial.number < number
    )
    share = (search.total or EXPLORING * 3) // (3 * len(search.definitions))
    return Question(
        search.strategy,
        search.spaces[definition],
        inherited + history,
        seed_of(search.seed, definition),
        index,
        max(0, min(EXPLORING, max(FEWEST_EXPLORING, share)) - len(inherited)),
    )


@dataclass(frozen=True, slots=True)
class _Look:
    job: Resource
    search: Search
    trials: Sequence[Trial]
    seen: Observed
    now: float


def _going_on(detail: Json, look: _Look) -> Plan:
    """Launch the trial that was announced, stop those not worth it, announce the next one."""
    steps: list[Step] = []
    under_way = [trial.number for trial in look.trials if not trial.is_over]
    asking = detail.pop("_asking", None)
    if asking is not None:
        number, pending = asking["number"], tuple(asking["pending"])
        if number not in {trial.number for trial in look.trials}:
            asked = question(look.search, look.trials, look.seen.inherited, number, pending)
            steps.append(LaunchTrial(number, pending, asked))
            under_way.append(number)
            detail |= _counted(detail)
        detail["_launched"] = number
    steps += [StopTrial(trial.name) for trial in _not_worth_it(look)]
    number = detail.get("_launched", 0) + 1
    has_room = len(under_way) < look.search.parallel
    if has_room and (look.search.total is None or number <= look.search.total):
        detail["_asking"] = {"number": number, "pending": under_way}
        return Plan(tuple(steps), look.job.status, detail, look.now)
    pause = CURVE_SECONDS if stops_early(look.job) else LOOK_SECONDS
    return Plan(tuple(steps), look.job.status, detail, min(look.now + pause, _deadline(look.job)))


def _counted(detail: Json) -> Json:
    """Return the counters with the trial that is being launched."""
    statuses, objectives = detail["TrainingJobStatusCounters"], detail["ObjectiveStatusCounters"]
    return {
        "TrainingJobStatusCounters": {**statuses, "InProgress": statuses["InProgress"] + 1},
        "ObjectiveStatusCounters": {**objectives, "Pending": objectives["Pending"] + 1},
    }


def _not_worth_it(look: _Look) -> Iterator[Trial]:
    """Yield the trials under way that are to be stopped."""
    if not stops_early(look.job):
        return
    config = look.job.spec["HyperParameterTuningJobConfig"]
    halving = _halving(config)
    for trial in look.trials:
        curve = look.seen.curves.get(trial.name, ())
        if trial.status != JobStatus.IN_PROGRESS or not curve:
            continue
        alike = [other for other in look.trials if other.definition == trial.definition]
        if halving is None:
            earlier = [other for other in alike if other.number < trial.number]
            is_bad = is_below_median(curve, [look.seen.curves.get(other.name, ()) for other in earlier])
        else:
            places = {look.search.place(other.number)[1]: other.name for other in alike}
            curves = [look.seen.curves.get(places.get(index, ""), ()) for index in range(max(places) + 1)]
            is_bad = halving.ends(look.search.place(trial.number)[1], curves)
        if is_bad:
            yield trial


def _halving(config: Json) -> Halving | None:
    if config["Strategy"] != Strategy.HYPERBAND:
        return None
    budget = config["StrategyConfig"]["HyperbandStrategyConfig"]
    return Halving(budget["MinResource"], budget["MaxResource"])


def _end(job: Resource, search: Search, trials: Sequence[Trial], now: float) -> Json | None:
    """Return how the job ends, if it ends now."""
    if job.status == JobStatus.STOPPING:
        return {"status": JobStatus.STOPPED.value}
    over = [trial for trial in trials if trial.is_over]
    is_any_good = any(trial.objective_status is ObjectiveStatus.SUCCEEDED for trial in over)
    if len(over) >= FIRST_ATTEMPTS and not is_any_good:
        has_run = any(trial.status != JobStatus.FAILED for trial in over)
        return {"status": JobStatus.FAILED.value, "reason": NO_METRIC if has_run else NO_SUCCESS}
    is_all = search.total is not None and job.detail.get("_launched", 0) >= search.total
    if is_all and len(over) == len(trials):
        if is_any_good:
            return {"status": JobStatus.COMPLETED.value}
        return {"status": JobStatus.FAILED.value, "reason": ALL_FAILED}
    if now >= _deadline(job) or _has_enough(job, search, trials):
        return {"status": JobStatus.COMPLETED.value}
    return None


def _has_enough(job: Resource, search: Search, trials: Sequence[Trial]) -> bool:
    """Say whether a completion criterion is met."""
    criteria = job.spec["HyperParameterTuningJobConfig"].get("TuningJobCompletionCriteria", {})
    losses = losses_by_end(trials, search.objectives)
    if not criteria or not losses:
        return False
    target = criteria.get("TargetObjectiveMetricValue")
    if target is not None and min(losses) <= search.objectives[0].loss(target):
        return True
    most = criteria.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving")
    if most is not None and not_improving(losses) >= most:
        return True
    return looks_for_convergence(criteria) and is_converged(losses)


def looks_for_convergence(criteria: Json) -> bool:
    """Say whether the job ends when its search has converged."""
    return bool(criteria.get("ConvergenceDetected", {}).get("CompleteOnConvergence") == "Enabled")


def _results(job: Resource, search: Search, trials: Sequence[Trial]) -> Json:
    """Return what Describe shows of the trials."""
    found: Json = {
        "TrainingJobStatusCounters": status_counters(trials),
        "ObjectiveStatusCounters": objective_counters(trials),
    }
    best = best_trial(trials, search.objectives)
    if best is not None:
        found["BestTrainingJob"] = summary(best, search)
    if "_inherited_best" in job.detail:
        overall = _overall(job, found.get("BestTrainingJob"), search)
        if overall is not None:
            found["OverallBestTrainingJob"] = overall
    losses = losses_by_end(trials, search.objectives)
    if losses:
        details: Json = {"NumberOfTrainingJobsObjectiveNotImproving": not_improving(losses)}
        if is_converged(losses):
            before = job.detail.get("TuningJobCompletionDetails", {}).get("ConvergenceDetectedTime")
            details["ConvergenceDetectedTime"] = before or max(trial.ended_at or 0.0 for trial in trials)
        found["TuningJobCompletionDetails"] = details
    return found


def _overall(job: Resource, best: Json | None, search: Search) -> Json | None:
    """Return the best of this job's best and its parents' best."""
    found: list[Json] = list(job.detail["_inherited_best"])
    if best is not None:
        found.append({**best, "TuningJobName": job.key.name})
    loss = search.objectives[0].loss
    metric = "FinalHyperParameterTuningJobObjectiveMetric"
    return min(found, key=lambda one: loss(one[metric]["Value"]), default=None)


def _ending(detail: Json, job: Resource, trials: Sequence[Trial], now: float) -> Plan:
    """Stop what is under way; the job is over when nothing is."""
    detail.pop("_asking", None)
    under_way = [trial for trial in trials if not trial.is_over]
    if not under_way:
        return _over(detail, job, now)
    steps = tuple(StopTrial(trial.name) for trial in under_way if trial.status == JobStatus.IN_PROGRESS)
    return Plan(steps, job.status, detail, now + LOOK_SECONDS)


def _over(detail: Json, job: Resource, now: float) -> Plan:
    end = detail["_end"]
    status = end["status"]
    if job.status == JobStatus.STOPPING and status == JobStatus.COMPLETED:
        status = JobStatus.STOPPED.value
    detail = {name: value for name, value in detail.items() if name not in {"_end", "_asking"}}
    if status == JobStatus.FAILED:
        detail["FailureReason"] = end["reason"]
    detail["HyperParameterTuningEndTime"] = round(now, 3)
    detail["ConsumedResources"] = {"RuntimeInSeconds": max(1, round(now - job.created_at))}
    return Plan((), status, detail)


def loss_of(trial: Trial, objective: Objective) -> float:
    """Return a trial's loss (less is better); inf when it failed."""
    if trial.value is None or trial.objective_status is not ObjectiveStatus.SUCCEEDED:
        return math.inf
    return objective.loss(trial.value)


def _deadline(job: Resource) -> float:
    limits = job.spec["HyperParameterTuningJobConfig"]["ResourceLimits"]
    runtime: float = limits.get("MaxRuntimeInSeconds", LONGEST_SECONDS)
    return job.created_at + runtime

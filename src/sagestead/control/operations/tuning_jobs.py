"""Tuning jobs (spec: control-plane.md section 9, tuning.md).

Rule: as for training jobs. What a tuning job shows of its trials is what the reconciler noted at its last
look, so that an answer costs the same however many trials there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sagestead.control.context import Context, Hold, Operation
from sagestead.control.listing import ListOf, cut
from sagestead.control.operations import jobs, records, tuning_requests, warm_starts
from sagestead.control.operations.tags import tags_of
from sagestead.control.operations.training_requests import check_references
from sagestead.control.trial_records import children_of
from sagestead.domain.errors import InUse, NotFound
from sagestead.domain.job_status import JobStatus
from sagestead.domain.metrics import definitions_of, with_objective
from sagestead.domain.resources import Json, Kind, Resource
from sagestead.domain.tuning import Trial, objective_counters, status_counters
from sagestead.planning.steps import shown
from sagestead.planning.trials import objective_of, resource_config, search_of, summary, trials_of

NAME = "HyperParameterTuningJobName"
STATUS = "HyperParameterTuningJobStatus"


def create_hyper_parameter_tuning_job(ctx: Context, request: Json) -> Json:
    """CreateHyperParameterTuningJob: checks as CreateTrainingJob does, then the search and its parents."""
    name = request[NAME]
    spec = tuning_requests.completed(request)
    tags = tags_of(request)
    existing = records.in_any_case(ctx, Kind.TUNING_JOB, name)
    if existing is not None:
        raise _taken(existing)
    for training in tuning_requests.trainings(spec):
        check_references(ctx, training)
    inherited = warm_starts.inherited(ctx, spec)
    draft = replace(
        records.draft(ctx, Kind.TUNING_JOB, name, spec, tags),
        status=JobStatus.IN_PROGRESS.value,
        detail={
            "TrainingJobStatusCounters": status_counters([]),
            "ObjectiveStatusCounters": objective_counters([]),
            **inherited,
        },
        due_at=ctx.now,
    )
    return {"HyperParameterTuningJobArn": records.create(ctx, draft, _taken).arn}


def describe_hyper_parameter_tuning_job(ctx: Context, request: Json) -> Json:
    """DescribeHyperParameterTuningJob."""
    return described(_find(ctx, request[NAME]))


def described(job: Resource) -> Json:
    """Return what is shown of a tuning job."""
    config = job.spec["HyperParameterTuningJobConfig"]
    answer = {**job.spec, **shown(job.detail)}
    if "TrainingJobDefinition" in answer:
        answer["TrainingJobDefinition"] = _definition(answer["TrainingJobDefinition"], config)
    if "TrainingJobDefinitions" in answer:
        answer["TrainingJobDefinitions"] = [
            _definition(one, config) for one in answer["TrainingJobDefinitions"]
        ]
    return {
        **answer,
        NAME: job.key.name,
        "HyperParameterTuningJobArn": job.arn,
        STATUS: job.status,
        "CreationTime": job.created_at,
        "LastModifiedTime": job.modified_at,
    }


def list_hyper_parameter_tuning_jobs(ctx: Context, request: Json) -> Json:
    """ListHyperParameterTuningJobs: newest first, unless an order is asked for."""
    jobs = ListOf(Kind.TUNING_JOB, "HyperParameterTuningJobSummaries", _summary)
    return jobs(ctx, _in_order(request))


def list_training_jobs_for_hyper_parameter_tuning_job(ctx: Context, request: Json) -> Json:
    """ListTrainingJobsForHyperParameterTuningJob: newest first, unless an order is asked for.

    By FinalObjectiveMetricValue, trials without an objective are left out.
    """
    job = _find(ctx, request[NAME])
    search = search_of(job)
    asked = _in_order(request)
    sort_by = asked.get("SortBy", "CreationTime")
    trials = [
        trial
        for trial in trials_of(children_of(ctx.resources, job))
        if request.get("StatusEquals") in {None, trial.status}
        and (sort_by != "FinalObjectiveMetricValue" or trial.value is not None)
    ]
    rows, token = cut(
        trials,
        _PLACES[sort_by],
        descending=asked.get("SortOrder", "Descending") == "Descending",
        request=request,
        question=(job.arn, job.created_at, sort_by, asked.get("SortOrder"), request.get("StatusEquals")),
    )
    answer: Json = {"TrainingJobSummaries": [summary(trial, search) for trial in rows]}
    return answer if token is None else {**answer, "NextToken": token}


def stop_hyper_parameter_tuning_job(ctx: Context, request: Json) -> Json:
    """StopHyperParameterTuningJob: stopping again is fine; a job that has ended is refused."""
    jobs.stop(ctx, lambda: _find(ctx, request[NAME]), "tuning job")
    return {}


def delete_hyper_parameter_tuning_job(ctx: Context, request: Json) -> Json:
    """DeleteHyperParameterTuningJob: only what has ended; its training jobs stay."""
    records.delete(ctx, lambda: _find(ctx, request[NAME]), lambda seen: jobs.check_ended(seen, "tuning job"))
    return {}


def _find(ctx: Context, name: str) -> Resource:
    job = records.find(ctx, Kind.TUNING_JOB, name)
    if job is None:
        raise NotFound(
            f"Amazon SageMaker can't find a tuning job with the name {name}; check the name, or create it."
        )
    return job


def _definition(definition: Json, config: Json) -> Json:
    """Return a training job definition with the metrics that its jobs have without saying so."""
    found = definitions_of(definition)
    objective = with_objective(found, objective_of(definition, config).metric)
    algorithm = {**definition["AlgorithmSpecification"], "MetricDefinitions": found + objective}
    output = {"KmsKeyId": "", **definition["OutputDataConfig"]}
    return {
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
        **definition,
        "ResourceConfig": resource_config(definition),  # whichever was asked for: SDKs read this one
        "AlgorithmSpecification": algorithm,
        "OutputDataConfig": output,
    }


def _in_order(request: Json) -> Json:
    """Return a list's request with the order that AWS documents for one that names what to sort by."""
    is_half = "SortBy" in request and "SortOrder" not in request
    return {**request, "SortOrder": "Ascending"} if is_half else request


def _taken(existing: Resource) -> InUse:
    return InUse(
        "Tuning job names must be unique within an AWS account and region, and a tuning job with this name "
        f"already exists ({existing.arn})"
    )


def _summary(job: Resource) -> Json:
    config = job.spec["HyperParameterTuningJobConfig"]
    return {
        NAME: job.key.name,
        "HyperParameterTuningJobArn": job.arn,
        STATUS: job.status,
        "Strategy": config["Strategy"],
        "CreationTime": job.created_at,
        "HyperParameterTuningEndTime": job.detail.get("HyperParameterTuningEndTime"),
        "LastModifiedTime": job.modified_at,
        "TrainingJobStatusCounters": job.detail["TrainingJobStatusCounters"],
        "ObjectiveStatusCounters": job.detail["ObjectiveStatusCounters"],
        "ResourceLimits": config["ResourceLimits"],
    }


_PLACES: dict[str, Callable[[Trial], tuple[Any, str]]] = {
    "Name": lambda trial: (trial.name, trial.name),
    "CreationTime": lambda trial: (trial.created_at, trial.name),
    "Status": lambda trial: (trial.status, trial.name),
    "FinalObjectiveMetricValue": lambda trial: (trial.value, trial.name),
}

OPERATIONS: dict[str, Operation] = {
    "CreateHyperParameterTuningJob": create_hyper_parameter_tuning_job,
    "DescribeHyperParameterTuningJob": describe_hyper_parameter_tuning_job,
    "ListHyperParameterTuningJobs": list_hyper_parameter_tuning_jobs,
    "ListTrainingJobsForHyperParameterTuningJob": list_training_jobs_for_hyper_parameter_tuning_job,
    "StopHyperParameterTuningJob": stop_hyper_parameter_tuning_job,
    "DeleteHyperParameterTuningJob": delete_hyper_parameter_tuning_job,
}

HOLDS: dict[str, Hold] = {
    # Its trials write all the time; it ends once, after minutes or hours.
    "DescribeHyperParameterTuningJob": Hold(
        STATUS, frozenset({JobStatus.IN_PROGRESS.value, JobStatus.STOPPING.value}), glance=0.1
    ),
}

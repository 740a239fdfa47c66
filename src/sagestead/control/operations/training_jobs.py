"""Training jobs (spec: control-plane.md section 8).

Rule: an operation stores the request and says what is wanted; the reconciler trains, and writes what became
of it into `detail`.
"""

from __future__ import annotations

from dataclasses import replace

from sagestead.control.context import Context, Hold, Operation
from sagestead.control.listing import ListOf
from sagestead.control.operations import jobs, records, training_requests
from sagestead.control.operations.tags import tags_of
from sagestead.domain.errors import InUse, Invalid
from sagestead.domain.job_status import JobStatus
from sagestead.domain.metrics import definitions_of
from sagestead.domain.resources import Json, Kind, Resource
from sagestead.domain.s3_uri import locate
from sagestead.domain.training import enter
from sagestead.ports import Change


def create_training_job(ctx: Context, request: Json) -> Json:
    """CreateTrainingJob: checks the members, the role, the data and the output's bucket."""
    name = request["TrainingJobName"]
    training_requests.check(request)
    tags = tags_of(request)
    existing = records.in_any_case(ctx, Kind.TRAINING_JOB, name)
    if existing is not None:
        raise _taken(existing)
    training_requests.check_references(ctx, request)
    stopping = {
        "MaxRuntimeInSeconds": training_requests.DEFAULT_RUNTIME,
        **request.get("StoppingCondition", {}),
    }
    draft = records.draft(ctx, Kind.TRAINING_JOB, name, {**request, "StoppingCondition": stopping}, tags)
    draft = replace(
        draft,
        status=JobStatus.IN_PROGRESS.value,
        detail=enter({}, "Starting", ctx.now),
        due_at=ctx.now,
    )
    return {"TrainingJobArn": records.create(ctx, draft, _taken).arn}


def describe_training_job(ctx: Context, request: Json) -> Json:
    """DescribeTrainingJob."""
    return described(find_training_job(ctx, request["TrainingJobName"]))


def described(job: Resource) -> Json:
    """Return what is shown of a training job."""
    detail = {name: value for name, value in job.detail.items() if not name.startswith("_")}
    return {
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
        "ProfilingStatus": "Disabled",
        **job.spec,
        **detail,
        "AlgorithmSpecification": _algorithm(job.spec),
        "OutputDataConfig": {"KmsKeyId": "", **job.spec["OutputDataConfig"]},
        "ModelArtifacts": {"S3ModelArtifacts": model_artifacts(job)},
        "TrainingJobName": job.key.name,
        "TrainingJobArn": job.arn,
        "TrainingJobStatus": job.status,
        "CreationTime": job.created_at,
        "LastModifiedTime": job.modified_at,
    }


def list_training_jobs(ctx: Context, request: Json) -> Json:
    """ListTrainingJobs: no job has a warm pool or a training plan, so filters on those find none."""
    if request.get("WarmPoolStatusEquals") or request.get("TrainingPlanArnEquals"):
        return {"TrainingJobSummaries": []}
    jobs = ListOf(
        Kind.TRAINING_JOB, "TrainingJobSummaries", _summary, descending=False, status_after_page=True
    )
    return jobs(ctx, request)


def stop_training_job(ctx: Context, request: Json) -> Json:
    """StopTrainingJob: stopping again is fine; a job that has ended is refused."""
    jobs.stop(ctx, lambda: find_training_job(ctx, request["TrainingJobName"]), "training job")
    return {}


def update_training_job(ctx: Context, request: Json) -> Json:
    """UpdateTrainingJob: of a job in progress; there is only the profiler to turn off, which is off."""
    training_requests.check_update(request)
    profiler = request.get("ProfilerConfig")

    def decide(seen: Resource) -> Change | None:
        if seen.status != JobStatus.IN_PROGRESS:
            raise Invalid(f"The request was rejected because the training job is in status {seen.status}.")
        if profiler is None:
            return None
        merged = {**seen.spec.get("ProfilerConfig", {}), **profiler}
        return Change(seen.due_at, spec={**seen.spec, "ProfilerConfig": merged})

    records.change(ctx, lambda: find_training_job(ctx, request["TrainingJobName"]), decide)
    return {"TrainingJobArn": find_training_job(ctx, request["TrainingJobName"]).arn}


def delete_training_job(ctx: Context, request: Json) -> Json:
    """DeleteTrainingJob: only what has ended; the name may be used again."""
    jobs.delete(ctx, lambda: find_training_job(ctx, request["TrainingJobName"]), "training job")
    return {}


def find_training_job(ctx: Context, name: str) -> Resource:
    """Return the caller's job; raise `Invalid` with AWS's sentence when there is none."""
    job = records.find(ctx, Kind.TRAINING_JOB, name)
    if job is None:
        raise Invalid("Requested resource not found.")
    return job


def model_artifacts(job: Resource) -> str:
    """Return the S3 URI of what the job leaves (or will leave) as its model."""
    output = job.spec["OutputDataConfig"]
    leaf = "model/" if output.get("CompressionType") == "NONE" else "model.tar.gz"
    place = locate(output["S3OutputPath"], "OutputDataConfig.S3OutputPath")
    return f"{str(place).rstrip('/')}/{job.key.name}/output/{leaf}"


def _algorithm(spec: Json) -> Json:
    """Return the AlgorithmSpecification with the metrics that the job has without saying so."""
    shown = {"EnableSageMakerMetricsTimeSeries": False, **spec["AlgorithmSpecification"]}
    definitions = definitions_of(spec)
    return {**shown, "MetricDefinitions": definitions} if definitions else shown


def _taken(existing: Resource) -> InUse:
    return InUse(
        "Training job names must be unique within an AWS account and region, and a training job with this "
        f"name already exists ({existing.arn})"
    )


def _summary(job: Resource) -> Json:
    return {
        "TrainingJobName": job.key.name,
        "TrainingJobArn": job.arn,
        "CreationTime": job.created_at,
        "TrainingEndTime": job.detail.get("TrainingEndTime"),
        "LastModifiedTime": job.modified_at,
        "TrainingJobStatus": job.status,
        "SecondaryStatus": job.detail["SecondaryStatus"],
    }


OPERATIONS: dict[str, Operation] = {
    "CreateTrainingJob": create_training_job,
    "DescribeTrainingJob": describe_training_job,
    "ListTrainingJobs": list_training_jobs,
    "StopTrainingJob": stop_training_job,
    "UpdateTrainingJob": update_training_job,
    "DeleteTrainingJob": delete_training_job,
}

HOLDS: dict[str, Hold] = {
    "DescribeTrainingJob": Hold(
        "TrainingJobStatus", frozenset({JobStatus.IN_PROGRESS.value, JobStatus.STOPPING.value})
    ),
}

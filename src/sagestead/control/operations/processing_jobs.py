"""Processing jobs (spec: control-plane.md sections 2 and 3; the members as botocore's model has them).

Rule: as for training jobs: an operation stores the request and says what is wanted; the reconciler processes,
and writes what became of it into `detail`.
"""

from __future__ import annotations

from dataclasses import replace

from sagestead.control.context import Context, Hold, Operation
from sagestead.control.listing import ListOf
from sagestead.control.operations import jobs, processing_requests, records
from sagestead.control.operations.tags import tags_of
from sagestead.domain.errors import InUse, Invalid
from sagestead.domain.job_status import JobStatus
from sagestead.domain.processing import DEFAULT_RUNTIME
from sagestead.domain.resources import Json, Kind, Resource

_INPUT = {
    "S3InputMode": "File",
    "S3DataDistributionType": "FullyReplicated",
    "S3CompressionType": "None",
}


def create_processing_job(ctx: Context, request: Json) -> Json:
    """CreateProcessingJob: checks the members, the role and the outputs' buckets.

    Whether there is any input is found out when the job runs, as AWS does.
    """
    name = request["ProcessingJobName"]
    processing_requests.check(request)
    tags = tags_of(request)
    existing = records.in_any_case(ctx, Kind.PROCESSING_JOB, name)
    if existing is not None:
        raise _taken(existing)
    processing_requests.check_references(ctx, request)
    spec = {"StoppingCondition": {"MaxRuntimeInSeconds": DEFAULT_RUNTIME}, **request}
    draft = replace(
        records.draft(ctx, Kind.PROCESSING_JOB, name, spec, tags),
        status=JobStatus.IN_PROGRESS.value,
        due_at=ctx.now,
    )
    return {"ProcessingJobArn": records.create(ctx, draft, _taken).arn}


def describe_processing_job(ctx: Context, request: Json) -> Json:
    """DescribeProcessingJob: inputs and outputs are shown with their defaults."""
    job = _find(ctx, request["ProcessingJobName"], "Could not find requested job with name: ")
    detail = {name: value for name, value in job.detail.items() if not name.startswith("_")}
    return {
        **_shown(job.spec),
        **detail,
        "ProcessingJobName": job.key.name,
        "ProcessingJobArn": job.arn,
        "ProcessingJobStatus": job.status,
        "CreationTime": job.created_at,
        "LastModifiedTime": job.modified_at,
    }


def stop_processing_job(ctx: Context, request: Json) -> Json:
    """StopProcessingJob: stopping again is fine; a job that has ended is refused."""
    name = request["ProcessingJobName"]
    jobs.stop(ctx, lambda: _find(ctx, name, "Could not find job to update with name: "), "processing job")
    return {}


def delete_processing_job(ctx: Context, request: Json) -> Json:
    """DeleteProcessingJob: only what has ended; the name may be used again."""
    name = request["ProcessingJobName"]
    jobs.delete(ctx, lambda: _find(ctx, name, "Could not find requested job with name: "), "processing job")
    return {}


def _find(ctx: Context, name: str, absent: str) -> Resource:
    job = records.find(ctx, Kind.PROCESSING_JOB, name)
    if job is None:
        raise Invalid(f"{absent}{name}")
    return job


def _shown(spec: Json) -> Json:
    shown = dict(spec)
    if "ProcessingInputs" in spec:
        shown["ProcessingInputs"] = [
            {"AppManaged": False, **one, "S3Input": {**_INPUT, **one["S3Input"]}}
            for one in spec["ProcessingInputs"]
        ]
    if "ProcessingOutputConfig" in spec:
        config = spec["ProcessingOutputConfig"]
        outputs = [{"AppManaged": False, **one} for one in config["Outputs"]]
        shown["ProcessingOutputConfig"] = {**config, "Outputs": outputs}
    return shown


def _taken(existing: Resource) -> InUse:
    return InUse(
        "Job name must be unique within an AWS account and region, and a job with this name already exists "
        f"({existing.arn})"
    )


def _summary(job: Resource) -> Json:
    return {
        "ProcessingJobName": job.key.name,
        "ProcessingJobArn": job.arn,
        "CreationTime": job.created_at,
        "ProcessingEndTime": job.detail.get("ProcessingEndTime"),
        "LastModifiedTime": job.modified_at,
        "ProcessingJobStatus": job.status,
        "FailureReason": job.detail.get("FailureReason"),
        "ExitMessage": job.detail.get("ExitMessage"),
    }


OPERATIONS: dict[str, Operation] = {
    "CreateProcessingJob": create_processing_job,
    "DescribeProcessingJob": describe_processing_job,
    "ListProcessingJobs": ListOf(Kind.PROCESSING_JOB, "ProcessingJobSummaries", _summary, descending=False),
    "StopProcessingJob": stop_processing_job,
    "DeleteProcessingJob": delete_processing_job,
}

HOLDS: dict[str, Hold] = {
    "DescribeProcessingJob": Hold(
        "ProcessingJobStatus", frozenset({JobStatus.IN_PROGRESS.value, JobStatus.STOPPING.value})
    ),
}

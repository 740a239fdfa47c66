"""Transform jobs (spec: control-plane.md section 10, batch-transform.md sections 1 and 8).

Rule: as for training jobs. `detail["_Container"]` is a snapshot of the model's container, so that the model
may be deleted while the job runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from sagestead.control.context import Context, Hold, Operation
from sagestead.control.listing import ListOf
from sagestead.control.operations import jobs, records
from sagestead.control.operations.carried_out import refuse_others, refused
from sagestead.control.operations.models import check_model_server, container_of, find_model
from sagestead.control.operations.quotas import check_instances
from sagestead.control.operations.tags import tags_of
from sagestead.control.operations.training_requests import check_bucket
from sagestead.domain.data_processing import processing_of
from sagestead.domain.errors import InUse, Invalid
from sagestead.domain.job_status import JobStatus
from sagestead.domain.resources import Json, Kind, Resource
from sagestead.domain.s3_uri import locate
from sagestead.domain.transform import TransformTask

MOST_MEGABYTES = 100
_JOB = frozenset(
    {
        "TransformJobName",
        "ModelName",
        "MaxConcurrentTransforms",
        "ModelClientConfig",  # the model is called within one process: nothing to time out or to retry
        "MaxPayloadInMB",
        "BatchStrategy",
        "Environment",
        "TransformInput",
        "TransformOutput",
        "TransformResources",
        "DataProcessing",
        "Tags",
    }
)
_UNPROCESSED: Mapping[str, str] = MappingProxyType(
    {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}
)
_ENCRYPTION = "nothing is encrypted by this server; leave it out"


def create_transform_job(ctx: Context, request: Json) -> Json:
    """CreateTransformJob: checks the members, the model and the output's bucket.

    Whether there is any input is found out when the job runs, as AWS does.
    """
    name = request["TransformJobName"]
    _check(request)
    tags = tags_of(request)
    existing = records.in_any_case(ctx, Kind.TRANSFORM_JOB, name)
    if existing is not None:
        raise _taken(existing)
    container = container_of(find_model(ctx, request["ModelName"]))
    check_model_server(container, request.get("Environment", {}), "Environment.")
    check_bucket(ctx, request["TransformOutput"]["S3OutputPath"], "TransformOutput.S3OutputPath")
    draft = replace(
        records.draft(ctx, Kind.TRANSFORM_JOB, name, request, tags),
        status=JobStatus.IN_PROGRESS.value,
        detail={"_Container": container},
        due_at=ctx.now,
    )
    return {"TransformJobArn": records.create(ctx, draft, _taken).arn}


def describe_transform_job(ctx: Context, request: Json) -> Json:
    """DescribeTransformJob."""
    name = request["TransformJobName"]
    job = _find(ctx, name, f"Could not find requested job with name: {name}")
    detail = {name: value for name, value in job.detail.items() if not name.startswith("_")}
    spec = job.spec
    return {
        **spec,
        **detail,
        "TransformInput": {"CompressionType": "None", "SplitType": "None", **spec["TransformInput"]},
        "TransformOutput": {"AssembleWith": "None", **spec["TransformOutput"]},
        "DataProcessing": {**_UNPROCESSED, **spec.get("DataProcessing", {})},
        "TransformJobName": job.key.name,
        "TransformJobArn": job.arn,
        "TransformJobStatus": job.status,
        "CreationTime": job.created_at,
    }


def stop_transform_job(ctx: Context, request: Json) -> Json:
    """StopTransformJob: stopping again is fine; a job that has ended is refused."""
    name = request["TransformJobName"]
    absent = f"Could not find job to update with name: {name}"
    jobs.stop(ctx, lambda: _find(ctx, name, absent), "transform job")
    return {}


def _find(ctx: Context, name: str, absent: str) -> Resource:
    job = records.find(ctx, Kind.TRANSFORM_JOB, name)
    if job is None:
        raise Invalid(absent)
    return job


def _check(request: Json) -> None:
    """Refuse what is not carried out and what contradicts itself."""
    refuse_others(request, _JOB, "", {"DataCaptureConfig": "inputs are kept in S3 already; leave it out"})
    read, write = request["TransformInput"], request["TransformOutput"]
    source = read["DataSource"]["S3DataSource"]
    at = "TransformInput.DataSource.S3DataSource."
    if source["S3DataType"] not in {"S3Prefix", "ManifestFile"}:
        raise refused(f"{at}S3DataType", source["S3DataType"], "give S3Prefix or ManifestFile")
    locate(source["S3Uri"], f"{at}S3Uri")
    carried_out = frozenset({"S3OutputPath", "Accept", "AssembleWith"})
    refuse_others(write, carried_out, "TransformOutput.", {"KmsKeyId": _ENCRYPTION})
    resources = request["TransformResources"]
    carried_out = frozenset({"InstanceType", "InstanceCount"})
    refuse_others(resources, carried_out, "TransformResources.", {"VolumeKmsKeyId": _ENCRYPTION})
    check_instances("transform job", {resources["InstanceType"]: resources["InstanceCount"]}, {})
    concurrent, megabytes = request.get("MaxConcurrentTransforms", 1), request.get("MaxPayloadInMB", 6)
    if concurrent * megabytes > MOST_MEGABYTES:
        raise Invalid(
            f"MaxConcurrentTransforms {concurrent} x MaxPayloadInMB {megabytes} must not exceed "
            f"{MOST_MEGABYTES} MB; lower one of them."
        )
    processing_of(TransformTask.of_request(request, []))


def _taken(existing: Resource) -> InUse:
    return InUse(
        "Job name must be unique within an AWS account and region, and a job with this name already exists "
        f"({existing.arn})"
    )


def _summary(job: Resource) -> Json:
    return {
        "TransformJobName": job.key.name,
        "TransformJobArn": job.arn,
        "CreationTime": job.created_at,
        "TransformEndTime": job.detail.get("TransformEndTime"),
        "LastModifiedTime": job.modified_at,
        "TransformJobStatus": job.status,
        "FailureReason": job.detail.get("FailureReason"),
    }


OPERATIONS: dict[str, Operation] = {
    "CreateTransformJob": create_transform_job,
    "DescribeTransformJob": describe_transform_job,
    "ListTransformJobs": ListOf(Kind.TRANSFORM_JOB, "TransformJobSummaries", _summary),
    "StopTransformJob": stop_transform_job,
}

HOLDS: dict[str, Hold] = {
    "DescribeTransformJob": Hold(
        "TransformJobStatus", frozenset({JobStatus.IN_PROGRESS.value, JobStatus.STOPPING.value})
    ),
}

"""Which log stream a run writes to (spec: operations.md section 9).

Rule: a name depends only on what is kept of a resource and of an instance, so that a restart changes nothing.
"""

from __future__ import annotations

from sagestead.domain.logs import LogStream
from sagestead.domain.resources import Kind, Resource
from sagestead.planning.training_hosts import host_of


def stream_of(owner: Resource, run_id: str, instance: str) -> LogStream:
    """Return the stream of a run's standard output and error; `instance` is its id, like EC2's."""
    key, epoch = owner.key, int(owner.created_at)
    if key.kind is Kind.TRAINING_JOB:
        return training_stream(owner, host_of(run_id))
    if key.kind is Kind.PROCESSING_JOB:
        stream = f"{key.name}/{host_of(run_id)}-{epoch}"
        return LogStream(key.account, key.region, "/aws/sagemaker/ProcessingJobs", stream)
    if key.kind is Kind.TRANSFORM_JOB:
        group, stream = "/aws/sagemaker/TransformJobs", f"{key.name}/{instance}-{epoch}"
    else:
        variant = run_id.split("/")[-2]
        group, stream = f"/aws/sagemaker/Endpoints/{key.name}", f"{variant}/{instance}"
    return LogStream(key.account, key.region, group, stream)


def training_stream(job: Resource, host: str = "algo-1") -> LogStream:
    """Return the stream of one of a training job's hosts."""
    key = job.key
    stream = f"{key.name}/{host}-{int(job.created_at)}"
    return LogStream(key.account, key.region, "/aws/sagemaker/TrainingJobs", stream)


def data_stream(main: LogStream) -> LogStream:
    """Return the stream of the platform's own lines about a transform, beside the instance's own."""
    return LogStream(main.account, main.region, main.group, f"{main.stream}/data-log")

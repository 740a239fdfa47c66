"""Which log stream a run writes to (spec: operations.md section 9).

Rule: a name depends on what the store keeps of a resource, so that it is the same after a restart.
"""

from __future__ import annotations

import hashlib

from sagestead.domain.logs import LogStream
from sagestead.domain.resources import Kind, Resource


def stream_of(owner: Resource, run_id: str) -> LogStream:
    """Return the stream of a run's standard output and error."""
    key, epoch = owner.key, int(owner.created_at)
    if key.kind is Kind.TRAINING_JOB:
        group, stream = "/aws/sagemaker/TrainingJobs", f"{key.name}/algo-1-{epoch}"
    elif key.kind is Kind.TRANSFORM_JOB:
        group, stream = "/aws/sagemaker/TransformJobs", f"{key.name}/{instance_id(owner, run_id)}-{epoch}"
    else:
        variant = run_id.split("/")[-2]
        group, stream = f"/aws/sagemaker/Endpoints/{key.name}", f"{variant}/{instance_id(owner, run_id)}"
    return LogStream(key.account, key.region, group, stream)


def data_stream_of(owner: Resource, run_id: str) -> LogStream:
    """Return the stream of the platform's own lines about a transform."""
    main = stream_of(owner, run_id)
    return LogStream(main.account, main.region, main.group, f"{main.stream}/data-log")


def instance_id(owner: Resource, run_id: str) -> str:
    """Return the name of an instance, in the form of EC2's."""
    text = f"{owner.arn} {owner.created_at} {run_id}"
    return f"i-{hashlib.sha256(text.encode()).hexdigest()[:17]}"

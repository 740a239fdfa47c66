"""A resource: anything that a client names and the server keeps.

One record serves every kind. `spec` is what the client asked for (the request, by AWS's member names);
`detail` is what became of it (by AWS's member names where the Describe answer shows it).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Json = dict[str, Any]

GLOBAL_REGION = "aws-global"


class Kind(StrEnum):
    """Kinds of resource; the value is the type part of the ARN."""

    MODEL = "model"
    ENDPOINT_CONFIG = "endpoint-config"
    ENDPOINT = "endpoint"
    TRAINING_JOB = "training-job"
    TRANSFORM_JOB = "transform-job"
    PROCESSING_JOB = "processing-job"
    TUNING_JOB = "hyper-parameter-tuning-job"
    MODEL_PACKAGE_GROUP = "model-package-group"
    MODEL_PACKAGE = "model-package"
    ROLE = "role"
    POLICY = "policy"


@dataclass(frozen=True, slots=True)
class Key:
    """The identity of a resource. Names of one account, region and kind are unique without regard to case.

    IAM's kinds live in `GLOBAL_REGION`.
    """

    kind: Kind
    account: str
    region: str
    name: str


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource as it was read.

    Attributes:
        key: identity; `key.name` has the case that the creator wrote.
        arn: Amazon resource name.
        spec: the creating (or last updating) request.
        status: word of the kind's status table; `""` for kinds without one.
        detail: everything learnt since.
        tags: tag key -> value.
        generation: counts changes of `spec`, from 1.
        version: counts every write; a write must name the version that it read.
        created_at: seconds since the epoch, rounded to milliseconds.
        modified_at: the same.
        due_at: when the reconciler should look (seconds since the epoch); `None`: nothing to do.
        lease: token of the reconciler that works on it now, if any.
    """

    key: Key
    arn: str
    spec: Json
    status: str = ""
    detail: Json = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    generation: int = 1
    version: int = 1
    created_at: float = 0.0
    modified_at: float = 0.0
    due_at: float | None = None
    lease: str | None = None


def resource_arn(key: Key, partition: str = "aws") -> str:
    """Return the ARN; SageMaker lower-cases the name part, IAM keeps it and leaves out the region."""
    if key.region == GLOBAL_REGION:
        return f"arn:{partition}:iam::{key.account}:{key.kind}/{key.name}"
    return f"arn:{partition}:sagemaker:{key.region}:{key.account}:{key.kind}/{key.name.lower()}"


def partition_of(region: str) -> str:
    """Return the ARN partition of a region (source: AWS's region table)."""
    if region.startswith("cn-"):
        return "aws-cn"
    if region.startswith("us-gov-"):
        return "aws-us-gov"
    return "aws"

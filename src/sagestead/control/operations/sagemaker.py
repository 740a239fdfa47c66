"""SageMaker: the dispatch table of all its nouns, and which of its answers are held."""

from __future__ import annotations

from sagestead.control.context import Hold, Operation
from sagestead.control.operations import (
    endpoint_configs,
    endpoints,
    model_package_groups,
    model_packages,
    models,
    monitoring,
    processing_jobs,
    search,
    tags,
    training_jobs,
    transform_jobs,
    tuning_jobs,
)

OPERATIONS: dict[str, Operation] = {
    **models.OPERATIONS,
    **model_package_groups.OPERATIONS,
    **model_packages.OPERATIONS,
    **endpoint_configs.OPERATIONS,
    **endpoints.OPERATIONS,
    **training_jobs.OPERATIONS,
    **transform_jobs.OPERATIONS,
    **processing_jobs.OPERATIONS,
    **tuning_jobs.OPERATIONS,
    **search.OPERATIONS,
    **tags.OPERATIONS,
    **monitoring.OPERATIONS,
}

HOLDS: dict[str, Hold] = {
    **endpoints.HOLDS,
    **training_jobs.HOLDS,
    **transform_jobs.HOLDS,
    **processing_jobs.HOLDS,
    **tuning_jobs.HOLDS,
}

"""What a front door serves, listed visibly: every service with its operations, behind the one gate."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from sagestead.control.api import Api
from sagestead.control.context import Context, Hold, Operation
from sagestead.control.operations import (
    endpoint_configs,
    endpoints,
    iam,
    logs,
    models,
    monitoring,
    sts,
    tags,
    training_jobs,
    transform_jobs,
)
from sagestead.frontdoor import dispatch
from sagestead.frontdoor.gate import Gate, Service
from sagestead.s3.handler import S3Handler
from sagestead.service.adapters import Adapters
from sagestead.serving.invocation import InvocationHandler
from sagestead.settings import Settings
from sagestead.wire.http import Call


def merged(*tables: Mapping[str, Operation]) -> dict[str, Operation]:
    """Return one table; an operation that stands twice is a defect."""
    result: dict[str, Operation] = {}
    for table in tables:
        for name, operation in table.items():
            if name in result:
                raise ValueError(f"operation {name} stands in two modules")
            result[name] = operation
    return result


SAGEMAKER: dict[str, Operation] = merged(
    models.OPERATIONS,
    endpoint_configs.OPERATIONS,
    endpoints.OPERATIONS,
    training_jobs.OPERATIONS,
    transform_jobs.OPERATIONS,
    tags.OPERATIONS,
    monitoring.OPERATIONS,
)
HOLDS: dict[str, Hold] = {**endpoints.HOLDS, **training_jobs.HOLDS, **transform_jobs.HOLDS}


def contexts(adapters: Adapters) -> Callable[[Call], Context]:
    """Return what makes the context of a call."""

    def make(call: Call) -> Context:
        return Context(
            principal=call.principal,
            request_id=call.request.request_id,
            now=round(time.time(), 3),
            resources=adapters.resources,
            objects=adapters.objects,
            credentials=adapters.credentials,
            logs=adapters.logs,
        )

    return make


def build_gate(settings: Settings, adapters: Adapters, invocations: InvocationHandler) -> Gate:
    """Return the app of a front door: every service that is offered, behind the one verifier."""
    make, revision, hold = contexts(adapters), adapters.resources.revision, settings.hold_seconds

    def api(
        service: str, operations: Mapping[str, Operation], holds: Mapping[str, Hold] | None = None
    ) -> Api:
        return Api(service, operations, holds or {}, make, revision, hold)

    sagemaker = frozenset({"sagemaker"})
    return Gate(
        adapters.credentials,
        [
            Service("runtime", sagemaker, "rest-json", dispatch.is_runtime, invocations),
            Service(
                "sagemaker",
                sagemaker,
                "json",
                dispatch.by_target("SageMaker."),
                api("sagemaker", SAGEMAKER, HOLDS),
            ),
            Service(
                "logs",
                frozenset({"logs"}),
                "json",
                dispatch.by_target("Logs_20140328."),
                api("logs", logs.OPERATIONS),
            ),
            Service(
                "sts",
                frozenset({"sts"}),
                "query",
                dispatch.by_signing_name("sts"),
                api("sts", sts.OPERATIONS),
            ),
            Service(
                "iam",
                frozenset({"iam"}),
                "query",
                dispatch.by_signing_name("iam"),
                api("iam", iam.OPERATIONS),
            ),
            Service(
                "s3",
                frozenset({"s3"}),
                "rest-xml",
                dispatch.is_s3,
                S3Handler(adapters.objects, settings.region),
            ),
        ],
        time.time,
        settings.region,
        unsigned_over_http=settings.loopback,
    )

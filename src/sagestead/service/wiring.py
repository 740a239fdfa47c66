"""What a front door serves, listed visibly: every service with its operations, behind the one gate."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from sagestead.control.api import Api
from sagestead.control.context import Context, Hold, Operation
from sagestead.control.operations import cloudwatch, iam, logs, sagemaker, sts
from sagestead.frontdoor import dispatch
from sagestead.frontdoor.gate import Gate, Service
from sagestead.s3.handler import S3Handler
from sagestead.service.acting import acting
from sagestead.service.adapters import Adapters
from sagestead.serving.invocation import InvocationHandler
from sagestead.settings import Settings
from sagestead.wire.http import Call

SAGEMAKER, LOGS, STS, IAM, S3, CLOUDWATCH = (
    frozenset({name}) for name in ("sagemaker", "logs", "sts", "iam", "s3", "monitoring")
)
"""What a credential scope must name, by service."""


def contexts(adapters: Adapters) -> Callable[[Call], Context]:
    """Return what makes the context of a call."""
    make = acting(adapters)
    return lambda call: replace(make(call.principal), request_id=call.request.request_id)


def build_gate(
    settings: Settings, adapters: Adapters, invocations: InvocationHandler, closing: Callable[[], bool]
) -> Gate:
    """Return the app of a front door: every service that is offered, behind the one verifier.

    Once `closing` is true no answer is held back any longer.
    """
    make, revision = contexts(adapters), adapters.resources.revision

    def patience() -> float:
        return 0.0 if closing() else settings.hold_seconds

    def api(
        service: str, operations: Mapping[str, Operation], holds: Mapping[str, Hold] | None = None
    ) -> Api:
        return Api(service, operations, holds or {}, make, revision, patience)

    target, signed = dispatch.by_target, dispatch.by_signing_name
    s3 = S3Handler(adapters.objects, settings.region)
    control = api("sagemaker", sagemaker.OPERATIONS, sagemaker.HOLDS)
    metrics = api("cloudwatch", cloudwatch.OPERATIONS)
    granite = target("GraniteServiceVersion20100801.")
    return Gate(
        adapters.credentials,
        [
            Service("runtime", SAGEMAKER, "rest-json", dispatch.is_runtime, invocations, invocations.again),
            Service("sagemaker", SAGEMAKER, "json", target("SageMaker."), control),
            Service("logs", LOGS, "json", target("Logs_20140328."), api("logs", logs.OPERATIONS)),
            Service("cloudwatch", CLOUDWATCH, "json", granite, metrics),
            Service("cloudwatch", CLOUDWATCH, "query", signed("monitoring"), metrics),
            Service("sts", STS, "query", signed("sts"), api("sts", sts.OPERATIONS)),
            Service("iam", IAM, "query", signed("iam"), api("iam", iam.OPERATIONS)),
            Service("s3", S3, "rest-xml", dispatch.is_s3, s3),
        ],
        time.time,
        settings.region,
        unsigned_over_http=settings.loopback,
    )

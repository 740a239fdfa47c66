"""What the client gets: the model's answer, or AWS's body about a model that failed.

Rule: whatever a model answers, the client gets a response that HTTP can carry (spec: runtime.md 1.2 and 3.1).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache

from sagestead.domain.resources import partition_of
from sagestead.domain.routes import Route
from sagestead.wire.http import Response
from sagestead.worker.contract import Answer

ORIGINAL_LIMIT = 8192
_CONTAINER = "primary"
_HEADER_TEXT = re.compile("[\t\x20-\x7e\x80-\xff]{0,4096}")
_OK, _CLIENT_ERROR = range(200, 300), range(400, 500)

TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency "
    "metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)
UNCARRIED = "The model answered with a header value that HTTP cannot carry."


def no_answer_text(endpoint: str) -> str:
    """Return what AWS says when no instance answers."""
    return (
        f"Amazon SageMaker could not get a response from the {endpoint} endpoint. This can occur when CPU or "
        "memory utilization is high. To check your utilization, see Amazon CloudWatch. To fix this problem, "
        "use an instance type with more CPU capacity or memory."
    )


def response(route: Route, variant: str, answer: Answer) -> Response:
    """Return the model's answer as the client sees it; any success becomes a 200."""
    if answer.status not in _OK:
        return model_error(route, answer.status, answer.body.decode("utf-8", "replace"))
    headers = _headers(variant, answer.content_type, answer.custom_attributes)
    return model_error(route, 500, UNCARRIED) if headers is None else Response(200, headers, answer.body)


@lru_cache(maxsize=256)
def _headers(variant: str, kind: str, attributes: str | None) -> tuple[tuple[str, str], ...] | None:
    """Return the fields of an answer; None if HTTP cannot carry them."""
    if any(text is not None and _HEADER_TEXT.fullmatch(text) is None for text in (kind, attributes)):
        return None
    fields = [("x-Amzn-Invoked-Production-Variant", variant)]
    if kind:
        fields.append(("Content-Type", kind))
    if attributes is not None:
        fields.append(("X-Amzn-SageMaker-Custom-Attributes", attributes))
    return tuple(fields)


def model_error(route: Route, status: int, text: str) -> Response:
    """Return the 424 about a model that answered `status` and `text`; status 0: it did not answer."""
    group = f"/aws/sagemaker/Endpoints/{route.endpoint}"
    region, account = route.region, route.account
    text = text[:ORIGINAL_LIMIT]
    is_clients = status in _CLIENT_ERROR
    kind = "client" if is_clients else "server"
    console = f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
    body = {
        "ErrorCode": "CLIENT_ERROR_FROM_MODEL" if is_clients else "INTERNAL_FAILURE_FROM_MODEL",
        "LogStreamArn": f"arn:{partition_of(region)}:logs:{region}:{account}:log-group:{group}",
        "Message": f'Received {kind} error ({status}) from {_CONTAINER} with message "{text}". See '
        f"{console}#logEventViewer:group={group} in account {account} for more information.",
        "OriginalMessage": text,
        "OriginalStatusCode": status,
    }
    return error(424, "ModelError", body)


def no_target_model(endpoint: str) -> Response:
    """Return the refusal of TargetModel on an endpoint with a single model."""
    sentence = f"Endpoint {endpoint} is not a multi-model endpoint and does not support target model header."
    body = {"ErrorCode": "TARGET_MODEL_HEADER_NOT_SUPPORTED", "Message": sentence}
    return error(400, "ValidationError", body)


def error(status: int, code: str, body: Mapping[str, str | int]) -> Response:
    """Return an error whose body has members of its own."""
    headers = [("Content-Type", "application/json"), ("x-amzn-ErrorType", code)]
    return Response(status, headers, json.dumps(body).encode())

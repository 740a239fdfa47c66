"""What an InvokeEndpoint request asks for: its path and headers, checked against AWS's model of them.

Rule: a header of SageMaker's is passed on, acted upon, or refused by name; none is dropped.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

from sagestead.domain.errors import NotImplementedHere, Refusal
from sagestead.wire.constraints import failures, sentence
from sagestead.wire.http import Headers, Request
from sagestead.wire.models import service_model

_PREFIX = "x-amzn-sagemaker-"
HEADERS = {
    "content-type": "ContentType",
    "accept": "Accept",
    "x-amzn-sagemaker-custom-attributes": "CustomAttributes",
    "x-amzn-sagemaker-target-model": "TargetModel",
    "x-amzn-sagemaker-target-variant": "TargetVariant",
    "x-amzn-sagemaker-target-container-hostname": "TargetContainerHostname",
    "x-amzn-sagemaker-inference-id": "InferenceId",
    "x-amzn-sagemaker-enable-explanations": "EnableExplanations",
    "x-amzn-sagemaker-inference-component": "InferenceComponentName",
    "x-amzn-sagemaker-session-id": "SessionId",
    "x-amzn-sagemaker-prefix-aware-id": "PrefixAwareId",
}
NOT_CARRIED_OUT = (
    "TargetContainerHostname",
    "EnableExplanations",
    "InferenceComponentName",
    "SessionId",
    "PrefixAwareId",
)
_NOT_SERVED = {
    b"async-invocations": "InvokeEndpointAsync",
    b"invocations-response-stream": "InvokeEndpointWithResponseStream",
}


def invalid(text: str) -> Refusal:
    """Return the runtime's refusal of a bad request."""
    return Refusal(text, code="ValidationError")


def endpoint_name(request: Request) -> str:
    """Return the endpoint that the path names, decoded but not yet checked.

    Raises:
        Refusal: the path and method are no operation that is served here.
    """
    parts = request.raw_path.rstrip(b"/").split(b"/")
    match parts:
        case [b"", b"endpoints", name, b"invocations"] if request.method == "POST":
            return unquote_to_bytes(name).decode("utf-8", "replace")
        case [b"", b"endpoints", _, tail] if tail in _NOT_SERVED and request.method == "POST":
            raise NotImplementedHere(
                f"The operation {_NOT_SERVED[tail]} is not served here; use InvokeEndpoint. "
                "docs/compatibility.md lists what is."
            )
    raise NotImplementedHere(
        f"No operation of the runtime is {request.method} on this path; "
        "InvokeEndpoint is POST on /endpoints/<name>/invocations.",
        status=404,
    )


def members(headers: Headers, endpoint: str, body: bytes) -> dict[str, Any]:
    """Return the request by AWS's member names, every constraint checked.

    Raises:
        Refusal: AWS's sentence about all constraints that fail, or a header that is not carried out.
    """
    found: dict[str, Any] = {"EndpointName": endpoint, "Body": body}
    for raw_name, raw_value in headers.items():
        name = raw_name.decode("latin-1")
        member = HEADERS.get(name)
        if member is None:
            if name.startswith(_PREFIX):
                raise invalid(f"The header '{name}' is not one of InvokeEndpoint's; leave it out.")
        elif member in found:
            raise invalid(f"The header '{name}' came more than once; send it once.")
        else:
            found[member] = raw_value.decode("latin-1")
    shape = service_model("sagemaker-runtime").operation("InvokeEndpoint").input
    assert shape is not None  # noqa: S101 - AWS models an input
    if broken := failures(shape, found):
        raise invalid(sentence(broken))
    for member in NOT_CARRIED_OUT:
        if member in found:
            raise invalid(f"{member} is not carried out by this server; send the request without it.")
    return found

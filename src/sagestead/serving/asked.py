"""What an InvokeEndpoint request asks for: its path and headers, checked against AWS's model of them.

Rule: a header of SageMaker's is passed on, acted upon, or refused by name; none is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from sagestead.domain.errors import NotImplementedHere, Refusal
from sagestead.wire.constraints import failures, sentence
from sagestead.wire.http import Request
from sagestead.wire.models import service_model

_PREFIX = b"x-amzn-sagemaker-"
HEADERS = {
    b"content-type": "ContentType",
    b"accept": "Accept",
    b"x-amzn-sagemaker-custom-attributes": "CustomAttributes",
    b"x-amzn-sagemaker-target-model": "TargetModel",
    b"x-amzn-sagemaker-target-variant": "TargetVariant",
    b"x-amzn-sagemaker-target-container-hostname": "TargetContainerHostname",
    b"x-amzn-sagemaker-inference-id": "InferenceId",
    b"x-amzn-sagemaker-enable-explanations": "EnableExplanations",
    b"x-amzn-sagemaker-inference-component": "InferenceComponentName",
    b"x-amzn-sagemaker-session-id": "SessionId",
    b"x-amzn-sagemaker-prefix-aware-id": "PrefixAwareId",
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
_SURELY_SHORT = 1024 * 1024
"""Length of a body up to which its constraint, which is far above, need not be looked at."""

Fields = tuple[tuple[bytes, bytes], ...]


def invalid(text: str) -> Refusal:
    """Return the runtime's refusal of a bad request."""
    return Refusal(text, code="ValidationError")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for besides its body, every constraint checked. What was not sent is None."""

    endpoint: str
    content_type: str | None
    accept: str | None
    custom_attributes: str | None
    inference_id: str | None
    target_variant: str | None
    target_model: str | None


def read_asked(request: Request, body: bytes) -> Asked:
    """Return what a request asks for; remembered, since a client asks for the same again and again.

    Raises:
        Refusal: the path and method are no operation that is served here, AWS's sentence about all
            constraints that fail, or a header that is not carried out.
    """
    headers = request.headers
    fields = headers.items()
    if len(body) > _SURELY_SHORT or len(fields) != len(headers.joined):
        return _read(request.method, request.raw_path, tuple(filter(_is_read, fields)), body)
    joined = headers.joined
    names = _read_names(tuple(joined))
    return _remembered(request.method, request.raw_path, tuple([(name, joined[name]) for name in names]))


def _is_read(field: tuple[bytes, bytes]) -> bool:
    return field[0] in HEADERS or field[0].startswith(_PREFIX)


@lru_cache(maxsize=256)
def _read_names(names: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return which of the names of a request's fields are read."""
    return tuple(name for name in names if name in HEADERS or name.startswith(_PREFIX))


def _read(method: str, path: bytes, fields: Fields, body: bytes = b"") -> Asked:
    found = _members(endpoint_name(method, path), fields, body)
    return Asked(
        found["EndpointName"],
        found.get("ContentType"),
        found.get("Accept"),
        found.get("CustomAttributes"),
        found.get("InferenceId"),
        found.get("TargetVariant"),
        found.get("TargetModel"),
    )


_remembered = lru_cache(maxsize=1024)(_read)
"""What is refused is not remembered: the constraints bound what is."""


def endpoint_name(method: str, path: bytes) -> str:
    """Return the endpoint that the path names, decoded but not yet checked.

    Raises:
        Refusal: the path and method are no operation that is served here.
    """
    parts = path.rstrip(b"/").split(b"/")
    match parts:
        case [b"", b"endpoints", name, b"invocations"] if method == "POST":
            return unquote_to_bytes(name).decode("utf-8", "replace")
        case [b"", b"endpoints", _, tail] if tail in _NOT_SERVED and method == "POST":
            raise NotImplementedHere(
                f"The operation {_NOT_SERVED[tail]} is not served here; use InvokeEndpoint. "
                "docs/compatibility.md lists what is."
            )
    raise NotImplementedHere(
        f"No operation of the runtime is {method} on this path; "
        "InvokeEndpoint is POST on /endpoints/<name>/invocations.",
        status=404,
    )


def _members(endpoint: str, fields: Fields, body: bytes) -> dict[str, Any]:
    """Return the request by AWS's member names, every constraint checked."""
    found: dict[str, Any] = {"EndpointName": endpoint, "Body": body}
    for name, value in fields:
        member = HEADERS.get(name)
        if member is None:
            raise invalid(
                f"The header '{name.decode('latin-1')}' is not one of InvokeEndpoint's; leave it out."
            )
        if member in found:
            raise invalid(f"The header '{name.decode('latin-1')}' came more than once; send it once.")
        found[member] = value.decode("latin-1")
    shape = service_model("sagemaker-runtime").operation("InvokeEndpoint").input
    assert shape is not None  # noqa: S101 - AWS models an input
    if broken := failures(shape, found):
        raise invalid(sentence(broken))
    for member in NOT_CARRIED_OUT:
        if member in found:
            raise invalid(f"{member} is not carried out by this server; send the request without it.")
    return found

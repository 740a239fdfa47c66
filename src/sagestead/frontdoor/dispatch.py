"""Which service a request is for.

Rule: looked up before anything is verified, so it only chooses the error form, the clock skew and the signing
names that are then enforced. Keys, in order: X-Amz-Target, the service in the credential scope, the path.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sagestead.wire.errors import Protocol
from sagestead.wire.http import Request

Matcher = Callable[[Request], bool]

_IN_HEADER = re.compile(rb"Credential=([^,\s]{1,512})")
_IN_QUERY = re.compile(rb"(?:^|&)X-Amz-Credential=([^&]{1,512})")
_SLASH = re.compile(rb"/|%2[Ff]")
_NAME = re.compile(rb"[a-z0-9-]{1,64}")
_RUNTIME = re.compile(rb"/endpoints/[^/]+/(invocations|async-invocations|invocations-response-stream)/?")
_SERVICE_PART = -2


def signing_name(request: Request) -> str | None:
    """Return the service that the credential scope names, in the header or the query; None if none."""
    for value in request.headers.raw("authorization"):
        match = _IN_HEADER.search(value)
        if match is not None:
            return _service(match[1])
    match = _IN_QUERY.search(request.raw_query)
    return None if match is None else _service(match[1])


def _service(credential: bytes) -> str | None:
    parts = _SLASH.split(credential)
    if len(parts) < -_SERVICE_PART or not _NAME.fullmatch(parts[_SERVICE_PART]):
        return None
    return parts[_SERVICE_PART].decode()


def has_target(request: Request) -> bool:
    """True when the request names an operation in X-Amz-Target."""
    return "x-amz-target" in request.headers


def by_target(prefix: str) -> Matcher:
    """Match AWS JSON requests: X-Amz-Target begins with `prefix`, for example `SageMaker.`."""

    def matches(request: Request) -> bool:
        return (request.headers.get("x-amz-target") or "").startswith(prefix)

    return matches


def by_signing_name(*names: str) -> Matcher:
    """Match requests without X-Amz-Target by the service in the scope: STS and IAM, for example."""

    def matches(request: Request) -> bool:
        return not has_target(request) and signing_name(request) in names

    return matches


def is_runtime(request: Request) -> bool:
    """Match invocations: `/endpoints/{name}/...`, signed as `sagemaker`, without X-Amz-Target.

    An unsigned POST to such a path is meant as one too: S3 knows no POST to a key without a query.
    """
    if _RUNTIME.fullmatch(request.raw_path) is None or has_target(request):
        return False
    name = signing_name(request)
    unsigned = name is None and "authorization" not in request.headers and not request.raw_query
    return name == "sagemaker" or (unsigned and request.method == "POST")


def is_s3(request: Request) -> bool:
    """Match S3: signed as `s3`, by version 2, or not at all; a form posted to `/` is a Query operation."""
    name = signing_name(request)
    if has_target(request) or (name is None and request.raw_path == b"/" and is_form(request)):
        return False
    return name in ("s3", None) and not is_runtime(request)


def is_form(request: Request) -> bool:
    """True when the request posts a form, as the Query protocol does."""
    kind = request.headers.get("content-type") or ""
    return request.method == "POST" and kind.startswith("application/x-www-form-urlencoded")


def likely_protocol(request: Request) -> Protocol:
    """Return the protocol to answer in when no service matches."""
    if has_target(request):
        return "json"
    return "query" if is_form(request) else "rest-json"

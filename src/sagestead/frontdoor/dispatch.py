"""Which service a request is for.

Rule: looked up before anything is verified, so it only chooses the error form, the clock skew and the signing
names that are then enforced. Keys, in order: X-Amz-Target, the service in the credential scope, the path.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from sagestead.wire.errors import Protocol
from sagestead.wire.http import Request

Matcher = Callable[[Request], bool]

_IN_HEADER = re.compile(rb"Credential=([^,\s]{1,512})")
_IN_QUERY = re.compile(rb"(?:^|&)X-Amz-Credential=([^&]{1,512})")
_SLASH = re.compile(rb"/|%2[Ff]")
_NAME = re.compile(rb"[a-z0-9-]{1,64}")
_RUNTIME = re.compile(rb"/endpoints/[^/]+/(invocations|async-invocations|invocations-response-stream)/?")
_SERVICE_PART = -2
_REMEMBERED = 640
"""Length up to which texts are remembered with what was found in them."""


def signing_name(request: Request) -> str | None:
    """Return the service that the credential scope names, in the header or the query; None if none."""
    authorization = request.headers.joined.get(b"authorization")
    if authorization is not None:
        # Up to the first comma, all requests of a client are the same for a day.
        end = authorization.find(b",", 0, _REMEMBERED)
        credential = (_credential(authorization[:end]) if end > 0 else None) or _find_credential(
            authorization
        )
        if credential is not None:
            return _service(credential)
    match = _IN_QUERY.search(request.raw_query) if request.raw_query else None
    return None if match is None else _service(match[1])


def _find_credential(authorization: bytes) -> bytes | None:
    match = _IN_HEADER.search(authorization)
    return None if match is None else match[1]


_credential = lru_cache(maxsize=1024)(_find_credential)


@lru_cache(maxsize=1024)
def _service(credential: bytes) -> str | None:
    parts = _SLASH.split(credential)
    if len(parts) < -_SERVICE_PART or not _NAME.fullmatch(parts[_SERVICE_PART]):
        return None
    return parts[_SERVICE_PART].decode()


def has_target(request: Request) -> bool:
    """True when the request names an operation in X-Amz-Target."""
    return b"x-amz-target" in request.headers.joined


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
    path = request.raw_path
    if not (_invokes(path) if len(path) <= _REMEMBERED else _is_invocation(path)) or has_target(request):
        return False
    name = signing_name(request)
    unsigned = name is None and "authorization" not in request.headers and not request.raw_query
    return name == "sagemaker" or (unsigned and request.method == "POST")


def _is_invocation(path: bytes) -> bool:
    return _RUNTIME.fullmatch(path) is not None


_invokes = lru_cache(maxsize=1024)(_is_invocation)


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

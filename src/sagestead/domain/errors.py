"""The error tree.

Rule: whoever refuses a request raises a `Refusal` with the code that AWS uses and one sentence that
names the field, the value and the remedy. Each protocol edge writes it down in its own form; nothing
else translates errors. Anything that is not a `Refusal` is a defect: logged in full, answered without
internals.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a defect
    """A request that is answered with an error.

    Attributes:
        code: AWS's error code, for example `ValidationException`.
        sentence: what is wrong and what to do, for the client to read.
        status: HTTP status of the answer.
        details: further members of the error body (name -> text).
        headers: HTTP headers that the answer carries (name -> text).
    """

    code = "InternalFailure"
    status = 400

    def __init__(
        self,
        sentence: str,
        *,
        code: str | None = None,
        status: int | None = None,
        details: Mapping[str, str] = MappingProxyType({}),
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code or type(self).code
        self.status = status or type(self).status
        self.details = details
        self.headers = headers


class Invalid(Refusal):
    """The request breaks a rule: shape, value, state, or it names something that is not there."""

    code = "ValidationException"


class InUse(Refusal):
    """The name is taken, or the thing is in use."""

    code = "ResourceInUse"


class NotFound(Refusal):
    """The named resource is not there (only where AWS models it; else `Invalid`)."""

    code = "ResourceNotFound"


class OverLimit(Refusal):
    """A quota is exhausted."""

    code = "ResourceLimitExceeded"


class Conflict(Refusal):
    """Another change is under way."""

    code = "ConflictException"


class Denied(Refusal):
    """The caller is known and not allowed."""

    code = "AccessDeniedException"


class NotImplementedHere(Refusal):
    """An operation or parameter of AWS's that this server does not carry out; named in the sentence."""

    code = "UnknownOperationException"


class Unauthenticated(Refusal):
    """No verified signature: the code says why."""

    code = "MissingAuthenticationTokenException"
    status = 403


class Unavailable(Refusal):
    """Try again later: no capacity now, or the server is stopping."""

    code = "ServiceUnavailable"
    status = 503

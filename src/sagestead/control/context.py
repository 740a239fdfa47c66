"""What an operation may use: who calls, when, and the ports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sagestead.domain.identity import Principal
from sagestead.domain.resources import Json
from sagestead.ports import Credentials, Logs, Metrics, Objects, Resources


@dataclass(frozen=True, slots=True)
class Context:
    """One call. `now` is seconds since the epoch, rounded to milliseconds."""

    principal: Principal
    request_id: str
    now: float
    resources: Resources
    objects: Objects
    credentials: Credentials
    logs: Logs
    metrics: Metrics

    @property
    def account(self) -> str:
        """The caller's account, twelve digits."""
        return self.principal.account

    @property
    def region(self) -> str:
        """The region of the credential scope."""
        return self.principal.region


Operation = Callable[[Context, Json], Json]


@dataclass(frozen=True, slots=True)
class Hold:
    """A Describe that waits for its resource.

    While `member` of the answer is one of `transitional`, the answer is held for the next change of that
    member, up to the service's hold time. `glance`: seconds between two looks at it.
    """

    member: str
    transitional: frozenset[str]
    glance: float = 0.004

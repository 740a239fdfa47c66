"""The life of an endpoint as data (spec: control-plane.md section 7.3).

Rule: a status never goes backwards; whoever sets one asks `may_follow` first.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class EndpointStatus(StrEnum):
    """EndpointStatus, as far as it is reached here."""

    CREATING = "Creating"
    UPDATING = "Updating"
    IN_SERVICE = "InService"
    FAILED = "Failed"
    DELETING = "Deleting"


FOLLOWERS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        EndpointStatus.CREATING: frozenset({EndpointStatus.IN_SERVICE, EndpointStatus.FAILED}),
        EndpointStatus.UPDATING: frozenset({EndpointStatus.IN_SERVICE, EndpointStatus.FAILED}),
        EndpointStatus.IN_SERVICE: frozenset({EndpointStatus.UPDATING, EndpointStatus.DELETING}),
        EndpointStatus.FAILED: frozenset({EndpointStatus.DELETING}),
        EndpointStatus.DELETING: frozenset(),
    }
)

TRANSITIONAL = frozenset({EndpointStatus.CREATING, EndpointStatus.UPDATING, EndpointStatus.DELETING})


def may_follow(before: str, after: str) -> bool:
    """True when `after` is the same status or one that the table allows next."""
    return before == after or after in FOLLOWERS.get(before, frozenset())

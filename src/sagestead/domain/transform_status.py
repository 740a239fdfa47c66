"""The life of a transform job as data (spec: batch-transform.md section 2).

Rule: a status never goes backwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class TransformStatus(StrEnum):
    """TransformJobStatus."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"


FOLLOWERS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        TransformStatus.IN_PROGRESS: frozenset(
            {TransformStatus.COMPLETED, TransformStatus.FAILED, TransformStatus.STOPPING}
        ),
        TransformStatus.STOPPING: frozenset({TransformStatus.STOPPED, TransformStatus.FAILED}),
        TransformStatus.COMPLETED: frozenset(),
        TransformStatus.FAILED: frozenset(),
        TransformStatus.STOPPED: frozenset(),
    }
)

TERMINAL = frozenset({TransformStatus.COMPLETED, TransformStatus.FAILED, TransformStatus.STOPPED})


def may_follow(before: str, after: str) -> bool:
    """True when `after` is the same status or one that the table allows next."""
    return before == after or after in FOLLOWERS.get(before, frozenset())

"""The life of a job as data: TrainingJobStatus, TransformJobStatus, ProcessingJobStatus.

Rule: a status never goes backwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class JobStatus(StrEnum):
    """What a job is, of whatever kind."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"


FOLLOWERS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        JobStatus.IN_PROGRESS: frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.STOPPING}),
        JobStatus.STOPPING: frozenset({JobStatus.STOPPED, JobStatus.FAILED}),
        JobStatus.COMPLETED: frozenset(),
        JobStatus.FAILED: frozenset(),
        JobStatus.STOPPED: frozenset(),
    }
)

TERMINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.STOPPED})


def may_follow(before: str, after: str) -> bool:
    """True when `after` is the same status or one that the table allows next."""
    return before == after or after in FOLLOWERS.get(before, frozenset())

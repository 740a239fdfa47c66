"""What is left to do about a job that has ended: its runs go, its record stays."""

from __future__ import annotations

from collections.abc import Sequence

from sagestead.domain.resources import Resource
from sagestead.planning.steps import Forget, Plan

ERRAND_SECONDS = 1.0
"""How soon a job is looked at again while an errand of its is under way."""


def after_end(job: Resource, run_ids: Sequence[str], now: float, *, has_runs: bool, busy: bool) -> Plan:
    """Leave nothing behind but the record; not even an errand that a job of the same name would meet."""
    if not has_runs and job.detail.get("_cleared") and not busy:
        return Plan((), job.status, job.detail)
    look_again = now + ERRAND_SECONDS if busy else None
    steps = tuple(map(Forget, run_ids))
    return Plan(steps, job.status, {**job.detail, "_cleared": True}, look_again)

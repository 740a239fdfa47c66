"""What every kind of job has in common when it is stopped or deleted.

Rule: stopping again is fine; a job that has ended is not stopped, and one that has not ended is not deleted.
"""

from __future__ import annotations

from collections.abc import Callable

from sagestead.control.context import Context
from sagestead.control.operations import records
from sagestead.domain.errors import Invalid, Refusal
from sagestead.domain.job_status import TERMINAL, JobStatus
from sagestead.domain.resources import Resource
from sagestead.ports import Change


def stop(ctx: Context, read: Callable[[], Resource], noun: str) -> None:
    """Have a job stopped; `noun` is what its refusal calls it, for example `training job`."""

    def decide(seen: Resource) -> Change | None:
        if seen.status in TERMINAL:
            raise Invalid(f"The request was rejected because the {noun} is in status {seen.status}.")
        if seen.status == JobStatus.STOPPING:
            return None
        return Change(ctx.now, status=JobStatus.STOPPING.value)

    records.change(ctx, read, decide)


def delete(ctx: Context, read: Callable[[], Resource], noun: str) -> None:
    """Delete a job that has ended and left nothing behind."""

    def check(seen: Resource) -> None:
        check_ended(seen, noun)
        if seen.due_at is not None:
            raise Refusal(
                f"The {noun} {seen.key.name} has just ended and is being tidied up; try again in a second.",
                code="ThrottlingException",
            )

    records.delete(ctx, read, check)


def check_ended(job: Resource, noun: str) -> None:
    """Refuse to delete a job that has not ended."""
    if job.status not in TERMINAL:
        raise Invalid(
            f"The request was rejected because the {noun} is in status {job.status}; "
            "stop it, and delete it when it has stopped."
        )

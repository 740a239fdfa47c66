"""Monitoring schedules: none can be made here, so none are listed."""

from __future__ import annotations

from sagestead.control.context import Context, Operation
from sagestead.control.listing import refuse_token
from sagestead.domain.resources import Json


def list_monitoring_schedules(ctx: Context, request: Json) -> Json:  # noqa: ARG001 - every operation gets it
    """ListMonitoringSchedules: an empty list, which SDKs read before they delete an endpoint."""
    refuse_token(request)
    return {"MonitoringScheduleSummaries": []}


OPERATIONS: dict[str, Operation] = {"ListMonitoringSchedules": list_monitoring_schedules}

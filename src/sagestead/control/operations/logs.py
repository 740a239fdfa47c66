"""CloudWatch Logs: reading what jobs and endpoints printed.

Rule: tokens name a place in a stream, never a number of pages, so that a reader that follows a stream sees
every line once and in order while lines are added.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from sagestead.control.context import Context, Operation
from sagestead.control.operations.log_search import Place, matcher, merged
from sagestead.control.operations.places import marked, unmarked
from sagestead.domain.errors import Invalid, NotFound, NotImplementedHere
from sagestead.domain.logs import LogEvent, LogStream, StreamSummary
from sagestead.domain.resources import Json, partition_of

MOST_EVENTS = 10_000
MOST_BYTES = 1_048_576
EVENT_OVERHEAD = 26  # bytes that AWS counts for an event beside its message
MOST_SCANNED = 100_000
BLOCK = 1000
_TOKEN = re.compile(r"(?P<way>[fb])/(?P<sequence>[0-9]{1,56})")


def describe_log_groups(ctx: Context, request: Json) -> Json:
    """List log groups by name."""
    _refuse(
        "DescribeLogGroups", request, "accountIdentifiers", "includeLinkedAccounts", "logGroupIdentifiers"
    )
    prefix, pattern = request.get("logGroupNamePrefix", ""), request.get("logGroupNamePattern", "")
    if prefix and pattern:
        raise _wrong("logGroupNamePrefix and logGroupNamePattern exclude each other; send one of them.")
    if request.get("logGroupClass", "STANDARD") != "STANDARD":
        return {"logGroups": []}
    names = [name for name in ctx.logs.groups(ctx.account, ctx.region, prefix) if pattern in name]
    after = _place_in(request, [str])
    later = [name for name in names if after is None or name > after[0]]
    shown = later[: request.get("limit", 50)]
    token = marked([shown[-1]]) if len(shown) < len(later) else None
    return {"logGroups": [_group(ctx, name) for name in shown], "nextToken": token}


def describe_log_streams(ctx: Context, request: Json) -> Json:
    """List the streams of a group, by name or by the time of their last event."""
    group, prefix = _named_group(ctx, request), request.get("logStreamNamePrefix", "")
    by_time = request.get("orderBy") == "LastEventTime"
    if by_time and prefix:
        raise _wrong("Cannot order by LastEventTime with a logStreamNamePrefix.")
    found = ctx.logs.streams(ctx.account, ctx.region, group, prefix)
    if not found:
        _check_group(ctx, group)

    def place(summary: StreamSummary) -> list[Any]:
        return [summary.last_event or 0 if by_time else 0, summary.stream.stream]

    descending = request.get("descending", False)
    after = _place_in(request, [int, str])
    ordered = sorted(found, key=place, reverse=descending)
    if after is not None:
        ordered = [one for one in ordered if (place(one) < after if descending else place(one) > after)]
    shown = ordered[: request.get("limit", 50)]
    token = marked(place(shown[-1])) if len(shown) < len(ordered) else None
    return {"logStreams": [_stream(ctx, summary) for summary in shown], "nextToken": token}


def get_log_events(ctx: Context, request: Json) -> Json:
    """Read one stream forwards or backwards.

    A token comes back unchanged when there is nothing further in its direction.
    """
    stream = LogStream(ctx.account, ctx.region, _named_group(ctx, request), request["logStreamName"])
    _found_stream(ctx, stream)
    limit = request.get("limit", MOST_EVENTS)
    start, end = request.get("startTime"), request.get("endTime")
    forward, sequence = _position(ctx, stream, request)
    if forward:
        events = _fitting(ctx.logs.events(stream, sequence, limit, start, end))
    else:
        events = _before(ctx, stream, sequence, limit, start, end)
    return {
        "events": [_event(event) for event in events],
        "nextForwardToken": f"f/{events[-1].sequence + 1 if events else sequence:056}",
        "nextBackwardToken": f"b/{events[0].sequence if events else sequence:056}",
    }


def filter_log_events(ctx: Context, request: Json) -> Json:
    """Search streams of a group; events of all streams in the order of their times."""
    if request.get("startFromHead") is False:
        sentence = "FilterLogEvents with startFromHead false is not carried out here; leave it out."
        raise NotImplementedHere(sentence, code="InvalidParameterException")
    wanted = matcher(request.get("filterPattern", ""))
    streams = _selected(ctx, request)
    end = request.get("endTime")
    after = _place_in(request, [int, str, int])
    scan = merged(
        ctx.logs,
        streams,
        request.get("startTime"),
        None if end is None else end + 1,
        None if after is None else Place(*after),
    )
    limit = request.get("limit", MOST_EVENTS)
    shown: list[Json] = []
    size = 0
    for place, event in islice(scan, MOST_SCANNED):
        after = list(place)
        if wanted(event.message):
            shown.append(_found(place, event))
            size += len(event.message.encode()) + EVENT_OVERHEAD
        if len(shown) == limit or size >= MOST_BYTES:
            break
    more = next(scan, None) is not None
    return {
        "events": shown,
        "searchedLogStreams": [],
        "nextToken": marked(after) if more and after is not None else None,
    }


def _named_group(ctx: Context, request: Json) -> str:
    name, identifier = request.get("logGroupName"), request.get("logGroupIdentifier")
    if (name is None) == (identifier is None):
        raise _wrong("Send either logGroupName or logGroupIdentifier.")
    if name is not None:
        return str(name)
    return str(identifier).removeprefix(_group_arn(ctx, "")).removesuffix(":*")


def _check_group(ctx: Context, group: str) -> None:
    if group not in ctx.logs.groups(ctx.account, ctx.region, group):
        sentence = "The specified log group does not exist."
        raise NotFound(sentence, code="ResourceNotFoundException")


def _found_stream(ctx: Context, stream: LogStream) -> StreamSummary:
    for summary in ctx.logs.streams(stream.account, stream.region, stream.group, stream.stream):
        if summary.stream == stream:
            return summary
    _check_group(ctx, stream.group)
    sentence = "The specified log stream does not exist."
    raise NotFound(sentence, code="ResourceNotFoundException")


def _selected(ctx: Context, request: Json) -> list[StreamSummary]:
    """Return the streams that FilterLogEvents searches."""
    group, names = _named_group(ctx, request), request.get("logStreamNames")
    prefix = request.get("logStreamNamePrefix")
    if names is not None and prefix is not None:
        raise _wrong("logStreamNames and logStreamNamePrefix exclude each other; send one of them.")
    if names is not None:
        return [_found_stream(ctx, LogStream(ctx.account, ctx.region, group, name)) for name in set(names)]
    _check_group(ctx, group)
    return ctx.logs.streams(ctx.account, ctx.region, group, prefix or "")


def _position(ctx: Context, stream: LogStream, request: Json) -> tuple[bool, int]:
    """Return the direction, and the sequence number that it starts at (forwards) or before (backwards)."""
    token = request.get("nextToken")
    if token is not None:
        parts = _TOKEN.fullmatch(token)
        if parts is None:
            raise _wrong("The specified nextToken is invalid. Send one of the last answer's tokens.")
        return parts["way"] == "f", min(int(parts["sequence"]), 2**62)
    if request.get("startFromHead", False):
        return True, 0
    newest = ctx.logs.last(stream, 1)
    return False, newest[-1].sequence + 1 if newest else 0


def _before(  # noqa: PLR0913, PLR0917 - a range of a stream
    ctx: Context, stream: LogStream, sequence: int, limit: int, start: int | None, end: int | None
) -> list[LogEvent]:
    """Return the last `limit` events before a sequence number that lie in the range of time."""
    newest = ctx.logs.last(stream, 1)
    top = min(sequence, newest[-1].sequence + 1 if newest else 0)
    found: list[LogEvent] = []
    while top > 0 and len(found) < limit:
        bottom = max(0, top - max(BLOCK, limit))
        block = ctx.logs.events(stream, bottom, top - bottom, start, end)
        found = [event for event in block if event.sequence < top] + found
        top = bottom
    return _fitting(found[-limit:][::-1])[::-1]


def _fitting(events: Sequence[LogEvent]) -> list[LogEvent]:
    """Return the first events that fit into an answer of 1 MB, at least one."""
    size = 0
    for count, event in enumerate(events):
        size += len(event.message.encode()) + EVENT_OVERHEAD
        if size > MOST_BYTES and count:
            return list(events[:count])
    return list(events)


def _event(event: LogEvent) -> Json:
    return {"timestamp": event.timestamp, "message": event.message, "ingestionTime": event.ingestion_time}


def _found(place: Place, event: LogEvent) -> Json:
    number = binascii.crc32(place.stream.encode())
    event_id = f"{event.timestamp:020}{number:010}{event.sequence:026}"
    return {"logStreamName": place.stream, **_event(event), "eventId": event_id}


def _group_arn(ctx: Context, name: str) -> str:
    return f"arn:{partition_of(ctx.region)}:logs:{ctx.region}:{ctx.account}:log-group:{name}"


def _group(ctx: Context, name: str) -> Json:
    created = min((one.created for one in ctx.logs.streams(ctx.account, ctx.region, name, "")), default=0)
    return {
        "logGroupName": name,
        "creationTime": created,
        "metricFilterCount": 0,
        "arn": f"{_group_arn(ctx, name)}:*",
        "logGroupArn": _group_arn(ctx, name),
        "storedBytes": 0,
        "logGroupClass": "STANDARD",
    }


def _stream(ctx: Context, summary: StreamSummary) -> Json:
    stream = summary.stream
    return {
        "logStreamName": stream.stream,
        "creationTime": summary.created,
        "firstEventTimestamp": summary.first_event,
        "lastEventTimestamp": summary.last_event,
        "lastIngestionTime": summary.last_ingestion,
        "arn": f"{_group_arn(ctx, stream.group)}:log-stream:{stream.stream}",
        "storedBytes": 0,
    }


def _refuse(operation: str, request: Json, *members: str) -> None:
    for member in members:
        if request.get(member):
            sentence = f"{member} of {operation} is not carried out here; leave it out."
            raise NotImplementedHere(sentence, code="InvalidParameterException")


def _wrong(sentence: str) -> Invalid:
    return Invalid(sentence, code="InvalidParameterException")


def _place_in(request: Json, kinds: list[type]) -> list[Any] | None:
    """Return the place in `nextToken`, whose parts have these types; None without a token."""
    token = request.get("nextToken")
    if token is None:
        return None
    place = unmarked(token, kinds)
    if place is None:
        raise _wrong("The specified nextToken is invalid. Send the last answer's nextToken.")
    return place


OPERATIONS: dict[str, Operation] = {
    "DescribeLogGroups": describe_log_groups,
    "DescribeLogStreams": describe_log_streams,
    "GetLogEvents": get_log_events,
    "FilterLogEvents": filter_log_events,
}

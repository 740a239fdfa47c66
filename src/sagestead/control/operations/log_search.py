"""Searching log streams: filter patterns, and many streams merged into one order.

Rule: events come by time, then stream, then sequence; a search can go on after any place in that order.
A pattern beyond words and quoted phrases is refused, never half understood.
"""

from __future__ import annotations

import heapq
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from sagestead.domain.errors import NotImplementedHere
from sagestead.domain.logs import LogEvent, LogStream, StreamSummary
from sagestead.ports import Logs

BATCH = 100
_TERM = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_REFUSED = {
    "{": "JSON patterns ({ … })",
    "[": "space-delimited patterns ([ … ])",
    "%": "regular expressions (% … %)",
    "?": "alternatives (?term)",
    "-": "exclusions (-term)",
}


class Place(NamedTuple):
    """Where an event stands in a search. `timestamp`: milliseconds since the epoch."""

    timestamp: int
    stream: str
    sequence: int


Placed = tuple[Place, LogEvent]
Opened = tuple[Place, LogEvent, Iterator[Placed]]


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return a test for messages that contain every term of a pattern, in the same case.

    Raises:
        NotImplementedHere: the pattern uses syntax beyond words and quoted phrases.
    """
    terms = [_term(found) for found in _TERM.finditer(pattern)]
    return lambda message: all(term in message for term in terms)


def merged(
    logs: Logs, streams: Iterable[StreamSummary], start: int | None, end: int | None, after: Place | None
) -> Iterator[Placed]:
    """Yield the events of streams with start <= timestamp < end, in order, later than `after`.

    A stream is opened when the search reaches its first event: at no time are more open than overlap.
    """
    start = max(start or 0, after.timestamp if after else 0)
    waiting = deque(sorted(_spans(streams, start, end), key=lambda span: span[0]))
    heap: list[Opened] = []
    while waiting or heap:
        while waiting and (not heap or waiting[0][0] <= heap[0][0].timestamp):
            _push(heap, _events(logs, waiting.popleft()[1], start, end))
        if heap:
            place, event, rest = heapq.heappop(heap)
            _push(heap, rest)
            if after is None or place > after:
                yield place, event


def _spans(streams: Iterable[StreamSummary], start: int, end: int | None) -> Iterator[tuple[int, LogStream]]:
    """Yield the time from which on each stream may have events in a range; streams without are left out."""
    for summary in streams:
        first, last = summary.first_event, summary.last_event
        if first is not None and last is not None and last >= start and (end is None or first < end):
            yield max(first, start), summary.stream


def _push(heap: list[Opened], events: Iterator[Placed]) -> None:
    """Put the next event of an opened stream on the heap, if there is one."""
    for place, event in events:
        heapq.heappush(heap, (place, event, events))
        return


def _events(logs: Logs, stream: LogStream, start: int | None, end: int | None) -> Iterator[Placed]:
    first = 0
    while found := logs.events(stream, first, BATCH, start, end):
        for event in found:
            yield Place(event.timestamp, stream.stream, event.sequence), event
        first = found[-1].sequence + 1


def _term(found: re.Match[str]) -> str:
    quoted, plain = found.groups()
    if quoted is not None:
        return re.sub(r"\\(.)", r"\1", quoted)
    refused = _REFUSED.get(plain[0])
    if refused is not None or '"' in plain:
        what = refused or "quotes inside of words"
        sentence = f"{what} in filterPattern are not carried out here; send words or quoted phrases."
        raise NotImplementedHere(sentence, code="InvalidParameterException")
    return str(plain)

"""Searching log streams: filter patterns, and many streams merged into one order.

Rule: events come by time, then stream, then sequence; a search can go on after any place in that order.
A pattern beyond words and quoted phrases is refused, never half understood.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from sagestead.domain.errors import NotImplementedHere
from sagestead.domain.logs import LogEvent, LogStream
from sagestead.ports import Logs

BATCH = 500
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


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return a test for messages that contain every term of a pattern, in the same case.

    Raises:
        NotImplementedHere: the pattern uses syntax beyond words and quoted phrases.
    """
    terms = [_term(found) for found in _TERM.finditer(pattern)]
    return lambda message: all(term in message for term in terms)


def merged(
    logs: Logs, streams: Sequence[LogStream], start: int | None, end: int | None, after: Place | None
) -> Iterator[tuple[Place, LogEvent]]:
    """Yield the events of streams with start <= timestamp < end, in order, later than `after`."""
    if after is not None:
        start = max(after.timestamp, start or 0)
    every = heapq.merge(*(_events(logs, stream, start, end) for stream in streams), key=lambda pair: pair[0])
    return (pair for pair in every if after is None or pair[0] > after)


def _events(
    logs: Logs, stream: LogStream, start: int | None, end: int | None
) -> Iterator[tuple[Place, LogEvent]]:
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

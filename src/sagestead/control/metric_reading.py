"""Metrics read from log lines with clients' regular expressions, in bounded time.

Rule: an expression is somebody else's program. A line may cost it `LINE_SECONDS`, a whole log `LOG_SECONDS`;
beyond that it is tried no more, which is logged. Others work on while one is tried.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from time import thread_time

import regex

from sagestead.domain.metrics import Definition, Search, extract

LINE_SECONDS = 0.05
LOG_SECONDS = 2.0

_log = logging.getLogger(__name__)


def regex_fault(expression: str) -> str | None:
    """Say what is wrong with a metric's expression, or return None."""
    try:
        groups: int = _compiled(expression).groups
    except (regex.error, OverflowError, RecursionError) as fault:
        return f"is not a regular expression: {fault}"
    return None if groups else "captures nothing: put the number in a group, for example loss=([0-9.]+)"


class MetricReader:
    """Reads the lines of one log, one after the other."""

    def __init__(self, definitions: Sequence[Definition]) -> None:
        self._definitions = definitions
        self._spent = dict.fromkeys((one["Regex"] for one in definitions), 0.0)

    def read(self, line: str) -> list[tuple[str, float]]:
        """Return (name, value) for each definition that finds a finite number in the line, in their order."""
        search: Search = self._search
        return extract(self._definitions, line, search)

    def _search(self, expression: str, line: str) -> str | None:
        if self._spent[expression] >= LOG_SECONDS:
            return None
        began = thread_time()
        try:
            match = _compiled(expression).search(line, timeout=LINE_SECONDS, concurrent=True)
        except TimeoutError:
            match = None
        self._spent[expression] += thread_time() - began
        if self._spent[expression] >= LOG_SECONDS:
            _log.warning("metric expression %r takes too long; it is tried no more on this log", expression)
        return match[1] if match else None


@lru_cache(maxsize=4096)
def _compiled(expression: str) -> regex.Pattern[str]:
    # A search that begins with `.*` finds what a match at the start finds; `\A` spares the other starts.
    is_anchored = expression.startswith(".*") and "|" not in expression
    return regex.compile(rf"\A(?:{expression})" if is_anchored else expression)

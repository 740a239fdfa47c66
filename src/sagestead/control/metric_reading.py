"""Metrics read from log lines with clients' regular expressions, in bounded time.

Rule: an expression is somebody else's program. A line may cost it `LINE_SECONDS`, a whole log its share of
`LOG_SECONDS` and `USUAL_SECONDS` a line; beyond that it is tried no more, which is logged. Others work on
while one is tried.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from functools import lru_cache
from time import thread_time

import regex

from sagestead.domain.metrics import Definition, Expressions, Search, is_built_in

LINE_SECONDS = 0.05
LOG_SECONDS = 2.0
USUAL_SECONDS = 20e-6

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
        self._expressions = Expressions(definitions)
        self._spent = dict.fromkeys((one["Regex"] for one in definitions), 0.0)
        self._allowed = LOG_SECONDS / max(1, sum(not is_built_in(expression) for expression in self._spent))

    def read(self, line: str) -> list[tuple[str, float]]:
        """Return (name, value) for each definition that finds a finite number in the line, in their order."""
        self._allowed += USUAL_SECONDS
        search: Search = self._search
        return self._expressions.extract(line, search)

    def _search(self, expression: str, line: str) -> str | None:
        if self._spent[expression] == math.inf:
            return None
        began = thread_time()
        try:
            match = _compiled(expression).search(line, timeout=LINE_SECONDS, concurrent=True)
        except TimeoutError:
            match = None
        self._spent[expression] += thread_time() - began
        if self._spent[expression] >= self._allowed:
            self._spent[expression] = math.inf
            _log.warning("metric expression %r takes too long; it is tried no more on this log", expression)
        return match[1] if match else None


@lru_cache(maxsize=4096)
def _compiled(expression: str) -> regex.Pattern[str]:
    # A search that begins with `.*` finds what a match at the start finds; `\A` spares the other starts.
    is_anchored = expression.startswith(".*") and "|" not in expression
    return regex.compile(rf"\A(?:{expression})" if is_anchored else expression)

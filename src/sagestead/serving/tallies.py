"""What a front door counts of the invocations that it answers: how many, how long, how many failed.

Rule: an invocation costs a few additions on the event loop and nothing else. What was counted in a minute is
one point of a metric, kept again while it grows; a thread writes it, and never for more than a fiftieth of
the time. Counts of a minute that the store refused are written with the next ones.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Mapping

from sagestead.domain.measurements import Point, Series, Statistic
from sagestead.domain.metrics import ENDPOINT_NAMESPACE
from sagestead.domain.routes import Route, Variant
from sagestead.ports import Clock, Metrics

PAUSE_SECONDS = 1.0
PAUSES_PER_WRITE = 50
MINUTE = 60

_LOG = logging.getLogger(__name__)
_OK, _CLIENT_ERRORS, _SERVER_ERRORS = range(200, 300), range(400, 500), range(500, 600)

Place = tuple[str, str, str, str]
"""Account, region, endpoint, variant."""


class Tally:
    """The invocations of one variant in the minute under way."""

    __slots__ = (
        "client_errors",
        "count",
        "failures",
        "least",
        "most",
        "place",
        "seconds",
        "server_errors",
        "variant",
    )

    def __init__(self, place: Place, variant: Variant) -> None:
        self.place = place
        self.variant = variant  # kept, so that no other has its identity
        self.count = self.failures = self.client_errors = self.server_errors = 0
        self.seconds, self.least, self.most = 0.0, math.inf, 0.0

    def fail(self, status: int) -> None:
        """Count an answer that is no success; 0: there was none."""
        self.failures += 1
        if status in _CLIENT_ERRORS:
            self.client_errors += 1
        elif status in _SERVER_ERRORS:
            self.server_errors += 1

    def statistics(self) -> dict[str, Statistic]:
        """Return what the counts come to, by the metric's name."""
        count, micro = self.count, 1e6
        return {
            "Invocations": Statistic(count, count, 1, 1),
            "InvocationModelErrors": _share(self.failures, count),
            "Invocation4XXErrors": _share(self.client_errors, count),
            "Invocation5XXErrors": _share(self.server_errors, count),
            "ModelLatency": Statistic(count, self.seconds * micro, self.least * micro, self.most * micro),
        }


class Tallies:
    """The tallies of a front door; for its event loop only."""

    def __init__(self) -> None:
        self._tallies: dict[int, Tally] = {}
        self._written: dict[Place, float] = {}
        self._minute = 0

    def note(self, route: Route, variant: Variant, seconds: float, status: int) -> None:
        """Count an invocation that took the model so long; `status` 0: it did not answer."""
        tally = self._tallies.get(id(variant))
        if tally is None:
            place = (route.account, route.region, route.endpoint, variant.name)
            tally = self._tallies[id(variant)] = Tally(place, variant)
        tally.count += 1
        tally.seconds += seconds
        if seconds > tally.most:  # noqa: PLR1730 - a call of max() would cost more than the rest
            tally.most = seconds
        if seconds < tally.least:  # noqa: PLR1730 - the same
            tally.least = seconds
        if status not in _OK:
            tally.fail(status)

    def take(self, now: float) -> Mapping[Series, list[Point]]:
        """Return the points that are new or have grown; counts begin anew with the minute of `now`."""
        found: dict[Place, dict[str, Statistic]] = {}
        for tally in self._tallies.values():
            sums = tally.statistics()
            before = found.get(tally.place)
            found[tally.place] = (
                sums if before is None else {name: before[name] + one for name, one in sums.items()}
            )
        grown = {
            place: sums
            for place, sums in found.items()
            if self._written.get(place) != sums["Invocations"].samples
        }
        minute = self._minute or int(now // MINUTE)
        self._minute = int(now // MINUTE)
        if self._minute != minute:
            self._tallies, self._written = {}, {}
        else:
            self._written |= {place: sums["Invocations"].samples for place, sums in grown.items()}
        return {
            _series(place, name): [Point(minute, minute * MINUTE * 1000, one)]
            for place, sums in grown.items()
            for name, one in sums.items()
        }


class Bookkeeper:
    """Writes a front door's tallies down; `writer` is unique among all processes that ever were."""

    def __init__(self, tallies: Tallies, metrics: Metrics, writer: str, clock: Clock) -> None:
        self._tallies = tallies
        self._metrics = metrics
        self._writer = writer
        self._clock = clock
        self._owed: dict[Series, list[Point]] = {}

    async def run(self) -> None:
        """Write every second, until cancelled; seldomer if writing takes long."""
        loop = asyncio.get_running_loop()
        pause = PAUSE_SECONDS
        while True:
            await asyncio.sleep(pause)
            pause = PAUSE_SECONDS
            if self.collect():
                took = await loop.run_in_executor(None, self.write)
                pause = max(PAUSE_SECONDS, took * PAUSES_PER_WRITE)

    def collect(self) -> bool:
        """Take over what was counted; say whether there is anything to write. For the event loop."""
        for series, points in self._tallies.take(self._clock()).items():
            self._owed[series] = [*self._owed.get(series, [])[-MINUTE:], *points]
        return bool(self._owed)

    def write(self) -> float:
        """Write what was collected; returns the seconds that it took. What is refused is owed still."""
        began = time.monotonic()
        try:
            self._metrics.put(self._writer, self._owed)
            self._owed = {}
        except Exception:  # noqa: BLE001 - the front door serves on, whatever the store's trouble; logged
            _LOG.exception("invocations could not be counted; the counts are written later")
        return time.monotonic() - began


def _share(some: int, count: int) -> Statistic:
    """Return the statistic of `count` measurements of which `some` were 1, the others 0."""
    return Statistic(count, some, int(some == count), int(some > 0))


def _series(place: Place, name: str) -> Series:
    account, region, endpoint, variant = place
    dimensions = (("EndpointName", endpoint), ("VariantName", variant))
    return Series(account, region, ENDPOINT_NAMESPACE, name, dimensions)

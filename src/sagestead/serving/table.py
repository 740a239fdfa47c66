"""A front door's own copy of the routes, and the hosts that they name.

Rule: an invocation reads this copy and nothing else. Routes never change; the copy does, on the event loop
and by all changes of a revision at once, so that whoever runs there sees whole revisions only, and a change
costs what it changes. A revision is acknowledged once requests are routed by it and its models are open, so
that control may then take old instances away and call the endpoint in service.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from sagestead.domain.routes import INLINE, Place, Route, RouteChanges
from sagestead.ports import Clock, Resources, Routes
from sagestead.serving.host import Host, Unread
from sagestead.serving.inline_host import InlineHost, Threads
from sagestead.serving.worker_host import WorkerHost
from sagestead.worker.contract import Answer, InlineModel, Invocation, ModelRefused, Open

ACKNOWLEDGE_SECONDS = 0.8
PAUSE_AFTER_FAILURE = 0.5
OPENING_SECONDS = 0.02
"""For how long at a time models are opened before the store is looked at again."""

_LOG = logging.getLogger(__name__)


def no_models(prepared: Path) -> InlineModel:
    """Open nothing: what a front door does that was given no opener."""
    raise ModelRefused(f"This front door hosts no models, so {prepared} is not opened.")


class RouteWatcher:
    """Follows the published routes.

    Args:
        routes: where they are published.
        resources: tells cheaply whether anything was written.
        name: of this front door, unique among those that live.
        clock: seconds since the epoch.
        open_model: opens the models that are hosted inline.

    Attributes:
        is_loaded: the first routes are in force and control knows of it.
    """

    def __init__(
        self, routes: Routes, resources: Resources, name: str, clock: Clock, open_model: Open = no_models
    ) -> None:
        self._routes = routes
        self._resources = resources
        self._name = name
        self._clock = clock
        self._open_model = open_model
        self._threads = Threads()
        self._table: dict[Place, Route] = {}
        self._revision = 0
        self._named: Counter[str] = Counter()
        self._hosts: dict[str, Host] = {}
        self._unopened: deque[InlineHost] = deque()
        self._seen: int | None = None
        self._acknowledged: tuple[int, float] | None = None
        self._loaded = asyncio.Event()
        self.is_loaded = False

    async def run(self) -> None:
        """Follow until cancelled. When the store cannot be read, the last routes stay in force."""
        stopping = threading.Event()
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, thread_name_prefix="routes") as thread:
            following = loop.run_in_executor(thread, self._follow, loop, stopping)
            try:
                await asyncio.shield(following)
            finally:
                stopping.set()
                self._resources.wake()
                await asyncio.wait([following])
                self._threads.close()

    async def loaded(self) -> None:
        """Wait until the first routes are in force and control knows of it."""
        await self._loaded.wait()

    def route(self, account: str, region: str, endpoint: str) -> Route | None:
        """Return where an endpoint's requests go, or None."""
        return self._table.get((account, region, endpoint))

    def host(self, address: str) -> Host:
        """Return the host at an address; a worker is connected to at the first request."""
        host = self._hosts.get(address)
        if host is None:
            if address not in self._named:
                return _GONE
            host = self._hosts[address] = WorkerHost(address)
        return host

    def leave(self) -> None:
        """Say that this front door routes no more."""
        self._routes.leave(self._name)

    # -- on the thread

    def _follow(self, loop: asyncio.AbstractEventLoop, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                self._resources.wait(self._look(loop, stopping))
            except Exception:  # noqa: BLE001 - the front door serves on, whatever the store's trouble; logged
                _LOG.exception("the routes could not be read; the last ones stay in force")
                stopping.wait(PAUSE_AFTER_FAILURE)

    def _look(self, loop: asyncio.AbstractEventLoop, stopping: threading.Event) -> float:
        """Take over what is new; returns the seconds until the next look.

        Control waits for a front door only once it knows of it: what was published before that is there at
        the look after.
        """
        is_known = self._acknowledged is not None
        seen = self._resources.revision()
        if seen != self._seen:
            self._take_over(loop, stopping)
            self._seen = seen
        now = self._clock()
        if self._owes_acknowledgement(now):
            self._acknowledge(now)
        if is_known and not self.is_loaded:
            self.is_loaded = True
            loop.call_soon_threadsafe(self._loaded.set)
        if not self.is_loaded:
            return 0.0
        if self._unopened:
            self._open_some()
            return 0.0
        return ACKNOWLEDGE_SECONDS

    def _take_over(self, loop: asyncio.AbstractEventLoop, stopping: threading.Event) -> None:
        changes = self._routes.changes(self._revision)
        if changes.revision == self._revision and self._seen is not None:
            return
        hosts = dict(self._new_inline_hosts(changes.changed))
        if self._seen is None:
            self._unopened.extend(hosts.values())
        else:
            _open(hosts.values())
        adopted = threading.Event()
        loop.call_soon_threadsafe(self._adopt, changes, hosts, adopted)
        while not adopted.wait(PAUSE_AFTER_FAILURE) and not stopping.is_set():
            pass

    def _new_inline_hosts(self, routes: Iterable[Route]) -> Iterator[tuple[str, InlineHost]]:
        for route in routes:
            for address in _addresses(route):
                if address.startswith(INLINE) and address not in self._hosts:
                    folder = Path(address.removeprefix(INLINE))
                    yield address, InlineHost(folder, self._open_model, self._threads)

    def _open_some(self) -> None:
        """Open models that were there when the front door started; requests open theirs themselves."""
        until = time.monotonic() + OPENING_SECONDS
        while self._unopened and time.monotonic() < until:
            _open([self._unopened.popleft()])

    def _owes_acknowledgement(self, now: float) -> bool:
        last = self._acknowledged
        return last is None or last[0] != self._revision or not 0 <= now - last[1] < ACKNOWLEDGE_SECONDS

    def _acknowledge(self, now: float) -> None:
        revision = self._revision
        self._routes.acknowledge(self._name, revision, now)
        self._acknowledged = revision, now

    # -- on the event loop

    def _adopt(self, changes: RouteChanges, hosts: Mapping[str, Host], adopted: threading.Event) -> None:
        gone: Iterable[Place] = changes.withdrawn
        if changes.whole:
            gone = self._table.keys() - {route.place for route in changes.changed}
        self._hosts.update(hosts)
        for route in changes.changed:
            self._replace(route.place, route)
        for place in gone:
            self._replace(place, None)
        self._revision = changes.revision
        adopted.set()

    def _replace(self, place: Place, route: Route | None) -> None:
        """Put a route in force; hosts that no route names any more are retired."""
        before = self._table.pop(place, None)
        if route is not None:
            self._table[place] = route
            self._named.update(_addresses(route))
        if before is None:
            return
        for address in _addresses(before):
            self._named[address] -= 1
            if not self._named[address]:
                del self._named[address]
                if address in self._hosts:
                    self._hosts.pop(address).retire()


class _Gone:
    """The host at an address that no route names any more: nothing is begun there."""

    outstanding = 0

    def begin(self, invocation: Invocation) -> Answer:
        del invocation
        raise Unread

    def retire(self) -> None:
        """There is nothing to let go of."""


_GONE = _Gone()


def _addresses(route: Route) -> list[str]:
    return [address for variant in route.variants for address in variant.addresses]


def _open(hosts: Iterable[InlineHost]) -> None:
    for host in hosts:
        with suppress(Unread):  # the host has logged why; control cannot mend it by waiting
            host.open()

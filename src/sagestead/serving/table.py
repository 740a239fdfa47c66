"""A front door's own copy of the route table, and the hosts that it names.

Rule: an invocation reads this copy and nothing else. The table is replaced whole; a revision is
acknowledged only once requests are routed by it, so that control may then take old instances away.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor, ThreadPoolExecutor

from sagestead.domain.routes import Place, Route, RouteChanges
from sagestead.ports import Clock, Resources, Routes
from sagestead.serving.host import Host
from sagestead.serving.worker_host import WorkerHost

POLL_SECONDS = 0.02
ACKNOWLEDGE_SECONDS = 0.5
PAUSE_AFTER_FAILURE = 0.5

_LOG = logging.getLogger(__name__)


class RouteWatcher:
    """Follows the published routes.

    Args:
        routes: where tables are published.
        resources: tells cheaply whether anything was written.
        name: of this front door, unique among those that live.
        clock: seconds since the epoch.
    """

    def __init__(self, routes: Routes, resources: Resources, name: str, clock: Clock) -> None:
        self._routes = routes
        self._resources = resources
        self._name = name
        self._clock = clock
        self._table: dict[Place, Route] = {}
        self._revision = 0
        self._hosts: dict[str, Host] = {}
        self._seen: int | None = None
        self._acknowledged: tuple[int, float] | None = None
        self._loaded = asyncio.Event()

    async def run(self) -> None:
        """Follow until cancelled. When the store cannot be read, the last table stays in force."""
        with ThreadPoolExecutor(1, thread_name_prefix="routes") as thread:
            while True:
                pause = POLL_SECONDS
                try:
                    await self._follow(thread)
                except Exception:  # noqa: BLE001 - the front door serves on, whatever the store's trouble
                    _LOG.exception("the route table could not be read; the last one stays in force")
                    pause = PAUSE_AFTER_FAILURE
                await asyncio.sleep(pause)

    @property
    def is_loaded(self) -> bool:
        """True once the first table is in force and control knows of it."""
        return self._loaded.is_set()

    async def loaded(self) -> None:
        """Wait until the first table is in force and control knows of it."""
        await self._loaded.wait()

    def route(self, account: str, region: str, endpoint: str) -> Route | None:
        """Return where an endpoint's requests go, or None."""
        return self._table.get((account, region, endpoint))

    def host(self, address: str) -> Host:
        """Return the host at an address; connections are made at the first request."""
        host = self._hosts.get(address)
        if host is None:
            host = self._hosts[address] = WorkerHost(address)
        return host

    def leave(self) -> None:
        """Say that this front door routes no more."""
        self._routes.leave(self._name)

    async def _follow(self, thread: Executor) -> None:
        loop = asyncio.get_running_loop()
        changes = await loop.run_in_executor(thread, self._fetch)
        if changes is not None:
            self._adopt(changes)
        now = self._clock()
        if self._owes_acknowledgement(now):
            await loop.run_in_executor(thread, self._acknowledge, now)
        self._loaded.set()

    def _fetch(self) -> RouteChanges | None:
        """Return what the table in force lacks, if anything was written."""
        seen = self._resources.revision()
        if seen == self._seen:
            return None
        changes = self._routes.changes(self._revision)
        self._seen = seen
        return changes

    def _adopt(self, changes: RouteChanges) -> None:
        if changes.whole:
            self._table = {}
        self._table.update((route.place, route) for route in changes.changed)
        for place in changes.withdrawn:
            self._table.pop(place, None)
        self._revision = changes.revision
        named = {
            address
            for route in self._table.values()
            for variant in route.variants
            for address in variant.addresses
        }
        for address in [address for address in self._hosts if address not in named]:
            self._hosts.pop(address).retire()

    def _owes_acknowledgement(self, now: float) -> bool:
        last = self._acknowledged
        return last is None or last[0] != self._revision or not 0 <= now - last[1] < ACKNOWLEDGE_SECONDS

    def _acknowledge(self, now: float) -> None:
        revision = self._revision
        self._routes.acknowledge(self._name, revision, now)
        self._acknowledged = revision, now

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sagestead.domain.routes import Route, Variant
from sagestead.serving.table import RouteWatcher
from sagestead.store.database import Database
from sagestead.store.resources import SqlResources
from sagestead.store.routes import SqlRoutes

from .conftest import run, until

PLACE = ("123456789012", "eu-west-1", "hotels")


def route(*addresses: str) -> Route:
    return Route(*PLACE, variants=(Variant("Blue", 1.0, addresses),))


@asynccontextmanager
async def watching(database: Database) -> AsyncIterator[RouteWatcher]:
    watcher = RouteWatcher(SqlRoutes(database), SqlResources(database), "door", time.time)
    task = asyncio.create_task(watcher.run())
    await watcher.loaded()
    try:
        yield watcher
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def test_a_published_route_is_followed_and_acknowledged(database: Database) -> None:
    async def scenario() -> None:
        routes = SqlRoutes(database)
        async with watching(database) as watcher:
            routes.publish(route("/a"))
            await until(lambda: routes.settled(*PLACE, time.time()))
            assert watcher.route(*PLACE) == route("/a")
            assert watcher.route("123456789012", "eu-west-1", "Hotels") is None
            routes.withdraw(*PLACE)
            await until(lambda: routes.settled(*PLACE, time.time()))
            assert watcher.route(*PLACE) is None

    run(scenario())


def test_hosts_live_as_long_as_a_route_names_them(database: Database) -> None:
    async def scenario() -> None:
        routes = SqlRoutes(database)
        async with watching(database) as watcher:
            routes.publish(route("/a", "/b"))
            await until(lambda: watcher.route(*PLACE) is not None)
            kept, dropped = watcher.host("/a"), watcher.host("/b")
            routes.publish(route("/a"))
            await until(lambda: watcher.route(*PLACE) == route("/a"))
            assert watcher.host("/a") is kept
            assert watcher.host("/b") is not dropped

    run(scenario())


def test_a_front_door_that_left_is_not_waited_for(database: Database) -> None:
    async def scenario() -> None:
        routes = SqlRoutes(database)
        async with watching(database) as watcher:
            pass
        routes.publish(route("/a"))
        assert not routes.settled(*PLACE, time.time())
        watcher.leave()
        assert routes.settled(*PLACE, time.time())

    run(scenario())

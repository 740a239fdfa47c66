from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from sagestead.domain.routes import INLINE, Route, RouteChanges, Variant
from sagestead.serving.host import Unread
from sagestead.serving.table import RouteWatcher, no_models
from sagestead.store.database import Database
from sagestead.store.resources import SqlResources
from sagestead.store.routes import SqlRoutes
from sagestead.worker.contract import Answer, Invocation, Open

from .conftest import run, until

PLACE = ("123456789012", "eu-west-1", "hotels")


def route(*addresses: str) -> Route:
    return Route(*PLACE, variants=(Variant("Blue", 1.0, addresses),))


@asynccontextmanager
async def watching(
    database: Database, open_model: Open = no_models, routes: SqlRoutes | None = None
) -> AsyncIterator[RouteWatcher]:
    followed = routes or SqlRoutes(database)
    watcher = RouteWatcher(followed, SqlResources(database), "door", time.time, open_model)
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


def test_what_was_published_before_control_knew_of_the_front_door_is_not_missed(database: Database) -> None:
    class Overtaken(SqlRoutes):
        """Publishes, and finds that nobody is waited for, just before the front door is known."""

        overtaken = False

        def acknowledge(self, front_door: str, revision: int, now: float) -> None:
            if not self.overtaken:
                self.overtaken = True
                self.publish(route("/a"))
                assert self.settled(*PLACE, now)
            super().acknowledge(front_door, revision, now)

    async def scenario() -> None:
        async with watching(database, routes=Overtaken(database)) as watcher:
            assert watcher.route(*PLACE) == route("/a")

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


class Opened:
    """Stands where a model is; answers with its folder."""

    def __init__(self, prepared: Path) -> None:
        self.prepared = prepared

    def at_once(self, invocation: Invocation) -> Answer | None:
        """Answer nothing so quickly."""
        del invocation
        return None

    def cost(self, invocation: Invocation) -> float:
        del invocation
        return 0.0

    def invoke(self, invocation: Invocation) -> Answer:
        del invocation
        return Answer(200, "text/plain", str(self.prepared).encode())


def test_a_model_is_open_before_its_route_is_acknowledged(database: Database) -> None:
    async def scenario() -> None:
        routes = SqlRoutes(database)
        opens: list[str] = []
        gate = threading.Event()

        def open_model(prepared: Path) -> Opened:
            opens.append(str(prepared))
            gate.wait(20)
            return Opened(prepared)

        async with watching(database, open_model) as watcher:
            routes.publish(route(f"{INLINE}/m"))
            await until(lambda: opens == ["/m"])
            assert watcher.route(*PLACE) is None
            assert not routes.settled(*PLACE, time.time())
            gate.set()
            await until(lambda: routes.settled(*PLACE, time.time()))
            assert watcher.host(f"{INLINE}/m").begin(Invocation(b"")) == Answer(200, "text/plain", b"/m")

    run(scenario())


def test_the_first_routes_are_in_force_before_their_models_are_open(database: Database) -> None:
    async def scenario() -> None:
        routes = SqlRoutes(database)
        routes.publish(route(f"{INLINE}/m"))
        gate = threading.Event()

        def open_model(prepared: Path) -> Opened:
            gate.wait(20)
            return Opened(prepared)

        async with watching(database, open_model) as watcher:
            asked = watcher.host(f"{INLINE}/m").begin(Invocation(b""))
            assert isinstance(asked, asyncio.Future)
            assert routes.settled(*PLACE, time.time())
            gate.set()
            assert (await asked).body == b"/m"
            await until(lambda: not watcher._unopened)
            assert watcher.host(f"{INLINE}/m").begin(Invocation(b"")) == Answer(200, "text/plain", b"/m")

    run(scenario())


def test_a_model_that_cannot_be_opened_keeps_no_other_from_being_served(database: Database) -> None:
    async def scenario() -> None:
        routes = SqlRoutes(database)

        def open_model(prepared: Path) -> Opened:
            if prepared.name == "bad":
                raise ZeroDivisionError
            return Opened(prepared)

        async with watching(database, open_model) as watcher:
            routes.publish(route(f"{INLINE}/bad", f"{INLINE}/good"))
            await until(lambda: routes.settled(*PLACE, time.time()))
            with pytest.raises(Unread):
                watcher.host(f"{INLINE}/bad").begin(Invocation(b""))
            assert watcher.host(f"{INLINE}/good").begin(Invocation(b"")) == Answer(
                200, "text/plain", b"/good"
            )

    run(scenario())


def test_a_model_is_let_go_when_the_last_route_that_names_it_goes(database: Database) -> None:
    async def scenario() -> None:
        routes = SqlRoutes(database)
        other = Route(*PLACE[:2], "motels", (Variant("Green", 1.0, (f"{INLINE}/m",)),))
        async with watching(database, Opened) as watcher:
            routes.publish(route(f"{INLINE}/m"))
            routes.publish(other)
            await until(lambda: watcher.route(*other.place) is not None)
            host = watcher.host(f"{INLINE}/m")
            routes.withdraw(*PLACE)
            await until(lambda: watcher.route(*PLACE) is None)
            assert watcher.host(f"{INLINE}/m") is host
            routes.withdraw(*other.place)
            await until(lambda: watcher.route(*other.place) is None)
            for gone in (host, watcher.host(f"{INLINE}/m")):
                with pytest.raises(Unread):
                    gone.begin(Invocation(b""))
            assert not watcher._hosts
            assert not watcher._named

    run(scenario())


def test_a_follower_that_missed_much_lets_go_of_what_is_gone(database: Database) -> None:
    async def scenario() -> None:
        routes = SqlRoutes(database)
        async with watching(database, Opened) as watcher:
            routes.publish(route(f"{INLINE}/m"))
            await until(lambda: watcher.route(*PLACE) is not None)
            other = Route(*PLACE[:2], "motels", (Variant("Green", 1.0, ("/a",)),))
            revision = routes.publish(other)
            await until(lambda: watcher.route(*other.place) is not None)
            adopted = threading.Event()
            watcher._adopt(RouteChanges(revision, (other,), whole=True), {}, adopted)
            assert adopted.is_set()
            assert watcher.route(*PLACE) is None
            assert watcher.route(*other.place) == other
            assert dict(watcher._named) == {"/a": 1}

    run(scenario())

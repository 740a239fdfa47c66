"""The law of `Routes`, held against every adapter."""

import time
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagestead.domain.routes import Place, Route, RouteChanges, Variant
from sagestead.ports import Routes
from sagestead.store import tables
from sagestead.store.database import Database, open_database
from sagestead.store.resources import SqlResources
from sagestead.store.routes import SqlRoutes

CATS = Route("123456789012", "us-east-1", "Cats", (Variant("AllTraffic", 1.0, ("/run/a", "/run/b")),))
DOGS = Route("123456789012", "us-east-1", "Dogs", (Variant("A", 0.5, ()), Variant("B", 1.5, ("/run/c",))))


class TestSqlRoutes:
    @pytest.fixture
    def database(self, folder: Path) -> Iterator[Database]:
        database = open_database(folder)
        yield database
        database.close()

    @pytest.fixture
    def routes(self, database: Database) -> Routes:
        return SqlRoutes(database)

    def test_every_publication_has_a_revision_of_its_own(self, routes: Routes) -> None:
        start = routes.changes(0)
        assert start.changed == ()
        first = routes.publish(CATS)
        second = routes.publish(DOGS)
        assert start.revision < first < second == routes.changes(0).revision
        assert set(routes.changes(0).changed) == {CATS, DOGS}

    def test_a_route_is_found_replaced_and_withdrawn(self, routes: Routes) -> None:
        routes.publish(CATS)
        routes.publish(DOGS)
        assert routes.find(*DOGS.place) == DOGS
        changed = Route(*DOGS.place, DOGS.variants[:1])
        routes.publish(changed)
        assert routes.find(*DOGS.place) == changed
        revision = routes.withdraw(*DOGS.place)
        assert routes.find(*DOGS.place) is None
        assert routes.changes(0).revision == revision
        assert routes.changes(0).changed == (CATS,)
        assert routes.find("123456789012", "us-east-1", "cats") is None

    def test_a_follower_is_told_what_it_missed_and_nothing_else(self, routes: Routes) -> None:
        routes.publish(CATS)
        seen = routes.publish(DOGS)
        assert routes.changes(seen) == RouteChanges(seen)
        last = routes.withdraw(*DOGS.place)
        assert routes.changes(seen) == RouteChanges(last, (), (DOGS.place,))
        last = routes.publish(DOGS)
        assert routes.changes(seen) == RouteChanges(last, (DOGS,))

    def test_withdrawing_what_is_not_there_changes_nothing(self, routes: Routes) -> None:
        revision = routes.publish(CATS)
        assert routes.withdraw(*DOGS.place) == revision
        last = routes.withdraw(*CATS.place)
        assert routes.withdraw(*CATS.place) == last == revision + 1
        assert routes.changes(revision) == RouteChanges(last, (), (CATS.place,))

    def test_a_follower_from_another_future_is_given_every_route(self, routes: Routes) -> None:
        revision = routes.publish(CATS)
        assert routes.changes(revision + 1) == RouteChanges(revision, (CATS,), (), whole=True)

    def test_withdrawals_are_forgotten_and_who_missed_them_is_given_every_route(
        self, database: Database
    ) -> None:
        routes = SqlRoutes(database, remembered=3)
        start = routes.publish(CATS)
        for number in range(8):
            routes.publish(Route("1", "r", f"e{number}", ()))
            last = routes.withdraw("1", "r", f"e{number}")
        assert routes.changes(start) == RouteChanges(last, (CATS,), (), whole=True)
        assert routes.changes(last - 2) == RouteChanges(last, (), (("1", "r", "e7"),))
        with database.read() as connection:
            assert connection.execute(sa.text("SELECT count(*) FROM routes")).scalar_one() <= 4
        assert routes.settled("1", "r", "e0", 100.0)

    @given(
        st.lists(st.tuples(st.sampled_from("pwf"), st.integers(0, 3), st.floats(0, 9)), max_size=25),
        st.integers(1, 6),
    )
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_whenever_a_follower_looks_it_has_the_routes_that_there_are(
        self, database: Database, steps: list[tuple[str, int, float]], remembered: int
    ) -> None:
        routes = SqlRoutes(database, remembered)
        held: dict[Place, Route] = {}
        seen = 0
        for step, number, weight in [*steps, ("f", 0, 0.0)]:
            place = ("1", "r", f"e{number}")
            if step == "p":
                routes.publish(Route(*place, (Variant("A", weight, ("/a",)),)))
            elif step == "w":
                routes.withdraw(*place)
            else:
                changes = routes.changes(seen)
                held = {} if changes.whole else held
                held.update((route.place, route) for route in changes.changed)
                for gone in changes.withdrawn:
                    held.pop(gone, None)
                seen = changes.revision
                assert held == {route.place: route for route in routes.changes(0).changed}

    def test_settled_when_every_living_front_door_has_acknowledged(self, routes: Routes) -> None:
        revision = routes.publish(CATS)
        assert routes.settled(*CATS.place, 100.0)
        routes.acknowledge("one", revision - 1, 100.0)
        routes.acknowledge("two", revision, 100.0)
        assert not routes.settled(*CATS.place, 101.0)
        routes.acknowledge("one", revision, 101.0)
        assert routes.settled(*CATS.place, 101.0)

    def test_what_becomes_of_other_endpoints_does_not_unsettle_one(self, routes: Routes) -> None:
        routes.acknowledge("one", routes.publish(CATS), 100.0)
        routes.publish(DOGS)
        assert routes.settled(*CATS.place, 100.0)
        assert not routes.settled(*DOGS.place, 100.0)

    def test_a_withdrawal_settles_too(self, routes: Routes) -> None:
        routes.acknowledge("one", routes.publish(CATS), 100.0)
        revision = routes.withdraw(*CATS.place)
        assert not routes.settled(*CATS.place, 100.0)
        routes.acknowledge("one", revision, 100.0)
        assert routes.settled(*CATS.place, 100.0)

    def test_a_front_door_not_heard_of_does_not_count(self, routes: Routes) -> None:
        revision = routes.publish(CATS)
        routes.acknowledge("one", revision - 1, 100.0)
        assert not routes.settled(*CATS.place, 103.0)
        assert routes.settled(*CATS.place, 103.1)

    def test_a_front_door_that_left_does_not_count(self, routes: Routes) -> None:
        revision = routes.publish(CATS)
        routes.acknowledge("one", revision - 1, 100.0)
        routes.leave("one")
        assert routes.settled(*CATS.place, 100.0)

    def test_a_look_at_little_costs_little_however_many_routes_there_are(
        self, routes: Routes, database: Database
    ) -> None:
        revision = routes.publish(CATS)
        row = {"account": "1", "region": "r", "variants": [], "withdrawn": False}
        rows = [row | {"endpoint": f"e{n}", "revision": revision - 1} for n in range(20_000)]
        with database.write() as connection:
            connection.execute(sa.insert(tables.routes), rows)
        looks: list[Callable[[], object]] = [
            lambda: routes.changes(revision),
            lambda: routes.find(*CATS.place),
            lambda: routes.settled(*CATS.place, 100.0),
            lambda: routes.withdraw(*routes.changes(routes.publish(CATS) - 1).changed[0].place),
        ]
        for look in looks:
            assert min(timeit.repeat(look, number=1, repeat=5, timer=time.process_time)) < 0.005

    def test_a_heartbeat_is_not_news_and_an_acknowledgement_is(self, routes: Routes, folder: Path) -> None:
        second = open_database(folder)
        watcher = SqlResources(second)
        revision = routes.publish(CATS)
        routes.acknowledge("one", revision, 100.0)
        before = watcher.revision()
        routes.acknowledge("one", revision, 101.0)
        assert watcher.revision() == before
        routes.acknowledge("one", revision + 1, 102.0)
        assert watcher.revision() != before
        second.close()

"""The law of `Routes`, held against every adapter."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sagestead.domain.routes import Route, Variant
from sagestead.ports import Routes
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

    def test_a_table_is_published_whole_under_a_growing_revision(self, routes: Routes) -> None:
        start = routes.table()
        assert dict(start.routes) == {}
        first = routes.publish(CATS)
        second = routes.publish(DOGS)
        assert start.revision < first < second
        table = routes.table()
        assert table.revision == routes.revision() == second
        assert dict(table.routes) == {(r.account, r.region, r.endpoint): r for r in (CATS, DOGS)}

    def test_a_route_is_replaced_and_withdrawn(self, routes: Routes) -> None:
        routes.publish(DOGS)
        changed = Route(DOGS.account, DOGS.region, DOGS.endpoint, DOGS.variants[:1])
        routes.publish(changed)
        assert list(routes.table().routes.values()) == [changed]
        revision = routes.withdraw(DOGS.account, DOGS.region, DOGS.endpoint)
        assert routes.table().revision == revision
        assert dict(routes.table().routes) == {}

    def test_settled_when_every_living_front_door_has_acknowledged(self, routes: Routes) -> None:
        revision = routes.publish(CATS)
        assert routes.settled(revision, 100.0)
        routes.acknowledge("one", revision - 1, 100.0)
        routes.acknowledge("two", revision, 100.0)
        assert not routes.settled(revision, 101.0)
        routes.acknowledge("one", revision, 101.0)
        assert routes.settled(revision, 101.0)

    def test_a_front_door_not_heard_of_does_not_count(self, routes: Routes) -> None:
        revision = routes.publish(CATS)
        routes.acknowledge("one", revision - 1, 100.0)
        assert not routes.settled(revision, 103.0)
        assert routes.settled(revision, 103.1)

    def test_a_front_door_that_left_does_not_count(self, routes: Routes) -> None:
        revision = routes.publish(CATS)
        routes.acknowledge("one", revision - 1, 100.0)
        routes.leave("one")
        assert routes.settled(revision, 100.0)

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

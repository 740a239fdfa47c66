"""The route table in SQL, and the front doors' acknowledgements of it."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from sagestead.domain.routes import Route, RouteTable, Variant
from sagestead.store.database import Database, count
from sagestead.store.tables import counters, front_doors, routes

ALIVE_SECONDS = 3.0
FORGET_SECONDS = 60.0


class SqlRoutes:
    """`Routes` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def publish(self, route: Route) -> int:
        """Set one endpoint's route; returns the new revision."""
        variants = [
            {"name": variant.name, "weight": variant.weight, "addresses": list(variant.addresses)}
            for variant in route.variants
        ]
        place = {"account": route.account, "region": route.region, "endpoint": route.endpoint}
        statement = insert(routes).values(variants=variants, **place)
        with self._database.write() as connection:
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=[routes.c.account, routes.c.region, routes.c.endpoint],
                    set_={"variants": statement.excluded.variants},
                )
            )
            return count(connection, "routes")

    def withdraw(self, account: str, region: str, endpoint: str) -> int:
        """Remove one endpoint's route; returns the new revision."""
        statement = sa.delete(routes).where(
            routes.c.account == account, routes.c.region == region, routes.c.endpoint == endpoint
        )
        with self._database.write() as connection:
            connection.execute(statement)
            return count(connection, "routes")

    def revision(self) -> int:
        """Return the revision of the table."""
        with self._database.read() as connection:
            return _revision(connection)

    def table(self) -> RouteTable:
        """Return the whole table."""
        with self._database.read() as connection:
            found = [_route(row) for row in connection.execute(sa.select(routes))]
            current = _revision(connection)
        by_name = {(route.account, route.region, route.endpoint): route for route in found}
        return RouteTable(current, MappingProxyType(by_name))

    def acknowledge(self, front_door: str, revision: int, now: float) -> None:
        """A front door says that it lives and routes by that revision (at least every second)."""
        before = sa.select(front_doors.c.revision).where(front_doors.c.name == front_door)
        with self._database.read() as connection:
            is_news = connection.execute(before).scalar() != revision
        statement = insert(front_doors).values(name=front_door, revision=revision, seen_at=now)
        with self._database.write(durable=False, announce=is_news) as connection:
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=[front_doors.c.name], set_={"revision": revision, "seen_at": now}
                )
            )
            connection.execute(sa.delete(front_doors).where(front_doors.c.seen_at < now - FORGET_SECONDS))

    def leave(self, front_door: str) -> None:
        """A front door says that it serves no more."""
        with self._database.write(durable=False) as connection:
            connection.execute(sa.delete(front_doors).where(front_doors.c.name == front_door))

    def settled(self, revision: int, now: float) -> bool:
        """True when every front door heard of in the last 3 seconds has acknowledged `revision`."""
        behind = sa.select(front_doors.c.name).where(
            front_doors.c.seen_at >= now - ALIVE_SECONDS, front_doors.c.revision < revision
        )
        with self._database.read() as connection:
            return connection.execute(behind.limit(1)).first() is None


def _revision(connection: sa.Connection) -> int:
    value: int = connection.execute(
        sa.select(counters.c.value).where(counters.c.name == "routes")
    ).scalar_one()
    return value


def _route(row: sa.Row[Any]) -> Route:
    variants = tuple(
        Variant(variant["name"], variant["weight"], tuple(variant["addresses"])) for variant in row.variants
    )
    return Route(row.account, row.region, row.endpoint, variants)

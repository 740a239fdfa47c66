"""The routes in SQL, and the front doors' acknowledgements of them.

Rule: a row tells at which revision it changed last. The row of a withdrawn route stays for `REMEMBERED`
revisions, so that followers hear of it; a follower that is further behind reads every route.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from sagestead.domain.resources import Json
from sagestead.domain.routes import Place, Route, RouteChanges, Variant
from sagestead.store.database import Database, count
from sagestead.store.tables import counters, front_doors, routes

ALIVE_SECONDS = 3.0
FORGET_SECONDS = 60.0
REMEMBERED = 10_000

_HAS_MOVED = "SELECT 1 FROM counters WHERE name = 'routes' AND value <> :since"
_IS_SAME = "SELECT 1 FROM front_doors WHERE name = :name AND revision = :revision"

_AT_PLACE = "account = :account AND region = :region AND endpoint = :endpoint"
_FIND = f"SELECT variants FROM routes WHERE {_AT_PLACE} AND NOT withdrawn"  # noqa: S608 - our own words
_IS_BEHIND = f"""
    SELECT 1 FROM front_doors WHERE seen_at >= :alive AND revision < coalesce(
        (SELECT revision FROM routes WHERE {_AT_PLACE}),
        (SELECT value - :remembered FROM counters WHERE name = 'routes')
    )
"""  # noqa: S608 - our own words

# Executed for every endpoint: statements are made once.
_ACKNOWLEDGE = insert(front_doors)
_ACKNOWLEDGE = _ACKNOWLEDGE.on_conflict_do_update(
    index_elements=[front_doors.c.name],
    set_={"revision": _ACKNOWLEDGE.excluded.revision, "seen_at": _ACKNOWLEDGE.excluded.seen_at},
)
_PUBLISH = insert(routes)
_PUBLISH = _PUBLISH.on_conflict_do_update(
    index_elements=[routes.c.account, routes.c.region, routes.c.endpoint],
    set_={name: _PUBLISH.excluded[name] for name in ("variants", "revision", "withdrawn")},
)
_NEWS = sa.select(routes).where(sa.text("withdrawn IN (0, 1)"), routes.c.revision > sa.bindparam("since"))
_CURRENT = sa.select(counters.c.value).where(counters.c.name == "routes")


class SqlRoutes:
    """`Routes` on a `Database`. `remembered`: for how many revisions a withdrawal is remembered."""

    def __init__(self, database: Database, remembered: int = REMEMBERED) -> None:
        self._database = database
        self._remembered = remembered

    def publish(self, route: Route) -> int:
        """Set one endpoint's route; returns the new revision."""
        variants = [
            {"name": variant.name, "weight": variant.weight, "addresses": list(variant.addresses)}
            for variant in route.variants
        ]
        with self._database.write(durable=False) as connection:
            current = count(connection, "routes")
            place = {"account": route.account, "region": route.region, "endpoint": route.endpoint}
            news = {"variants": variants, "revision": current, "withdrawn": False}
            connection.execute(_PUBLISH, place | news)
        return current

    def withdraw(self, account: str, region: str, endpoint: str) -> int:
        """Remove one endpoint's route; returns the revision without it. If there is none, nothing changes."""
        place = account, region, endpoint
        with self._database.read() as connection:
            if not connection.execute(sa.select(_published(place))).scalar():
                return _current(connection)
        with self._database.write(durable=False) as connection:
            current = count(connection, "routes")
            connection.execute(
                sa.update(routes)
                .where(_named(place), ~routes.c.withdrawn)
                .values(variants=[], revision=current, withdrawn=True)
            )
            forgotten = routes.c.withdrawn & (routes.c.revision <= current - self._remembered)
            connection.execute(sa.delete(routes).where(forgotten))
        return current

    def find(self, account: str, region: str, endpoint: str) -> Route | None:
        """Return one endpoint's route, or None."""
        row = self._database.first(_FIND, {"account": account, "region": region, "endpoint": endpoint})
        return None if row is None else Route(account, region, endpoint, _variants(json.loads(row[0])))

    def changes(self, since: int) -> RouteChanges:
        """Return what became of the routes after revision `since`; 0: every route; nothing at once."""
        if since and not self._database.is_any(_HAS_MOVED, {"since": since}):
            return RouteChanges(since)
        with self._database.read() as connection:
            current = _current(connection)
            if since == current:
                return RouteChanges(current, whole=since == 0)
            if not max(1, current - self._remembered) <= since < current:
                rows = connection.execute(sa.select(routes).where(~routes.c.withdrawn))
                return RouteChanges(current, tuple(_route(row) for row in rows), whole=True)
            found = connection.execute(_NEWS, {"since": since}).all()
        return RouteChanges(
            current,
            tuple(_route(row) for row in found if not row.withdrawn),
            tuple((row.account, row.region, row.endpoint) for row in found if row.withdrawn),
        )

    def acknowledge(self, front_door: str, revision: int, now: float) -> None:
        """A front door says that it lives and routes by that revision (at least every second)."""
        said = {"name": front_door, "revision": revision}
        is_news = not self._database.is_any(_IS_SAME, said)
        with self._database.write(durable=False, announce=is_news) as connection:
            connection.execute(_ACKNOWLEDGE, {**said, "seen_at": now})
            if is_news:
                connection.execute(sa.delete(front_doors).where(front_doors.c.seen_at < now - FORGET_SECONDS))

    def leave(self, front_door: str) -> None:
        """A front door says that it serves no more."""
        with self._database.write(durable=False) as connection:
            connection.execute(sa.delete(front_doors).where(front_doors.c.name == front_door))

    def settled(self, account: str, region: str, endpoint: str, now: float) -> bool:
        """True when every living front door routes by what was published or withdrawn last for it."""
        place = {"account": account, "region": region, "endpoint": endpoint}
        when = {"alive": now - ALIVE_SECONDS, "remembered": self._remembered}
        return not self._database.is_any(_IS_BEHIND, {**place, **when})


def _current(connection: sa.Connection) -> int:
    value: int = connection.execute(_CURRENT).scalar_one()
    return value


def _named(place: Place) -> sa.ColumnElement[bool]:
    account, region, endpoint = place
    columns = routes.c
    return sa.and_(columns.account == account, columns.region == region, columns.endpoint == endpoint)


def _published(place: Place) -> sa.Exists:
    return sa.exists().where(_named(place), ~routes.c.withdrawn)


def _route(row: sa.Row[Any]) -> Route:
    return Route(row.account, row.region, row.endpoint, _variants(row.variants))


def _variants(stored: list[Json]) -> tuple[Variant, ...]:
    return tuple(Variant(one["name"], one["weight"], tuple(one["addresses"])) for one in stored)

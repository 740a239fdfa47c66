"""Resources in SQL: guarded writes, leases, keyset pages."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from sagestead.domain.resources import Key, Kind, Resource
from sagestead.ports import AlreadyExists, Change, Clock, Listing, Stale
from sagestead.store.database import Database
from sagestead.store.tables import resources

_SORTS = {
    "name": resources.c.name,
    "created_at": resources.c.created_at,
    "modified_at": resources.c.modified_at,
    "status": resources.c.status,
}

_NOW = sa.bindparam("now", type_=sa.Double)
_IS_DUE = sa.and_(
    resources.c.due_at <= _NOW, sa.or_(resources.c.lease.is_(None), resources.c.leased_until <= _NOW)
)
_IS_ANY_DUE = (
    "SELECT 1 FROM resources WHERE due_at <= :now AND (lease IS NULL OR leased_until <= :now) LIMIT 1"
)
_DUE = (
    sa.select(resources)
    .where(_IS_DUE)
    .order_by(resources.c.due_at, resources.c.id)
    .limit(sa.bindparam("most", type_=sa.Integer))
)

_PLACE = ("kind", "account", "region", "folded")


def _placed() -> sa.ColumnElement[bool]:
    return sa.and_(*(resources.c[name] == sa.bindparam(f"of_{name}") for name in _PLACE))


_NAMED = sa.and_(_placed(), resources.c.name == sa.bindparam("of_name"))
_UNCHANGED = sa.and_(
    _NAMED,
    resources.c.version == sa.bindparam("of_version"),
    resources.c.created_at == sa.bindparam("of_created_at"),
    sa.or_(resources.c.lease.is_(None), resources.c.lease == sa.bindparam("of_lease")),
)
"""Nobody wrote, made anew or leased the resource since it was read."""

# Executed with every look at anything: statements are made once.
_TAKEN = sa.select(resources).where(_placed())
_GET = """
    SELECT arn, spec, status, detail, tags, generation, version, created_at, modified_at, due_at, lease
    FROM resources
    WHERE kind = :kind AND account = :account AND region = :region AND folded = :folded AND name = :name
"""
_CREATE = sa.insert(resources)
_UPDATE = sa.update(resources).where(_UNCHANGED)
_DELETE = sa.delete(resources).where(_UNCHANGED)

_AFTER_EVERY_NAME = "\x7f"
"""Comes after every character that a name may have."""


class SqlResources:
    """`Resources` on a `Database`. `clock` gives `modified_at`, in seconds since the epoch."""

    def __init__(self, database: Database, clock: Clock = time.time) -> None:
        self._database = database
        self._clock = clock

    def create(self, draft: Resource) -> Resource:
        """Store a new resource (version 1); raise `AlreadyExists` if the name is taken in any case."""
        modified_at = max(draft.created_at, draft.modified_at)
        resource = replace(draft, version=1, generation=1, modified_at=modified_at, lease=None)
        with self._database.write() as connection:
            taken = connection.execute(_TAKEN, _of(draft.key)).first()
            if taken is not None:
                raise AlreadyExists(_resource(taken))
            connection.execute(_CREATE, _place(draft.key) | _values(resource))
        return resource

    def get(self, key: Key) -> Resource | None:
        """Return the resource with that exact name, or None."""
        row = self._database.first(_GET, _place(key))
        if row is None:
            return None
        arn, spec, status, detail, tags, *others = row
        return Resource(key, arn, json.loads(spec), status, json.loads(detail), json.loads(tags), *others)

    def page(self, listing: Listing) -> list[Resource]:
        """Return up to `limit` resources in order; ties are broken by name, ascending."""
        sort = _SORTS[listing.sort_by]
        query = (
            sa.select(resources)
            .where(*_filters(listing))
            .order_by(sort.desc() if listing.descending else sort.asc(), resources.c.name)
            .limit(listing.limit)
        )
        with self._database.read() as connection:
            return [_resource(row) for row in connection.execute(query)]

    def update(self, seen: Resource, change: Change) -> Resource:
        """Write a change; `touch` sets `modified_at`. Returns the resource as it is now."""
        wanted = {"spec": change.spec, "status": change.status, "detail": change.detail, "tags": change.tags}
        set_now: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
        if change.touch:
            set_now["modified_at"] = max(round(self._clock(), 3), seen.modified_at)
        if change.new_generation:
            set_now["generation"] = seen.generation + 1
        now = replace(seen, version=seen.version + 1, due_at=change.due_at, lease=None, **set_now)
        with self._database.write(durable=change.durable) as connection:
            values = _values(now) | {"leased_until": None}
            if connection.execute(_UPDATE, values | _as_seen(seen)).rowcount != 1:
                raise Stale(seen.arn)
        return now

    def delete(self, seen: Resource) -> None:
        """Remove the resource."""
        with self._database.write() as connection:
            if connection.execute(_DELETE, _as_seen(seen)).rowcount != 1:
                raise Stale(seen.arn)

    def lease(self, holder: str, now: float, seconds: float, limit: int) -> list[Resource]:
        """Take up to `limit` due resources that nobody holds; each comes with its `lease` token."""
        when = {"now": now}
        if not self._database.is_any(_IS_ANY_DUE, when):
            return []
        token = f"{holder}/{uuid.uuid4()}"
        with self._database.write(durable=False, announce=False) as connection:
            rows = connection.execute(_DUE, {**when, "most": limit}).all()
            connection.execute(
                sa.update(resources)
                .where(resources.c.id.in_([row.id for row in rows]))
                .values(lease=token, leased_until=now + seconds)
            )
        return [replace(_resource(row), lease=token) for row in rows]

    def revision(self) -> int:
        """Return a number that differs whenever any process has changed something since the last call."""
        return self._database.revision()

    def wait(self, seconds: float) -> None:
        """Return when any process has changed something, or after so many seconds."""
        self._database.wait(seconds)

    def wake(self) -> None:
        """Have whoever waits return soon."""
        self._database.wake()


def _place(key: Key) -> dict[str, str]:
    return {
        "kind": key.kind.value,
        "account": key.account,
        "region": key.region,
        "folded": key.name.casefold(),
        "name": key.name,
    }


def _of(key: Key) -> dict[str, Any]:
    return {f"of_{name}": value for name, value in _place(key).items()}


def _as_seen(seen: Resource) -> dict[str, Any]:
    """Return the parameters of `_UNCHANGED`."""
    facts = {"of_version": seen.version, "of_created_at": seen.created_at, "of_lease": seen.lease}
    return _of(seen.key) | facts


def _filters(listing: Listing) -> list[sa.ColumnElement[bool]]:
    columns = resources.c
    found: list[sa.ColumnElement[bool]] = [
        columns.kind == listing.kind.value,
        columns.account == listing.account,
        columns.region == listing.region,
        *_names(listing),
    ]
    if listing.status is not None:
        found.append(columns.status == listing.status)
    if listing.created_after is not None:
        found.append(columns.created_at >= listing.created_after)
    if listing.created_before is not None:
        found.append(columns.created_at < listing.created_before)
    if listing.modified_after is not None:
        found.append(columns.modified_at >= listing.modified_after)
    if listing.modified_before is not None:
        found.append(columns.modified_at < listing.modified_before)
    if listing.after is not None:
        value, name = listing.after
        sort = _SORTS[listing.sort_by]
        # The first of the two conditions alone lets the index find the place.
        found.append(sort <= value if listing.descending else sort >= value)
        found.append(sa.or_(sort != value, columns.name > name))
    return found


def _names(listing: Listing) -> Iterator[sa.ColumnElement[bool]]:
    columns = resources.c
    if listing.name_contains is not None:
        yield sa.func.instr(columns.folded, listing.name_contains.casefold()) > 0
    if listing.named is not None:
        yield columns.folded == listing.named.casefold()
    if listing.name_prefix is not None:
        prefix = listing.name_prefix.casefold()
        yield columns.folded >= prefix
        yield columns.folded < prefix + _AFTER_EVERY_NAME
    if listing.is_version is not None:
        slash = sa.func.instr(columns.name, "/")
        yield slash > 0 if listing.is_version else slash == 0


def _values(resource: Resource) -> dict[str, Any]:
    """Return what is written of a resource beside its place."""
    return {
        "arn": resource.arn,
        "spec": resource.spec,
        "status": resource.status,
        "detail": resource.detail,
        "tags": resource.tags,
        "generation": resource.generation,
        "version": resource.version,
        "created_at": resource.created_at,
        "modified_at": resource.modified_at,
        "due_at": resource.due_at,
        "lease": resource.lease,
    }


def _resource(row: sa.Row[Any]) -> Resource:
    return Resource(
        key=Key(Kind(row.kind), row.account, row.region, row.name),
        arn=row.arn,
        spec=row.spec,
        status=row.status,
        detail=row.detail,
        tags=row.tags,
        generation=row.generation,
        version=row.version,
        created_at=row.created_at,
        modified_at=row.modified_at,
        due_at=row.due_at,
        lease=row.lease,
    )

"""Records of resources: found, made and changed by operations.

Rule: a change is decided on the record as it was read, and decided anew when somebody else wrote first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sagestead.control.context import Context
from sagestead.domain.errors import Conflict, Refusal
from sagestead.domain.resources import Json, Key, Kind, Resource, partition_of, resource_arn
from sagestead.ports import AlreadyExists, Change, Listing, Stale

ATTEMPTS = 20
_MAPS = frozenset({"Environment", "HyperParameters"})


def key_of(ctx: Context, kind: Kind, name: str) -> Key:
    """Return the identity of a resource of the caller's."""
    return Key(kind, ctx.account, ctx.region, name)


def arn_of(ctx: Context, kind: Kind, name: str) -> str:
    """Return the ARN that a resource of the caller's has or would have."""
    return resource_arn(key_of(ctx, kind, name), partition_of(ctx.region))


def find(ctx: Context, kind: Kind, name: str) -> Resource | None:
    """Return the caller's resource with exactly that name, or None."""
    return ctx.resources.get(key_of(ctx, kind, name))


def in_any_case(ctx: Context, kind: Kind, name: str) -> Resource | None:
    """Return the caller's resource with that name in any case, or None."""
    found = ctx.resources.page(Listing(kind, ctx.account, ctx.region, limit=1, named=name))
    return found[0] if found else None


def create(ctx: Context, draft: Resource, taken: Callable[[Resource], Refusal]) -> Resource:
    """Store a new resource; raise `taken` of the one that has the name already."""
    try:
        return ctx.resources.create(draft)
    except AlreadyExists as race:
        raise taken(race.existing) from None


def draft(ctx: Context, kind: Kind, name: str, spec: Json, tags: dict[str, str]) -> Resource:
    """Return a resource as it begins: created now, without a status and with nothing due."""
    return Resource(
        key_of(ctx, kind, name),
        arn_of(ctx, kind, name),
        without_empty({member: value for member, value in spec.items() if member != "Tags"}),
        tags=tags,
        created_at=ctx.now,
        modified_at=ctx.now,
    )


def change(
    ctx: Context, read: Callable[[], Resource], decide: Callable[[Resource], Change | None]
) -> Resource:
    """Read, decide and write, anew when somebody wrote in between; a decision of None changes nothing."""
    for _ in range(ATTEMPTS):
        seen = read()
        wanted = decide(seen)
        if wanted is None:
            return seen
        try:
            return ctx.resources.update(seen, wanted)
        except Stale:
            continue
    raise Conflict(f"{seen.arn} is being changed by others at the same time; try again in a second.")


def delete(ctx: Context, read: Callable[[], Resource], check: Callable[[Resource], None]) -> None:
    """Read, check and remove, anew when somebody wrote in between."""
    for _ in range(ATTEMPTS):
        seen = read()
        check(seen)
        try:
            ctx.resources.delete(seen)
        except Stale:
            continue
        return
    raise Conflict(f"{seen.arn} is being changed by others at the same time; try again in a second.")


def without_empty(value: Any) -> Any:  # noqa: ANN401 - any decoded member
    """Return a request without empty structures, which an answer must not echo; maps may be empty."""
    if isinstance(value, list):
        return [without_empty(item) for item in value]
    if not isinstance(value, dict):
        return value
    pruned = {name: without_empty(member) for name, member in value.items()}
    return {name: member for name, member in pruned.items() if member != {} or name in _MAPS}

"""Version numbers of model packages: given out once, and once for each client token.

Rule: a number and its token are noted in the group in one write, before the version is stored. Whoever dies
in between leaves a gap, and the same token makes that very version when it comes again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace

from sagestead.control.context import Context
from sagestead.control.operations import records
from sagestead.control.operations.model_package_groups import find_group
from sagestead.domain.errors import Conflict, Invalid, Refusal
from sagestead.domain.model_package import group_of, version_of
from sagestead.domain.resources import Json, Kind, Resource
from sagestead.ports import AlreadyExists, Change

MOST_TOKENS = 100
_MARK = "_Token"


def create_version(
    ctx: Context, group: Resource, draft_of: Callable[[str], Resource], request: Json
) -> Resource:
    """Store the next version of a group, or return the one that the request's token made before.

    `draft_of` makes the package of a name.
    """
    mark = _mark(request)
    for _ in range(records.ATTEMPTS):
        number = _number(ctx, group, mark)
        draft = draft_of(f"{group.key.name}/{number}")
        try:
            package = ctx.resources.create(_marked(draft, mark))
        except AlreadyExists as race:
            if mark is not None and race.existing.detail.get(_MARK) == mark:
                return race.existing
            continue
        if records.find(ctx, Kind.MODEL_PACKAGE_GROUP, group.key.name) is None:
            ctx.resources.delete(package)
            raise Invalid(f"ModelPackageGroup {group.arn} does not exist.")
        return package
    raise Conflict(f"{group.arn} is being changed by others at the same time; try again in a second.")


def create_plain(ctx: Context, draft: Resource, request: Json) -> Resource:
    """Store a package without versions, or return the one that the request's token made before."""
    mark = _mark(request)
    try:
        return ctx.resources.create(_marked(draft, mark))
    except AlreadyExists as race:
        if mark is not None and race.existing.detail.get(_MARK) == mark:
            return race.existing
        raise _taken(race.existing) from None


def forget_token(ctx: Context, package: Resource) -> None:
    """Have a version's token make another version if it comes again: this one goes."""
    name, number = group_of(package), version_of(package)
    if name is None or records.find(ctx, Kind.MODEL_PACKAGE_GROUP, name) is None:
        return

    def decide(seen: Resource) -> Change | None:
        tokens = [one for one in seen.detail.get("_Tokens", []) if one["Number"] != number]
        if len(tokens) == len(seen.detail.get("_Tokens", [])):
            return None
        return Change(seen.due_at, detail={**seen.detail, "_Tokens": tokens}, touch=False)

    records.change(ctx, lambda: find_group(ctx, name), decide)


def _number(ctx: Context, group: Resource, mark: Json | None) -> int:
    """Return the number that a token was given, or the next one, noted with the token."""
    found: list[int] = []

    def decide(seen: Resource) -> Change | None:
        found.clear()
        tokens: list[Json] = seen.detail.get("_Tokens", [])
        for one in tokens:
            if mark is not None and one["Token"] == mark["Token"]:
                if one["Digest"] != mark["Digest"]:
                    raise Conflict(
                        f"ClientToken '{mark['Token']}' was used for another request; send a new token with "
                        "every new request."
                    )
                found.append(one["Number"])
                return None
        found.append(seen.detail.get("_Last", 0) + 1)
        noted = [] if mark is None else [{**mark, "Number": found[0]}]
        detail = {**seen.detail, "_Last": found[0], "_Tokens": [*tokens, *noted][-MOST_TOKENS:]}
        return Change(seen.due_at, detail=detail, touch=False)

    records.change(ctx, lambda: find_group(ctx, group.key.name), decide)
    return found[0]


def _mark(request: Json) -> Json | None:
    """Return a request's token with a digest of all else in it."""
    token = request.get("ClientToken")
    if token is None:
        return None
    rest = {member: value for member, value in request.items() if member != "ClientToken"}
    digest = hashlib.blake2b(json.dumps(rest, sort_keys=True).encode(), digest_size=16).hexdigest()
    return {"Token": token, "Digest": digest}


def _marked(draft: Resource, mark: Json | None) -> Resource:
    return draft if mark is None else replace(draft, detail={**draft.detail, _MARK: mark})


def _taken(existing: Resource) -> Refusal:
    return Invalid(f"Model Package already exists: {existing.arn}")

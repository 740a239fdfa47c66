"""IAM: what its operations share: keys without a region, pages with markers, tags, refused members.

Rule: a marker is the last name of the page before; what it leaves out was shown already, whatever has been
made or removed since.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from sagestead.control.context import Context
from sagestead.domain.errors import Invalid, NotImplementedHere
from sagestead.domain.resources import GLOBAL_REGION, Json, Key, Kind, Resource
from sagestead.ports import Listing

DEFAULT_ITEMS = 100


@dataclass(frozen=True, slots=True)
class Page:
    """One page. `answer` holds `IsTruncated` and `Marker`."""

    answer: Json
    names: list[str]
    resources: list[Resource] = field(default_factory=list)


def named_key(ctx: Context, kind: Kind, name: str) -> Key:
    """Return the key of one of the account's IAM entities."""
    return Key(kind, ctx.account, GLOBAL_REGION, name)


def entities(ctx: Context, kind: Kind) -> Iterator[Resource]:
    """Yield every entity of a kind in the caller's account, by name."""
    after: tuple[str, str] | None = None
    while True:
        listing = Listing(
            kind, ctx.account, GLOBAL_REGION, 200, sort_by="name", descending=False, after=after
        )
        found = ctx.resources.page(listing)
        yield from found
        if len(found) < listing.limit:
            return
        after = (found[-1].key.name, found[-1].key.name)


def entity_page(ctx: Context, kind: Kind, request: Json) -> Page:
    """Return the page of entities whose path starts with `PathPrefix`."""
    prefix = request.get("PathPrefix", "/")
    found = {
        entity.key.name: entity for entity in entities(ctx, kind) if entity.spec["Path"].startswith(prefix)
    }
    listed = page(sorted(found), request)
    return Page(listed.answer, listed.names, [found[name] for name in listed.names])


def page(names: list[str], request: Json) -> Page:
    """Cut the page that a request asks for out of sorted names."""
    first = bisect_right(names, _unmarked(request["Marker"])) if "Marker" in request else 0
    shown = names[first : first + request.get("MaxItems", DEFAULT_ITEMS)]
    truncated = first + len(shown) < len(names)
    return Page({"IsTruncated": truncated, "Marker": _marked(shown[-1]) if truncated else None}, shown)


def refuse_members(operation: str, request: Json, *members: str) -> None:
    """Refuse a request that sets a member which is not carried out."""
    for member in members:
        if request.get(member):
            sentence = f"{member} of {operation} is not carried out here; leave it out."
            raise NotImplementedHere(sentence, code="InvalidInput")


def tag_map(request: Json) -> dict[str, str]:
    """Return a request's tags; raise `InvalidInput` when a key appears twice."""
    sent = request.get("Tags", [])
    if len({tag["Key"].lower() for tag in sent}) < len(sent):
        sentence = "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        raise Invalid(sentence, code="InvalidInput")
    return {tag["Key"]: tag["Value"] for tag in sent}


def _marked(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _unmarked(marker: str) -> str:
    try:
        return base64.b64decode(marker.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        sentence = "The Marker is not one that this operation returned; send the last answer's Marker."
        raise Invalid(sentence, code="ValidationError") from None

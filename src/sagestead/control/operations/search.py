"""Search and GetSearchSuggestions (spec: control-plane.md section 13).

Rule: resources are read in batches and only a page of records is held, however many there are. In the store's
own orders (name, creation, last change) reading ends when the page is full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Literal

from sagestead.control.context import Context, Operation
from sagestead.control.listing import DEFAULT_PAGE, opened, seal
from sagestead.control.operations import (
    endpoints,
    model_package_groups,
    model_packages,
    models,
    search_schema,
    training_jobs,
    tuning_jobs,
)
from sagestead.control.operations.carried_out import refused
from sagestead.domain.resources import Json, Kind, Resource
from sagestead.domain.search import Group, Property, Row, Value, first, matches, parse, pinned, value_of
from sagestead.ports import Listing

BATCH, LARGEST_BATCH = 200, 800
"""How many resources are read at once: few, since most pages are full soon; more when they are not."""

LOOKED_AT = 100
MOST_SUGGESTIONS = 100

StoreOrder = Literal["name", "created_at", "modified_at"]


@dataclass(frozen=True, slots=True)
class Searched:
    """A resource that can be searched: its kind, its Describe answer, and the property that is its name."""

    kind: Kind
    described: Callable[[Resource], Json]
    name: str


SEARCHED = {
    "TrainingJob": Searched(Kind.TRAINING_JOB, training_jobs.described, "TrainingJobName"),
    "HyperParameterTuningJob": Searched(Kind.TUNING_JOB, tuning_jobs.described, tuning_jobs.NAME),
    "Endpoint": Searched(Kind.ENDPOINT, endpoints.described, "EndpointName"),
    "Model": Searched(Kind.MODEL, models.described, "ModelName"),
    "ModelPackage": Searched(Kind.MODEL_PACKAGE, model_packages.described, "ModelPackageName"),
    "ModelPackageGroup": Searched(
        Kind.MODEL_PACKAGE_GROUP, model_package_groups.described, "ModelPackageGroupName"
    ),
}


def search(ctx: Context, request: Json) -> Json:
    """Search: the resources of one kind that an expression matches, a page at a time."""
    resource = request["Resource"]
    _check(request)
    if request.get("CrossAccountFilterOption") == "CrossAccount":
        return {"Results": []}  # no account shares anything with another
    find = partial(search_schema.property_of, resource)
    expression = parse(request.get("SearchExpression", {}), find)
    limit = request.get("MaxResults", DEFAULT_PAGE)
    sort_by = request.get("SortBy", "LastModifiedTime")
    descending = request.get("SortOrder", "Descending") == "Descending"
    question = (ctx.account, ctx.region, resource, expression, sort_by, descending)
    token = request.get("NextToken")
    after = opened(token, question) if token else None
    base = _listing(ctx, resource, expression)
    order = _store_order(resource, sort_by)
    if order is not None:
        base = replace(base, sort_by=order, descending=descending, after=after)
        found = list(islice(_rows(ctx, resource, base, expression, None), limit + 1))
    else:
        base = replace(base, sort_by="name", descending=False)
        rows = _rows(ctx, resource, base, expression, find(sort_by))
        found = first(rows, after, limit + 1, descending=descending)
    page = found[:limit]
    answer: Json = {"Results": [_shown(resource, row.record) for row in page]}
    if len(found) > limit:
        answer["NextToken"] = seal((page[-1].value, page[-1].name), question)
    return answer


def get_search_suggestions(ctx: Context, request: Json) -> Json:
    """GetSearchSuggestions: names of properties that begin with a hint, of the user's keys those in use."""
    resource = request["Resource"]
    _check(request)
    hint = request.get("SuggestionQuery", {}).get("PropertyNameQuery", {}).get("PropertyNameHint", "")
    known = set(search_schema.names(resource))
    base = Listing(SEARCHED[resource].kind, ctx.account, ctx.region, limit=LOOKED_AT)
    for found in ctx.resources.page(base):
        view = search_schema.view_of(_record(resource, found))
        for member in ("Tags", "Metrics", "HyperParameters", "CustomerMetadataProperties", "Environment"):
            known.update(f"{member}.{key}" for key in view.get(member) or {})
    fitting = sorted(name for name in known if name.lower().startswith(hint.lower()))
    return {"PropertyNameSuggestions": [{"PropertyName": name} for name in fitting[:MOST_SUGGESTIONS]]}


def _check(request: Json) -> None:
    if request["Resource"] not in SEARCHED:
        raise refused("Resource", request["Resource"], f"search one of {', '.join(SEARCHED)}")
    if request.get("VisibilityConditions"):
        raise refused("VisibilityConditions", [], "a key sees all of its account; leave it out")


def _store_order(resource: str, sort_by: str) -> StoreOrder | None:
    """Return the store's order for a property, if it has one."""
    if sort_by == "LastModifiedTime":
        return "modified_at"
    if sort_by == "CreationTime":
        return "created_at"
    return "name" if sort_by == SEARCHED[resource].name else None


def _listing(ctx: Context, resource: str, expression: Group) -> Listing:
    """Return what is to be read: everything of the kind, or less when the expression names it."""
    searched = SEARCHED[resource]
    base = Listing(searched.kind, ctx.account, ctx.region, limit=BATCH)
    name = pinned(expression, (searched.name,))
    if name is not None:
        return replace(base, named=name)
    group = pinned(expression, ("ModelPackageGroupName",)) if resource == "ModelPackage" else None
    return base if group is None else replace(base, name_prefix=f"{group}/")


def _rows(
    ctx: Context, resource: str, listing: Listing, expression: Group, sort_by: Property | None
) -> Iterator[Row]:
    """Yield the matches, in the listing's order; by a property their value of it, else the store's."""
    while True:
        batch = ctx.resources.page(listing)
        for found in batch:
            record = _record(resource, found)
            view = search_schema.view_of(record)
            if matches(expression, view):
                value = _place(found, listing) if sort_by is None else value_of(view, sort_by)
                yield Row(value, found.key.name, record)
        if len(batch) < listing.limit:
            return
        after = (_place(batch[-1], listing), batch[-1].key.name)
        listing = replace(listing, after=after, limit=min(2 * listing.limit, LARGEST_BATCH))


def _place(found: Resource, listing: Listing) -> Value:
    if listing.sort_by == "name":
        return found.key.name
    return found.created_at if listing.sort_by == "created_at" else found.modified_at


def _record(resource: str, found: Resource) -> Json:
    """Return what can be known of a resource; a page shows of it what AWS's record has."""
    tags = [{"Key": key, "Value": value} for key, value in found.tags.items()]
    return {**SEARCHED[resource].described(found), "Tags": tags or None}


def _shown(resource: str, record: Json) -> Json:
    fitted = search_schema.fitted(search_schema.record_shape(resource), record)
    return {resource: {"Model": fitted} if resource == "Model" else fitted}


OPERATIONS: dict[str, Operation] = {
    "Search": search,
    "GetSearchSuggestions": get_search_suggestions,
}

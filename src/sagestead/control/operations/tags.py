"""Tags: given at creation, and AddTags, ListTags, DeleteTags (spec: control-plane.md section 6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sagestead.control.context import Context, Operation
from sagestead.control.listing import refuse_token
from sagestead.control.operations.records import change
from sagestead.domain.errors import Invalid
from sagestead.domain.model_package import check_rule, group_of
from sagestead.domain.resources import Json, Kind, Resource
from sagestead.ports import Change, Listing

MOST = 50
_TAGGED = frozenset(
    {
        Kind.MODEL,
        Kind.ENDPOINT_CONFIG,
        Kind.ENDPOINT,
        Kind.TRAINING_JOB,
        Kind.TRANSFORM_JOB,
        Kind.PROCESSING_JOB,
        Kind.TUNING_JOB,
        Kind.MODEL_PACKAGE_GROUP,
        Kind.MODEL_PACKAGE,
    }
)


def tags_of(request: Json) -> dict[str, str]:
    """Return a request's `Tags` as key -> value.

    Raises:
        Invalid: a key appears twice or is reserved, or there are too many.
    """
    tags: dict[str, str] = {}
    for tag in request.get("Tags", []):
        key = tag["Key"]
        if key.lower().startswith("aws:"):
            raise Invalid(f"Tag key '{key}' begins with aws:, which is reserved for AWS; choose another key.")
        if key in tags:
            raise Invalid(f"Tag key '{key}' appears twice in Tags; send each key once.")
        tags[key] = tag["Value"]
    _check_count(tags)
    check_rule(tags)
    return tags


def add_tags(ctx: Context, request: Json) -> Json:
    """AddTags: set or overwrite; answers all tags that the resource has now."""
    added = tags_of(request)

    def merged(tags: Mapping[str, str]) -> dict[str, str]:
        now = {**tags, **added}
        _check_count(now)
        return now

    return {"Tags": _shown(_retag(ctx, request["ResourceArn"], merged))}


def list_tags(ctx: Context, request: Json) -> Json:
    """ListTags: a resource has at most fifty tags, which is the smallest page."""
    refuse_token(request)
    return {"Tags": _shown(_tagged(ctx, request["ResourceArn"]).tags)}


def delete_tags(ctx: Context, request: Json) -> Json:
    """DeleteTags: keys that the resource does not have are ignored."""
    gone = frozenset(request["TagKeys"])

    def reduced(tags: Mapping[str, str]) -> dict[str, str]:
        return {key: value for key, value in tags.items() if key not in gone}

    _retag(ctx, request["ResourceArn"], reduced)
    return {}


def _retag(ctx: Context, arn: str, decide: Callable[[Mapping[str, str]], dict[str, str]]) -> dict[str, str]:
    def changed(seen: Resource) -> Change:
        if group_of(seen) is not None:
            raise Invalid(f"Versioned model packages cannot have tags ({arn}); tag their group.")
        return Change(due_at=seen.due_at, tags=decide(seen.tags), touch=False)

    return change(ctx, lambda: _tagged(ctx, arn), changed).tags


def _tagged(ctx: Context, arn: str) -> Resource:
    """Return the resource of the caller's that an ARN names; the name part of an ARN is in lower case."""
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[2] != "sagemaker":  # noqa: PLR2004 - an ARN has six parts
        raise Invalid(
            f"ResourceArn '{arn}' is not the ARN of a SageMaker resource; "
            "write it as arn:aws:sagemaker:region:account:type/name."
        )
    _, _, _, region, account, path = parts
    if region != ctx.region:
        raise Invalid(f"ARN should be scoped to correct region: {ctx.region}")
    kind, _, name = path.partition("/")
    if kind in _TAGGED and account == ctx.account:
        found = ctx.resources.page(Listing(Kind(kind), account, region, limit=1, named=name))
        if found:
            return found[0]
    raise Invalid(f'Could not find resource "{arn}"; check the type, account and name in the ARN.')


def _check_count(tags: Mapping[str, str]) -> None:
    if len(tags) > MOST:
        raise Invalid(f"A resource can have {MOST} tags, not {len(tags)}; remove some of them first.")


def _shown(tags: Mapping[str, str]) -> list[Json]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


OPERATIONS: dict[str, Operation] = {
    "AddTags": add_tags,
    "ListTags": list_tags,
    "DeleteTags": delete_tags,
}

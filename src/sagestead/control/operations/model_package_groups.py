"""Groups of model packages (spec: control-plane.md section 11).

Rule: `detail["_Last"]` of a group is the last version number given out, so that none is used again;
`detail["_Tokens"]` holds the newest client tokens, so that a request sent twice makes one version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from sagestead.control.context import Context, Operation
from sagestead.control.listing import ListOf
from sagestead.control.operations import records
from sagestead.control.operations.carried_out import refuse_others
from sagestead.control.operations.tags import tags_of
from sagestead.domain.errors import Conflict, Invalid
from sagestead.domain.model_package import COMPLETED, reference
from sagestead.domain.resources import Json, Kind, Resource
from sagestead.ports import Listing

_GROUP = frozenset({"ModelPackageGroupName", "ModelPackageGroupDescription", "Tags"})
_REMEDIES: Mapping[str, str] = MappingProxyType(
    {"ManagedConfiguration": "artifacts stay where they are; leave it out"}
)


def create_model_package_group(ctx: Context, request: Json) -> Json:
    """CreateModelPackageGroup: complete at once."""
    name = request["ModelPackageGroupName"]
    refuse_others(request, _GROUP, "", _REMEDIES)
    draft = records.draft(ctx, Kind.MODEL_PACKAGE_GROUP, name, request, tags_of(request))
    draft = replace(draft, status=COMPLETED, detail={"_By": ctx.principal.arn})
    return {"ModelPackageGroupArn": records.create(ctx, draft, _taken).arn}


def described(group: Resource) -> Json:
    """Return a group as DescribeModelPackageGroup shows it."""
    return {
        **group.spec,
        "ModelPackageGroupName": group.key.name,
        "ModelPackageGroupArn": group.arn,
        "CreationTime": group.created_at,
        "CreatedBy": by(group.detail["_By"]),
        "ModelPackageGroupStatus": group.status,
    }


def describe_model_package_group(ctx: Context, request: Json) -> Json:
    """DescribeModelPackageGroup: by name or ARN."""
    return described(find_group(ctx, request["ModelPackageGroupName"]))


def list_model_package_groups(ctx: Context, request: Json) -> Json:
    """ListModelPackageGroups: no account shares groups with another."""
    if request.get("CrossAccountFilterOption") == "CrossAccount":
        return {"ModelPackageGroupSummaryList": []}
    groups = ListOf(Kind.MODEL_PACKAGE_GROUP, "ModelPackageGroupSummaryList", _summary, descending=False)
    return groups(ctx, request)


def delete_model_package_group(ctx: Context, request: Json) -> Json:
    """DeleteModelPackageGroup: only an empty one."""

    def check(seen: Resource) -> None:
        if holds_packages(ctx, seen):
            raise Conflict(
                f"Model Package Group {seen.arn} still has model packages: delete those first "
                "(ListModelPackages names them)."
            )

    records.delete(ctx, lambda: find_group(ctx, request["ModelPackageGroupName"]), check)
    return {}


def find_group(ctx: Context, text: str) -> Resource:
    """Return the caller's group of that name or ARN; raise `Invalid` in AWS's words when there is none."""
    return find_named(ctx, Kind.MODEL_PACKAGE_GROUP, text, "ModelPackageGroup")


def find_named(ctx: Context, kind: Kind, text: str, noun: str) -> Resource:
    """Return the caller's resource of a kind by its name or ARN; raise `Invalid` when there is none."""
    named = reference(text, ctx.region)
    if named.account is None:
        found = records.find(ctx, kind, named.name)
    elif (named.kind, named.account) == (kind, ctx.account):
        found = records.in_any_case(ctx, kind, named.name)
    else:
        found = None
    if found is None:
        arn = text if named.account else records.arn_of(ctx, kind, text)
        raise Invalid(f"{noun} {arn} does not exist.")
    return found


def holds_packages(ctx: Context, group: Resource) -> bool:
    """Say whether a group has any version."""
    prefix = f"{group.key.name}/"
    listing = Listing(Kind.MODEL_PACKAGE, ctx.account, ctx.region, limit=1, name_prefix=prefix)
    return bool(ctx.resources.page(listing))


def by(arn: str) -> Json:
    """Return the UserContext of a caller."""
    return {"IamIdentity": {"Arn": arn}}


def _taken(existing: Resource) -> Invalid:
    return Invalid(f"Model Package Group already exists: {existing.arn}")


def _summary(group: Resource) -> Json:
    return {
        "ModelPackageGroupName": group.key.name,
        "ModelPackageGroupArn": group.arn,
        "ModelPackageGroupDescription": group.spec.get("ModelPackageGroupDescription"),
        "CreationTime": group.created_at,
        "ModelPackageGroupStatus": group.status,
    }


OPERATIONS: dict[str, Operation] = {
    "CreateModelPackageGroup": create_model_package_group,
    "DescribeModelPackageGroup": describe_model_package_group,
    "ListModelPackageGroups": list_model_package_groups,
    "DeleteModelPackageGroup": delete_model_package_group,
}

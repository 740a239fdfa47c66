"""IAM: roles and the policies attached to them.

Rule: a role lives in its account, in no region; what it trusts is kept as the text that the client sent.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from sagestead.control.accounts import unique_id
from sagestead.control.context import Context, Operation
from sagestead.control.operations.iam_pages import entity_page, named_key, page, refuse_members, tag_map
from sagestead.control.operations.iam_policies import find_policy_name
from sagestead.control.policy_documents import read_document
from sagestead.domain.errors import Conflict, Invalid
from sagestead.domain.resources import Json, Key, Kind, Resource
from sagestead.ports import AlreadyExists, Change, Stale

ATTEMPTS = 20


def create_role(ctx: Context, request: Json) -> Json:
    """Store a role."""
    refuse_members("CreateRole", request, "PermissionsBoundary", "MaxSigninSessionDuration")
    read_document(request["AssumeRolePolicyDocument"], trust=True)
    name, path = request["RoleName"], request.get("Path", "/")
    role = Resource(
        key=named_key(ctx, Kind.ROLE, name),
        arn=f"arn:aws:iam::{ctx.account}:role{path}{name}",
        spec={**request, "Path": path},
        detail={"RoleId": unique_id("AROA", 17), "AttachedPolicies": {}},
        tags=tag_map(request),
        created_at=ctx.now,
        modified_at=ctx.now,
    )
    try:
        return {"Role": _shown(ctx.resources.create(role))}
    except AlreadyExists:
        raise Invalid(
            f"Role with name {name} already exists.", code="EntityAlreadyExists", status=409
        ) from None


def get_role(ctx: Context, request: Json) -> Json:
    """Show a role."""
    return {"Role": _shown(find_role(ctx, request["RoleName"]))}


def list_roles(ctx: Context, request: Json) -> Json:
    """List roles by name."""
    listed = entity_page(ctx, Kind.ROLE, request)
    return {**listed.answer, "Roles": [{**_shown(role), "Tags": None} for role in listed.resources]}


def delete_role(ctx: Context, request: Json) -> Json:
    """Remove a role that has no policies attached."""
    role = find_role(ctx, request["RoleName"])
    if role.detail["AttachedPolicies"]:
        raise Conflict(
            "Cannot delete entity, must detach all policies first.", code="DeleteConflict", status=409
        )
    try:
        ctx.resources.delete(role)
    except Stale:
        raise _changing(role.key) from None
    return {}


def attach_role_policy(ctx: Context, request: Json) -> Json:
    """Attach a policy; again is fine."""
    arn = request["PolicyArn"]
    name = find_policy_name(ctx, arn)
    if name is None:
        sentence = f"Policy {arn} does not exist or is not attachable."
        raise Invalid(sentence, code="NoSuchEntity", status=404)
    _change_policies(ctx, request["RoleName"], lambda attached: {**attached, arn: name})
    return {}


def detach_role_policy(ctx: Context, request: Json) -> Json:
    """Detach a policy."""
    arn = request["PolicyArn"]

    def without(attached: dict[str, str]) -> dict[str, str]:
        if arn not in attached:
            raise Invalid(f"Policy {arn} was not found.", code="NoSuchEntity", status=404)
        return {other: name for other, name in attached.items() if other != arn}

    _change_policies(ctx, request["RoleName"], without)
    return {}


def list_attached_role_policies(ctx: Context, request: Json) -> Json:
    """List the policies attached to a role, by name."""
    attached = find_role(ctx, request["RoleName"]).detail["AttachedPolicies"]
    prefix = request.get("PathPrefix", "/")
    matching = {
        f"{name} {arn}": {"PolicyName": name, "PolicyArn": arn}
        for arn, name in attached.items()
        if f"/{arn.partition('/')[2]}".startswith(prefix)
    }
    listed = page(sorted(matching), request)
    return {**listed.answer, "AttachedPolicies": [matching[name] for name in listed.names]}


def list_role_policies(ctx: Context, request: Json) -> Json:
    """List inline policies: there are none, they cannot be made here."""
    find_role(ctx, request["RoleName"])
    return {"PolicyNames": [], "IsTruncated": False}


def list_role_tags(ctx: Context, request: Json) -> Json:
    """List a role's tags, by key."""
    tags = find_role(ctx, request["RoleName"]).tags
    listed = page(sorted(tags), request)
    return {**listed.answer, "Tags": [{"Key": key, "Value": tags[key]} for key in listed.names]}


def find_role(ctx: Context, name: str) -> Resource:
    """Return a role of the caller's account; raise `NoSuchEntity` when there is none."""
    role = ctx.resources.get(named_key(ctx, Kind.ROLE, name))
    if role is None:
        sentence = f"The role with name {name} cannot be found."
        raise Invalid(sentence, code="NoSuchEntity", status=404)
    return role


def _change_policies(ctx: Context, name: str, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    """Write the attached policies anew; a lost race is run again."""
    for _ in range(ATTEMPTS):
        role = find_role(ctx, name)
        attached = change(role.detail["AttachedPolicies"])
        try:
            ctx.resources.update(role, Change(None, detail={**role.detail, "AttachedPolicies": attached}))
        except Stale:
            continue
        return
    raise _changing(named_key(ctx, Kind.ROLE, name))


def _changing(key: Key) -> Conflict:
    sentence = f"The role {key.name} is being changed by another request; try again."
    return Conflict(sentence, code="ConcurrentModification", status=409)


def _shown(role: Resource) -> Json:
    spec = role.spec
    return {
        "Path": spec["Path"],
        "RoleName": role.key.name,
        "RoleId": role.detail["RoleId"],
        "Arn": role.arn,
        "CreateDate": role.created_at,
        "AssumeRolePolicyDocument": quote(spec["AssumeRolePolicyDocument"], safe=""),
        "Description": spec.get("Description"),
        "MaxSessionDuration": spec.get("MaxSessionDuration", 3600),
        "Tags": [{"Key": key, "Value": value} for key, value in role.tags.items()] or None,
    }


OPERATIONS: dict[str, Operation] = {
    "CreateRole": create_role,
    "GetRole": get_role,
    "ListRoles": list_roles,
    "DeleteRole": delete_role,
    "AttachRolePolicy": attach_role_policy,
    "DetachRolePolicy": detach_role_policy,
    "ListAttachedRolePolicies": list_attached_role_policies,
    "ListRolePolicies": list_role_policies,
    "ListRoleTags": list_role_tags,
}

"""IAM: customer-managed policies, the AWS-managed ones, and what a role's policies allow.

Rule: a policy has one version, `v1`; its document is kept as the text that the client sent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import quote

from sagestead.control.accounts import unique_id
from sagestead.control.context import Context, Operation
from sagestead.control.managed_policies import CREATED_AT, MANAGED_POLICIES
from sagestead.control.operations.iam_pages import entities, named_key, page, refuse_members, tag_map
from sagestead.control.policies import decide
from sagestead.control.policy_documents import NEWEST, malformed, read_document
from sagestead.domain.errors import Conflict, Invalid
from sagestead.domain.resources import Json, Kind, Resource
from sagestead.ports import AlreadyExists, Stale

VERSION = "v1"


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of either origin. `document` is JSON text."""

    arn: str
    name: str
    path: str
    policy_id: str
    document: str
    created_at: float
    description: str | None = None
    tags: tuple[tuple[str, str], ...] = ()


def create_policy(ctx: Context, request: Json) -> Json:
    """Store a policy."""
    if read_document(request["PolicyDocument"], trust=False).get("Version") != NEWEST:
        raise malformed(f"must be version {NEWEST} or greater; send that Version")
    name, path = request["PolicyName"], request.get("Path", "/")
    draft = Resource(
        key=named_key(ctx, Kind.POLICY, name),
        arn=f"arn:aws:iam::{ctx.account}:policy{path}{name}",
        spec={**request, "Path": path},
        detail={"PolicyId": unique_id("ANPA", 17)},
        tags=tag_map(request),
        created_at=ctx.now,
        modified_at=ctx.now,
    )
    try:
        made = ctx.resources.create(draft)
    except AlreadyExists:
        sentence = f"A policy called {name} already exists. Duplicate names are not allowed."
        raise Invalid(sentence, code="EntityAlreadyExists", status=409) from None
    return {"Policy": {**_shown(_own(made), 0), "Description": None}}


def get_policy(ctx: Context, request: Json) -> Json:
    """Show a policy."""
    policy = find_policy(ctx, request["PolicyArn"])
    return {"Policy": _shown(policy, _attachments(ctx).get(policy.arn, 0))}


def get_policy_version(ctx: Context, request: Json) -> Json:
    """Show a version's document."""
    policy = find_policy(ctx, request["PolicyArn"])
    if request["VersionId"] != VERSION:
        sentence = f"Policy {policy.arn} version {request['VersionId']} does not exist; it has {VERSION}."
        raise Invalid(sentence, code="NoSuchEntity", status=404)
    return {"PolicyVersion": {"Document": quote(policy.document, safe=""), **_version(policy)}}


def list_policy_versions(ctx: Context, request: Json) -> Json:
    """List the versions of a policy: there is one."""
    policy = find_policy(ctx, request["PolicyArn"])
    listed = page([VERSION], request)
    return {**listed.answer, "Versions": [_version(policy) for _ in listed.names]}


def list_policies(ctx: Context, request: Json) -> Json:
    """List policies by name; the same name may come from AWS and from the account."""
    attachments = _attachments(ctx)
    prefix = request.get("PathPrefix", "/")
    found = {f"{policy.name} {policy.arn}": policy for policy in _policies(ctx, request.get("Scope", "All"))}
    wanted = [
        place
        for place, policy in sorted(found.items())
        if policy.path.startswith(prefix)
        and (policy.arn in attachments or not request.get("OnlyAttached"))
        and request.get("PolicyUsageFilter") != "PermissionsBoundary"
    ]
    listed = page(wanted, request)
    shown = [_shown(found[place], attachments.get(found[place].arn, 0)) for place in listed.names]
    return {**listed.answer, "Policies": [{**one, "Description": None, "Tags": None} for one in shown]}


def delete_policy(ctx: Context, request: Json) -> Json:
    """Remove a policy that is attached to nothing."""
    arn = request["PolicyArn"]
    if arn in MANAGED_POLICIES:
        raise Invalid(f"Policy {arn} belongs to AWS; it cannot be deleted.", code="AccessDenied", status=403)
    policy = _stored(ctx, arn)
    if policy is None:
        raise _no_policy(arn)
    if arn in _attachments(ctx):
        raise Conflict("Cannot delete a policy attached to entities.", code="DeleteConflict", status=409)
    try:
        ctx.resources.delete(policy)
    except Stale:
        sentence = f"The policy {arn} is being changed by another request; try again."
        raise Conflict(sentence, code="ConcurrentModification", status=409) from None
    return {}


def simulate_principal_policy(ctx: Context, request: Json) -> Json:
    """Say what a role's attached policies allow.

    It reads the policies only; no operation here asks them before it acts.
    """
    members = (
        "PermissionsBoundaryPolicyInputList",
        "PolicyExclusionList",
        "ResourcePolicy",
        "ContextEntries",
    )
    refuse_members("SimulatePrincipalPolicy", request, *members, "ResourceHandlingOption")
    arn = request["PolicySourceArn"]
    role = next((one for one in entities(ctx, Kind.ROLE) if one.arn == arn), None)
    if role is None:
        sentence = f"The principal {arn} is no role of this account; send the ARN of a role."
        raise Invalid(sentence, code="NoSuchEntity", status=404)
    texts = [find_policy(ctx, attached).document for attached in role.detail["AttachedPolicies"]]
    documents = [read_document(text, trust=False) for text in (*texts, *request.get("PolicyInputList", []))]
    asked = [
        f"{action} {resource}"
        for action in request["ActionNames"]
        for resource in request.get("ResourceArns") or ["*"]
    ]
    numbered = {f"{index:09}": pair for index, pair in enumerate(asked)}
    listed = page(list(numbered), request)
    results = [_verdict(documents, *numbered[number].split(" ", 1)) for number in listed.names]
    return {**listed.answer, "EvaluationResults": results}


def find_policy(ctx: Context, arn: str) -> Policy:
    """Return a policy by its ARN; raise `NoSuchEntity` when there is none."""
    if arn in MANAGED_POLICIES:
        return _managed(arn)
    stored = _stored(ctx, arn)
    if stored is None:
        raise _no_policy(arn)
    return _own(stored)


def find_policy_name(ctx: Context, arn: str) -> str | None:
    """Return the name of a policy, or None when there is no such policy."""
    if arn in MANAGED_POLICIES:
        return MANAGED_POLICIES[arn].name
    stored = _stored(ctx, arn)
    return None if stored is None else stored.key.name


def _stored(ctx: Context, arn: str) -> Resource | None:
    found = ctx.resources.get(named_key(ctx, Kind.POLICY, arn.rpartition("/")[2]))
    return found if found is not None and found.arn == arn else None


def _no_policy(arn: str) -> Invalid:
    return Invalid(f"Policy {arn} was not found.", code="NoSuchEntity", status=404)


def _policies(ctx: Context, scope: str) -> list[Policy]:
    own = [] if scope == "AWS" else [_own(stored) for stored in entities(ctx, Kind.POLICY)]
    return own if scope == "Local" else own + [_managed(arn) for arn in MANAGED_POLICIES]


def _own(stored: Resource) -> Policy:
    spec = stored.spec
    return Policy(
        stored.arn,
        stored.key.name,
        spec["Path"],
        stored.detail["PolicyId"],
        spec["PolicyDocument"],
        stored.created_at,
        spec.get("Description"),
        tuple(stored.tags.items()),
    )


def _managed(arn: str) -> Policy:
    managed = MANAGED_POLICIES[arn]
    number = list(MANAGED_POLICIES).index(arn)
    policy_id = f"ANPAZZZZZZZZZZZZZZ{number:03}".replace("0", "A").replace("1", "B")
    return Policy(arn, managed.name, managed.path, policy_id, json.dumps(managed.document), CREATED_AT)


def _attachments(ctx: Context) -> dict[str, int]:
    """Return how many roles each attached policy is attached to."""
    counts: dict[str, int] = {}
    for role in entities(ctx, Kind.ROLE):
        for arn in role.detail["AttachedPolicies"]:
            counts[arn] = counts.get(arn, 0) + 1
    return counts


def _shown(policy: Policy, attachments: int) -> Json:
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.policy_id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": VERSION,
        "AttachmentCount": attachments,
        "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": True,
        "Description": policy.description,
        "CreateDate": policy.created_at,
        "UpdateDate": policy.created_at,
        "Tags": [{"Key": key, "Value": value} for key, value in policy.tags] or None,
    }


def _version(policy: Policy) -> Json:
    return {"VersionId": VERSION, "IsDefaultVersion": True, "CreateDate": policy.created_at}


def _verdict(documents: list[Json], action: str, resource: str) -> Json:
    decision, missing = decide(documents, action, resource)
    return {
        "EvalActionName": action,
        "EvalResourceName": resource,
        "EvalDecision": decision,
        "MatchedStatements": [],
        "MissingContextValues": missing,
    }


OPERATIONS: dict[str, Operation] = {
    "CreatePolicy": create_policy,
    "GetPolicy": get_policy,
    "GetPolicyVersion": get_policy_version,
    "ListPolicyVersions": list_policy_versions,
    "ListPolicies": list_policies,
    "DeletePolicy": delete_policy,
    "SimulatePrincipalPolicy": simulate_principal_policy,
}

"""STS: who calls, and sessions of roles.

Rule: a session's credentials expire; what a session asks for and cannot have is refused by name. A role
that is not there and a role that does not trust the caller answer alike.
"""

from __future__ import annotations

import json
import secrets

from sagestead.control.accounts import new_secret, unique_id
from sagestead.control.context import Context, Operation
from sagestead.control.operations.iam_pages import refuse_members
from sagestead.control.policies import trusts_caller, trusts_service
from sagestead.domain.errors import Denied, Invalid
from sagestead.domain.identity import Credential
from sagestead.domain.resources import GLOBAL_REGION, Json, Key, Kind, Resource

DEFAULT_SECONDS = 3600
TOKEN_BYTES = 180
_UNSUPPORTED = (
    "PolicyArns",
    "Policy",
    "Tags",
    "TransitiveTagKeys",
    "SerialNumber",
    "TokenCode",
    "SourceIdentity",
    "ProvidedContexts",
    "MinimumSessionTokenSize",
)


def get_caller_identity(ctx: Context, _request: Json) -> Json:
    """Say who calls."""
    return {"UserId": _user_id(ctx), "Account": ctx.account, "Arn": ctx.principal.arn}


def assume_role(ctx: Context, request: Json) -> Json:
    """Make temporary credentials of a role."""
    refuse_members("AssumeRole", request, *_UNSUPPORTED)
    arn, session = request["RoleArn"], request["RoleSessionName"]
    role = _assumable(ctx, arn, request.get("ExternalId"))
    if role is None:
        sentence = (
            f"User: {ctx.principal.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
        )
        raise Denied(sentence, code="AccessDenied", status=403)
    seconds = request.get("DurationSeconds", DEFAULT_SECONDS)
    if seconds > role.spec.get("MaxSessionDuration", DEFAULT_SECONDS):
        sentence = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        raise Invalid(sentence, code="ValidationError")
    account = role.key.account
    made = Credential(
        access_key_id=unique_id("ASIA", 16),
        secret=new_secret(),
        account=account,
        arn=f"arn:aws:sts::{account}:assumed-role/{role.key.name}/{session}",
        session_token=secrets.token_urlsafe(TOKEN_BYTES),
        expires_at=float(int(ctx.now) + seconds),
    )
    ctx.credentials.add(made)
    return {
        "Credentials": {
            "AccessKeyId": made.access_key_id,
            "SecretAccessKey": made.secret,
            "SessionToken": made.session_token,
            "Expiration": made.expires_at,
        },
        "AssumedRoleUser": {"AssumedRoleId": f"{role.detail['RoleId']}:{session}", "Arn": made.arn},
    }


def _assumable(ctx: Context, arn: str, external_id: str | None) -> Resource | None:
    """Return the role if it trusts the caller.

    Within an account, a role that trusts SageMaker may also be assumed by its people: they can make a job
    do whatever the role may do.
    """
    account, _, path = arn.removeprefix("arn:aws:iam::").partition(":role/")
    role = ctx.resources.get(Key(Kind.ROLE, account, GLOBAL_REGION, path.rpartition("/")[2]))
    if role is None or role.arn != arn:
        return None
    trust = json.loads(role.spec["AssumeRolePolicyDocument"])
    if trusts_caller(trust, ctx.account, ctx.principal.arn, external_id):
        return role
    at_home = account == ctx.account and trusts_service(trust, "sagemaker.amazonaws.com")
    return role if at_home else None


def _user_id(ctx: Context) -> str:
    """Return `<role id>:<session>` for a session of a role, else the key's own id."""
    kind, _, rest = ctx.principal.arn.partition("assumed-role/")
    name, _, session = rest.partition("/")
    role = ctx.resources.get(Key(Kind.ROLE, ctx.account, GLOBAL_REGION, name)) if kind and name else None
    return ctx.principal.access_key_id if role is None else f"{role.detail['RoleId']}:{session}"


OPERATIONS: dict[str, Operation] = {"GetCallerIdentity": get_caller_identity, "AssumeRole": assume_role}

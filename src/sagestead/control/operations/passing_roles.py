"""Whether SageMaker may take on a role that a request passes to it."""

from __future__ import annotations

import json
from typing import Any

from sagestead.control.context import Context
from sagestead.domain.errors import Invalid
from sagestead.domain.resources import GLOBAL_REGION, Json, Key, Kind

SERVICE = "sagemaker.amazonaws.com"
_ASSUMING = frozenset({"sts:assumerole", "sts:assume*", "sts:*", "*"})


def check_role(ctx: Context, arn: str, field: str) -> None:
    """Refuse a role that is not there, or whose trust policy does not allow SageMaker to assume it.

    `field` is the member that names it, for the sentence.
    """
    name = arn.rpartition("/")[2]
    role = ctx.resources.get(Key(Kind.ROLE, ctx.account, GLOBAL_REGION, name))
    if role is None or arn != role.arn or not trusts_sagemaker(role.spec):
        raise Invalid(
            f"Could not assume role {arn}. Please ensure that the role exists and allows principal "
            f"'{SERVICE}' to assume the role. ({field}: create it with iam:CreateRole in account "
            f"{ctx.account}, or pass the role that `sagestead env` exports as SAGEMAKER_ROLE_ARN.)"
        )


def trusts_sagemaker(role: Json) -> bool:
    """Say whether a role's AssumeRolePolicyDocument allows SageMaker to assume the role."""
    try:
        document = json.loads(role.get("AssumeRolePolicyDocument", ""))
    except ValueError:
        return False
    statements = _listed(document.get("Statement")) if isinstance(document, dict) else []
    about = [one for one in statements if isinstance(one, dict) and _is_about(one)]
    effects = {one.get("Effect") for one in about}
    return "Allow" in effects and "Deny" not in effects


def _is_about(statement: Json) -> bool:
    """Say whether a statement speaks of SageMaker assuming the role."""
    principal = statement.get("Principal")
    if isinstance(principal, dict):
        services = _listed(principal.get("Service"))
        is_named = SERVICE in services or f"{SERVICE}.cn" in services or "*" in services
    else:
        is_named = principal == "*"
    actions = {action.lower() for action in _listed(statement.get("Action")) if isinstance(action, str)}
    return is_named and not actions.isdisjoint(_ASSUMING)


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 - a policy is the client's JSON
    if value is None:
        return []
    return value if isinstance(value, list) else [value]

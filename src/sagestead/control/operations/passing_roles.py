"""Whether SageMaker may take on a role that a request passes to it."""

from __future__ import annotations

import json

from sagestead.control.context import Context
from sagestead.control.policies import trusts_service
from sagestead.domain.errors import Invalid
from sagestead.domain.resources import GLOBAL_REGION, Key, Kind

SERVICE = "sagemaker.amazonaws.com"


def check_role(ctx: Context, arn: str, field: str) -> None:
    """Refuse a role that is not there, or whose trust policy does not allow SageMaker to assume it.

    `field` is the member that names it, for the sentence.
    """
    role = ctx.resources.get(Key(Kind.ROLE, ctx.account, GLOBAL_REGION, arn.rpartition("/")[2]))
    if (
        role is None
        or role.arn != arn
        or not trusts_service(json.loads(role.spec["AssumeRolePolicyDocument"]), SERVICE)
    ):
        raise Invalid(
            f"Could not assume role {arn}. Please ensure that the role exists and allows principal "
            f"'{SERVICE}' to assume the role. ({field}: create it with iam:CreateRole in account "
            f"{ctx.account}, or pass the role that `sagestead env` exports as SAGEMAKER_ROLE_ARN.)"
        )

"""Roles that a request passes to SageMaker."""

from typing import Any

import pytest
from tests.control.operations.service import ACCOUNT, ROLE, TRUST, Service

from sagestead.control.operations.passing_roles import check_role
from sagestead.domain.errors import Invalid

STATEMENT: dict[str, Any] = TRUST["Statement"]  # type: ignore[assignment]  # a literal of this shape


def trust(*statements: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


@pytest.mark.parametrize(
    "document",
    [
        TRUST,
        trust(STATEMENT),
        trust({**STATEMENT, "Action": ["sts:TagSession", "sts:AssumeRole"]}),
        trust({**STATEMENT, "Action": "sts:*"}),
        trust({**STATEMENT, "Principal": {"Service": ["ec2.amazonaws.com", "sagemaker.amazonaws.com"]}}),
        trust({**STATEMENT, "Principal": "*"}),
        trust({**STATEMENT, "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}}),
        trust({**STATEMENT, "Principal": {"AWS": "*"}}, STATEMENT),
    ],
)
def test_a_role_that_trusts_sagemaker_may_be_passed(service: Service, document: Any) -> None:
    service.role(trust=document)
    check_role(service.context(), ROLE, "RoleArn")


@pytest.mark.parametrize(
    "document",
    [
        trust({**STATEMENT, "Principal": {"AWS": "*"}}),
        trust({**STATEMENT, "Principal": {"Service": "ec2.amazonaws.com"}}),
        trust({**STATEMENT, "Action": "sts:TagSession"}),
        trust({**STATEMENT, "Effect": "Deny"}),
        trust(STATEMENT, {**STATEMENT, "Effect": "Deny"}),
    ],
)
def test_a_role_that_does_not_is_refused(service: Service, document: Any) -> None:
    service.role(trust=document)
    with pytest.raises(Invalid, match="Could not assume role"):
        check_role(service.context(), ROLE, "RoleArn")


@pytest.mark.parametrize(
    "arn",
    [
        f"arn:aws:iam::{ACCOUNT}:role/Worker",
        f"arn:aws:iam::{ACCOUNT}:role/service-role/worker",
        "arn:aws:iam::210987654321:role/service-role/Worker",
        f"arn:aws-cn:iam::{ACCOUNT}:role/service-role/Worker",
    ],
)
def test_another_arn_is_another_role(service: Service, arn: str) -> None:
    service.role()
    with pytest.raises(Invalid) as refused:
        check_role(service.context(), arn, "ExecutionRoleArn")
    assert refused.value.sentence.startswith(
        f"Could not assume role {arn}. Please ensure that the role exists and allows principal "
        "'sagemaker.amazonaws.com' to assume the role. (ExecutionRoleArn: "
    )

"""IAM: the dispatch table of roles and policies."""

from __future__ import annotations

from sagestead.control.context import Operation
from sagestead.control.operations import iam_policies, iam_roles

OPERATIONS: dict[str, Operation] = {**iam_roles.OPERATIONS, **iam_policies.OPERATIONS}

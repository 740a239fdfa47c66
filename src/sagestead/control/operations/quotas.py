"""How many instances one request may have: each is a process of this machine."""

from __future__ import annotations

from collections.abc import Mapping

from sagestead.domain.errors import OverLimit

MOST_INSTANCES = 100


def check_instances(usage: str, wanted: Mapping[str, int], used: Mapping[str, int]) -> None:
    """Refuse more than `MOST_INSTANCES` of an instance type.

    `usage` is AWS's word (`endpoint` or `transform job`); `wanted` and `used` count by instance type what
    one resource would have and what it has.
    """
    for instance_type, count in wanted.items():
        if count > MOST_INSTANCES:
            before = used.get(instance_type, 0)
            raise OverLimit(
                f"The account-level service limit '{instance_type} for {usage} usage' is {MOST_INSTANCES} "
                f"Instances, with current utilization of {before} Instances and a request delta of "
                f"{count - before} Instances. Ask for fewer: every instance is a process of this machine."
            )

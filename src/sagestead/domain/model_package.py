"""Model packages: versions, approval, and how requests name them (spec: control-plane.md section 11).

Rule: a version's name is `<group>/<number>`; numbers begin at 1 and are never used again. A package's status
here is its ModelApprovalStatus (`""` for packages without versions, which need no approval); its
ModelPackageStatus is always `Completed`, because nothing is validated after the answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from sagestead.domain.errors import Invalid
from sagestead.domain.resources import Json, Key, Kind, Resource

COMPLETED = "Completed"
RULE = "sagestead:deploy-on-approval"
"""Tag of a group: the endpoint that follows the group's approvals."""

_ENDPOINT_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_ARN_PARTS = 6


class Approval(StrEnum):
    """ModelApprovalStatus."""

    APPROVED = "Approved"
    REJECTED = "Rejected"
    PENDING = "PendingManualApproval"


@dataclass(frozen=True, slots=True)
class Reference:
    """How a request names a package or a group.

    Attributes:
        name: `<group>/<number>`, or a plain name.
        account: of the ARN; None when it was no ARN.
        kind: type part of the ARN; None when it was no ARN.
    """

    name: str
    account: str | None = None
    kind: str | None = None


def reference(text: str, region: str) -> Reference:
    """Read a name or an ARN; raise `Invalid` for an ARN of another region."""
    parts = text.split(":", _ARN_PARTS - 1)
    if len(parts) < _ARN_PARTS:
        return Reference(text)
    if parts[3] != region:
        raise Invalid(f"ARN should be scoped to correct region: {region}")
    kind, _, name = parts[5].partition("/")
    return Reference(name, parts[4], kind)


def group_of(package: Resource) -> str | None:
    """Return the name of the group that a package is a version of, or None."""
    group, slash, _ = package.key.name.rpartition("/")
    return group if slash else None


def version_of(package: Resource) -> int | None:
    """Return a package's version number, or None."""
    _, slash, number = package.key.name.rpartition("/")
    return int(number) if slash else None


def group_key(package: Resource) -> Key | None:
    """Return the identity of a package's group, or None."""
    group = group_of(package)
    return (
        None
        if group is None
        else Key(Kind.MODEL_PACKAGE_GROUP, package.key.account, package.key.region, group)
    )


def specification_of(package: Resource, name: str | None = None) -> Json:
    """Return the inference specification of a package, or its additional one of that name.

    Raises:
        Invalid: there is none.
    """
    if name is None:
        found: Json | None = package.spec.get("InferenceSpecification")
        if found is None:
            raise Invalid(
                f"ModelPackage {package.arn} has no InferenceSpecification and cannot be deployed; give it "
                "one with UpdateModelPackage."
            )
        return found
    for one in package.spec.get("AdditionalInferenceSpecifications", []):
        if one["Name"] == name:
            specification: Json = one
            return specification
    raise Invalid(
        f"ModelPackage {package.arn} has no additional inference specification '{name}'; "
        "DescribeModelPackage shows those that it has."
    )


def check_rule(tags: dict[str, str]) -> None:
    """Refuse a rule for approvals that cannot name an endpoint."""
    endpoint = tags.get(RULE)
    if endpoint is not None and not _ENDPOINT_NAME.fullmatch(endpoint):
        raise Invalid(
            f"Tag {RULE} '{endpoint}' names no endpoint: an endpoint's name has 1 to 63 letters, digits and "
            "hyphens, and begins and ends with a letter or digit."
        )

"""Model packages: the versions of a group, and packages of their own (spec: control-plane.md section 11).

Rule: a version becomes due when it becomes approved, in the same write, so that no approval is lost; whether
anything is deployed then is decided elsewhere (planning/deployment.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sagestead.control.context import Context, Operation
from sagestead.control.listing import ListOf
from sagestead.control.operations import model_package_requests as requests
from sagestead.control.operations import records, versions
from sagestead.control.operations.model_package_groups import by, find_group, find_named
from sagestead.control.operations.tags import tags_of
from sagestead.domain.errors import Invalid, Refusal
from sagestead.domain.model_package import COMPLETED, Approval, group_of, version_of
from sagestead.domain.resources import Json, Kind, Resource
from sagestead.planning.deployment import CUSTOMER_KEY, told
from sagestead.ports import Change, Listing


def create_model_package(ctx: Context, request: Json) -> Json:
    """CreateModelPackage: a new version of a group, or a package of its own."""
    spec = requests.completed(ctx, request)
    tags = tags_of(request)
    if "ModelPackageGroupName" not in request:
        draft = records.draft(ctx, Kind.MODEL_PACKAGE, request["ModelPackageName"], spec, tags)
        draft = replace(draft, detail=_begun(ctx, ""))
        return {"ModelPackageArn": versions.create_plain(ctx, draft, request).arn}
    if tags:
        raise Invalid(
            "Tags are not supported for versioned model packages: tag the group "
            f"{request['ModelPackageGroupName']} with AddTags."
        )
    group = find_group(ctx, request["ModelPackageGroupName"])
    status = request.get("ModelApprovalStatus", Approval.PENDING.value)

    def draft_of(name: str) -> Resource:
        drafted = records.draft(ctx, Kind.MODEL_PACKAGE, name, spec, {})
        due_at = ctx.now if status == Approval.APPROVED else None
        return replace(drafted, status=status, detail=_begun(ctx, status), due_at=due_at)

    return {"ModelPackageArn": versions.create_version(ctx, group, draft_of, request).arn}


def described(package: Resource) -> Json:
    """Return a package as DescribeModelPackage shows it."""
    answer: Json = {
        "CertifyForMarketplace": False,
        **package.spec,
        "ModelPackageName": package.key.name,
        "ModelPackageGroupName": group_of(package),
        "ModelPackageVersion": version_of(package),
        "ModelPackageArn": package.arn,
        "CreationTime": package.created_at,
        "LastModifiedTime": package.modified_at,
        "CreatedBy": by(package.detail["_By"]),
        "LastModifiedBy": by(package.detail["_ChangedBy"]) if "_ChangedBy" in package.detail else None,
        "ModelPackageStatus": COMPLETED,
        "ModelPackageStatusDetails": {"ValidationStatuses": []},
        "ModelApprovalStatus": package.status or None,
    }
    deployment = told(package)
    if deployment is not None:
        metadata = answer.get("CustomerMetadataProperties", {})
        answer["CustomerMetadataProperties"] = {**metadata, CUSTOMER_KEY: deployment}
    return answer


def describe_model_package(ctx: Context, request: Json) -> Json:
    """DescribeModelPackage: by name, `group/version` or ARN."""
    answer = described(find_package(ctx, request["ModelPackageName"]))
    card = answer.get("ModelCard")
    if card and request.get("IncludedData") == "MetadataOnly":
        answer["ModelCard"] = {member: card[member] for member in card if member != "ModelCardContent"}
    return answer


def list_model_packages(ctx: Context, request: Json) -> Json:
    """ListModelPackages: a group's versions; else packages without versions, unless others are asked for."""
    group = find_group(ctx, request["ModelPackageGroupName"]) if "ModelPackageGroupName" in request else None
    packages = _ListOfPackages(
        Kind.MODEL_PACKAGE, "ModelPackageSummaryList", _summary, descending=False, group=group
    )
    return packages(ctx, request)


def update_model_package(ctx: Context, request: Json) -> Json:
    """UpdateModelPackage: metadata is merged; a version that becomes approved is due for deployment."""
    find = _finder(ctx, request["ModelPackageArn"])
    wanted = requests.changes(ctx, request)

    def decide(seen: Resource) -> Change:
        status = request.get("ModelApprovalStatus")
        if status is not None and group_of(seen) is None:
            raise Invalid(
                f"ModelApprovalStatus belongs to versions of a group, and ModelPackage {seen.arn} is none; "
                "leave it out."
            )
        detail = {**seen.detail, "_ChangedBy": ctx.principal.arn}
        due_at = seen.due_at
        if status == Approval.APPROVED and seen.status != Approval.APPROVED:
            detail["_ApprovedAt"], due_at = ctx.now, ctx.now
        return Change(due_at, spec=requests.merged(seen.spec, wanted, request), status=status, detail=detail)

    return {"ModelPackageArn": records.change(ctx, find, decide).arn}


def delete_model_package(ctx: Context, request: Json) -> Json:
    """DeleteModelPackage: models made from it stay; its number is not used again."""
    find = _finder(ctx, request["ModelPackageName"])
    versions.forget_token(ctx, find())
    records.delete(ctx, find, lambda _: None)
    return {}


def batch_describe_model_package(ctx: Context, request: Json) -> Json:
    """BatchDescribeModelPackage: what is not found is told in the error map."""
    found: Json = {}
    errors: Json = {}
    for arn in request["ModelPackageArnList"]:
        try:
            package = find_package(ctx, arn)
        except Refusal as refusal:
            errors[arn] = {"ErrorCode": refusal.code, "ErrorResponse": refusal.sentence}
            continue
        specification = package.spec.get("InferenceSpecification")
        if specification is None:
            sentence = f"ModelPackage {package.arn} has no InferenceSpecification; describe it alone."
            errors[arn] = {"ErrorCode": Invalid.code, "ErrorResponse": sentence}
            continue
        found[arn] = {
            **_summary(package),
            "ModelPackageGroupName": group_of(package) or package.key.name,
            "InferenceSpecification": specification,
        }
        for member in ("ModelPackageName", "ModelLifeCycle"):
            found[arn].pop(member, None)
    return {"ModelPackageSummaries": found, "BatchDescribeModelPackageErrorMap": errors or None}


def find_package(ctx: Context, text: str) -> Resource:
    """Return the caller's package of that name or ARN; raise `Invalid` in AWS's words when there is none."""
    return find_named(ctx, Kind.MODEL_PACKAGE, text, "ModelPackage")


def find_deployable(ctx: Context, text: str) -> Resource:
    """Return a package that a model may be made from: a version must be approved."""
    package = find_package(ctx, text)
    if package.status not in {"", Approval.APPROVED}:
        raise Invalid(
            f"ModelPackage {package.arn} has ModelApprovalStatus {package.status}; a model is made from an "
            "Approved version only: approve it with UpdateModelPackage."
        )
    return package


def _finder(ctx: Context, text: str) -> Callable[[], Resource]:
    return lambda: find_package(ctx, text)


def _begun(ctx: Context, status: str) -> Json:
    approved = {"_ApprovedAt": ctx.now} if status == Approval.APPROVED else {}
    return {"_By": ctx.principal.arn, **approved}


def _summary(package: Resource) -> Json:
    spec: dict[str, Any] = package.spec
    return {
        "ModelPackageName": package.key.name,
        "ModelPackageGroupName": group_of(package),
        "ModelPackageVersion": version_of(package),
        "ModelPackageArn": package.arn,
        "ModelPackageDescription": spec.get("ModelPackageDescription"),
        "CreationTime": package.created_at,
        "ModelPackageStatus": COMPLETED,
        "ModelApprovalStatus": package.status or None,
        "ModelLifeCycle": spec.get("ModelLifeCycle"),
        "ModelPackageRegistrationType": spec.get("ModelPackageRegistrationType"),
    }


@dataclass(frozen=True, slots=True)
class _ListOfPackages(ListOf):
    """Lists packages; versions of a group, which share its name, in the order of their numbers."""

    group: Resource | None = None

    def question(self, ctx: Context, request: Json) -> Listing:
        """Return the first page's question."""
        listing = replace(ListOf.question(self, ctx, request), status=request.get("ModelApprovalStatus"))
        kind = request.get("ModelPackageType", "Unversioned" if self.group is None else "Both")
        listing = replace(listing, is_version=None if kind == "Both" else kind == "Versioned")
        if self.group is None:
            return listing
        by_number = "created_at" if listing.sort_by == "name" else listing.sort_by
        return replace(listing, name_prefix=f"{self.group.key.name}/", sort_by=by_number)


OPERATIONS: dict[str, Operation] = {
    "CreateModelPackage": create_model_package,
    "DescribeModelPackage": describe_model_package,
    "ListModelPackages": list_model_packages,
    "UpdateModelPackage": update_model_package,
    "DeleteModelPackage": delete_model_package,
    "BatchDescribeModelPackage": batch_describe_model_package,
}

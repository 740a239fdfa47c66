"""What CreateModelPackage and UpdateModelPackage may ask for here (spec: control-plane.md section 11).

Rule: everything that the shape cannot say is checked before anything is stored. Updates are written so that
sending one twice changes nothing more, which is what their ClientToken promises.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sagestead.control.context import Context
from sagestead.control.operations import records
from sagestead.control.operations.carried_out import refuse_others
from sagestead.control.operations.inference_specifications import checked
from sagestead.domain.errors import Invalid
from sagestead.domain.model_package import reference
from sagestead.domain.resources import Json, Kind

MOST_METADATA = 50
MOST_ADDITIONAL = 15

_PLAIN = frozenset(
    {
        "ModelPackageDescription",
        "ModelPackageRegistrationType",
        "InferenceSpecification",
        "AdditionalInferenceSpecifications",
        "MetadataProperties",
        "ModelMetrics",
        "Domain",
        "Task",
        "SamplePayloadUrl",
        "CustomerMetadataProperties",
        "DriftCheckBaselines",
        "SkipModelValidation",
        "SourceUri",
        "ModelCard",
        "ModelLifeCycle",
    }
)
"""Members that are kept and shown."""

_CREATE = _PLAIN | {"ModelPackageName", "ModelPackageGroupName", "ModelApprovalStatus", "Tags", "ClientToken"}
_REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        "SourceAlgorithmSpecification": "give InferenceSpecification with Image and ModelDataUrl instead",
        "ValidationSpecification": "run a transform job on a model made from the package, and leave it out",
        "CertifyForMarketplace": "there is no marketplace; set it to false",
        "SecurityConfig": "nothing is encrypted by this server; leave it out",
        "ManagedStorageType": "artifacts stay where they are; leave it out",
    }
)
_REPLACED = (
    "ModelPackageRegistrationType",
    "ApprovalDescription",
    "SourceUri",
    "ModelCard",
    "ModelLifeCycle",
)


def completed(ctx: Context, request: Json) -> Json:
    """Return what is kept of a CreateModelPackage request, checked; a model's container for its ARN."""
    refuse_others(request, _CREATE, "", _REMEDIES)
    if "ModelPackageName" in request and "ModelPackageGroupName" in request:
        raise Invalid(
            "Both ModelPackageName and ModelPackageGroupName are provided in the input. "
            "Cannot determine which one to use."
        )
    if "ModelPackageName" not in request and "ModelPackageGroupName" not in request:
        raise Invalid("Missing ARN.")
    if "InferenceSpecification" not in request and "SourceUri" not in request:
        raise Invalid("A model package needs InferenceSpecification or SourceUri: say what it is made of.")
    spec = {member: value for member, value in request.items() if member in _PLAIN}
    is_skipped = request.get("SkipModelValidation") == "All"
    specification = request.get("InferenceSpecification") or _of_model(ctx, request["SourceUri"])
    if specification is not None:
        at = "InferenceSpecification."
        spec["InferenceSpecification"] = checked(ctx, specification, at, is_skipped=is_skipped)
    additional = request.get("AdditionalInferenceSpecifications", [])
    if additional:
        _check_names(additional, "AdditionalInferenceSpecifications")
        spec["AdditionalInferenceSpecifications"] = [
            checked(ctx, one, f"AdditionalInferenceSpecifications.{number}.", is_skipped=is_skipped)
            for number, one in enumerate(additional, 1)
        ]
    return spec


def changes(ctx: Context, request: Json) -> Json:
    """Return the members that an UpdateModelPackage request replaces or adds, checked."""
    wanted = {member: request[member] for member in _REPLACED if member in request}
    if "InferenceSpecification" in request:
        wanted["InferenceSpecification"] = checked(
            ctx, request["InferenceSpecification"], "InferenceSpecification."
        )
    added = request.get("AdditionalInferenceSpecificationsToAdd", [])
    if added:
        _check_names(added, "AdditionalInferenceSpecificationsToAdd")
        wanted["AdditionalInferenceSpecifications"] = [
            checked(ctx, one, f"AdditionalInferenceSpecificationsToAdd.{number}.")
            for number, one in enumerate(added, 1)
        ]
    pruned: Json = records.without_empty(wanted)
    return pruned


def merged(spec: Json, wanted: Json, request: Json) -> Json:
    """Return a package's spec after an update: metadata merged, then the keys to remove gone."""
    after = {**spec, **wanted}
    if "AdditionalInferenceSpecifications" in wanted:
        before = spec.get("AdditionalInferenceSpecifications", [])
        after["AdditionalInferenceSpecifications"] = _added(
            before, wanted["AdditionalInferenceSpecifications"]
        )
    metadata = {**spec.get("CustomerMetadataProperties", {}), **request.get("CustomerMetadataProperties", {})}
    for key in request.get("CustomerMetadataPropertiesToRemove", []):
        metadata.pop(key, None)
    if len(metadata) > MOST_METADATA:
        raise Invalid(
            f"CustomerMetadataProperties can have {MOST_METADATA} entries, not {len(metadata)}; remove some "
            "with CustomerMetadataPropertiesToRemove."
        )
    after.pop("CustomerMetadataProperties", None)
    return {**after, "CustomerMetadataProperties": metadata} if metadata else after


def _of_model(ctx: Context, source: str) -> Json | None:
    """Return the inference specification of the caller's model that a SourceUri names, if it names one."""
    if not source.startswith("arn:"):
        return None
    named = reference(source, ctx.region)
    if (named.kind, named.account) != (Kind.MODEL, ctx.account):
        return None
    model = records.in_any_case(ctx, Kind.MODEL, named.name)
    if model is None:
        raise Invalid(f'Could not find model "{source}".')
    container = model.detail.get("_Container") or model.spec.get("PrimaryContainer")
    containers = [container] if container else model.spec["Containers"]
    kept = ("ContainerHostname", "Image", "ModelDataUrl", "ModelDataSource", "Environment")
    return {"Containers": [{name: one[name] for name in kept if name in one} for one in containers]}


def _check_names(specifications: list[Json], member: str) -> None:
    names = [one["Name"] for one in specifications]
    if len(set(names)) < len(names):
        raise Invalid(f"{member} has the names {', '.join(names)}: no name may appear twice.")


def _added(before: list[Json], added: list[Json]) -> list[Json]:
    """Return the additional specifications with those added; one that is there already changes nothing."""
    known = {one["Name"]: one for one in before}
    for one in added:
        if known.setdefault(one["Name"], one) != one:
            raise Invalid(
                f"AdditionalInferenceSpecificationsToAdd has '{one['Name']}', which the package has already "
                "with other contents; choose another name."
            )
    if len(known) > MOST_ADDITIONAL:
        raise Invalid(f"A package can have {MOST_ADDITIONAL} additional inference specifications.")
    return list(known.values())

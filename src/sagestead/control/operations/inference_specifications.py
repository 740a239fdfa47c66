"""Inference specifications of model packages: what a version is made of (spec: control-plane.md section 11).

Rule: what cannot be deployed here is refused when it is registered, not when it is wanted. `ModelDataETag`
says which bytes were registered; a model is made from the package only while they are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sagestead.control.context import Context
from sagestead.control.operations.carried_out import refuse_others
from sagestead.control.operations.model_artifacts import artifact_of, missing
from sagestead.domain.errors import Invalid
from sagestead.domain.model_package import specification_of
from sagestead.domain.resources import Json, Resource

ETAG = "ModelDataETag"

_CONTAINER = frozenset(
    {
        "ContainerHostname",
        "Image",
        "ImageDigest",
        "ModelDataUrl",
        "ModelDataSource",
        ETAG,
        "Environment",
        "ModelInput",
        "Framework",
        "FrameworkVersion",
        "NearestModelName",
    }
)
_REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        "ProductId": "there is no marketplace; leave it out",
        "AdditionalModelDataSources": "pack everything into one model.tar.gz",
        "AdditionalS3DataSource": "pack everything into one model.tar.gz",
    }
)


def checked(ctx: Context, specification: Json, at: str, *, is_skipped: bool = False) -> Json:
    """Return an inference specification with the ETags of its artifacts.

    Args:
        ctx: whose artifacts.
        specification: InferenceSpecification or one of AdditionalInferenceSpecifications.
        at: path of its members, with the dot.
        is_skipped: artifacts need not be there yet (SkipModelValidation All).

    Raises:
        Invalid: it asks for what is not carried out, or an artifact is not there.
    """
    containers = []
    for number, container in enumerate(specification["Containers"], 1):
        path = f"{at}Containers.{number}."
        refuse_others(container, _CONTAINER, path, _REMEDIES)
        if not container.get("Image"):
            raise Invalid(f"{path}Image is missing: name the image that serves the model.")
        containers.append({**container, **_etag(ctx, container, path, is_skipped=is_skipped)})
    return {**specification, "Containers": containers}


def container_of(ctx: Context, package: Resource, name: str | None = None) -> Json:
    """Return the container that a model made from a package has.

    Args:
        ctx: whose package.
        package: which.
        name: of an additional inference specification; None: the package's own.

    Raises:
        Invalid: there is none, there are several, or the artifact is not the registered one any more.
    """
    containers = specification_of(package, name)["Containers"]
    if len(containers) > 1:
        raise Invalid(
            f"ModelPackage {package.arn} has {len(containers)} containers (an inference pipeline), which is "
            "not supported by this server: register a package with one container."
        )
    (container,) = containers
    place = artifact_of(container, "ModelPackage.")
    if place is not None:
        stored = ctx.objects.stat(ctx.account, place.bucket, place.key)
        if stored is None:
            raise missing(place)
        if container.get(ETAG, stored.etag) != stored.etag:
            raise Invalid(
                f"The model data at {place} is not what was registered as ModelPackage {package.arn}: it was "
                "overwritten. Register what is there now as a new version."
            )
    return {member: container[member] for member in _DEPLOYED if member in container}


def _etag(ctx: Context, container: Json, path: str, *, is_skipped: bool) -> Json:
    place = artifact_of(container, path)
    stored = None if place is None else ctx.objects.stat(ctx.account, place.bucket, place.key)
    if stored is not None:
        return {ETAG: stored.etag}
    if place is not None and not is_skipped:
        raise missing(place)
    return {}


_DEPLOYED = ("Image", "ModelDataUrl", "ModelDataSource", "Environment")

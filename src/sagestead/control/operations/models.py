"""Models (spec: control-plane.md section 7.1). A model never changes; it may go while endpoints use it."""

from __future__ import annotations

from types import MappingProxyType

from sagestead.control.context import Context, Operation
from sagestead.control.listing import ListOf
from sagestead.control.operations import records
from sagestead.control.operations.carried_out import refuse_others, refused
from sagestead.control.operations.passing_roles import check_role
from sagestead.control.operations.tags import tags_of
from sagestead.domain.errors import Invalid
from sagestead.domain.resources import Json, Kind, Resource
from sagestead.domain.s3_uri import Location, locate

_MODEL = frozenset(
    {"ModelName", "PrimaryContainer", "Containers", "InferenceExecutionConfig", "ExecutionRoleArn", "Tags"}
)
_MODEL_REMEDIES = MappingProxyType(
    {
        "VpcConfig": "models run on this machine, outside of any VPC; leave it out",
        "EnableNetworkIsolation": "set it to false; built-in algorithms open no connections",
    }
)
_CONTAINER = frozenset(
    {"ContainerHostname", "Image", "ImageConfig", "Mode", "ModelDataUrl", "ModelDataSource", "Environment"}
)
_CONTAINER_REMEDIES = MappingProxyType(
    {
        "ModelPackageName": "name the Image and ModelDataUrl of the package instead",
        "MultiModelConfig": "make one model for each artifact",
        "AdditionalModelDataSources": "pack everything into one model.tar.gz",
    }
)
_SOURCE = frozenset({"S3Uri", "S3DataType", "CompressionType"})


def create_model(ctx: Context, request: Json) -> Json:
    """CreateModel: checks the members, the role and the artifact."""
    name = request["ModelName"]
    refuse_others(request, _MODEL, "", _MODEL_REMEDIES)
    if request.get("InferenceExecutionConfig", {}).get("Mode") == "Direct":
        raise refused("InferenceExecutionConfig.Mode", "Direct", "a model has one container; leave it out")
    path, container = _only_container(request)
    _check_container(container, path)
    artifact = _artifact(container, path)
    draft = records.draft(ctx, Kind.MODEL, name, request, tags_of(request))
    existing = records.in_any_case(ctx, Kind.MODEL, name)
    if existing is not None:
        raise _taken(existing)
    if "ExecutionRoleArn" in request:
        check_role(ctx, request["ExecutionRoleArn"], "ExecutionRoleArn")
    if artifact is not None and ctx.objects.stat(ctx.account, artifact.bucket, artifact.key) is None:
        raise Invalid(f"Could not find model data at {artifact}.")
    return {"ModelArn": records.create(ctx, draft, _taken).arn}


def describe_model(ctx: Context, request: Json) -> Json:
    """DescribeModel."""
    model = find_model(ctx, request["ModelName"])
    return {
        "EnableNetworkIsolation": False,
        **model.spec,
        "ModelName": model.key.name,
        "ModelArn": model.arn,
        "CreationTime": model.created_at,
    }


def delete_model(ctx: Context, request: Json) -> Json:
    """DeleteModel: endpoints and jobs that use it are not affected."""
    records.delete(ctx, lambda: find_model(ctx, request["ModelName"]), lambda _: None)
    return {}


def find_model(ctx: Context, name: str) -> Resource:
    """Return the caller's model; raise `Invalid` with AWS's sentence when there is none."""
    model = records.find(ctx, Kind.MODEL, name)
    if model is None:
        raise Invalid(f'Could not find model "{records.arn_of(ctx, Kind.MODEL, name)}".')
    return model


def container_of(model: Resource) -> Json:
    """Return what a run of the model needs: Image, ModelDataUrl (s3://, one object) and Environment."""
    path, container = _only_container(model.spec)
    artifact = _artifact(container, path)
    found = {"Image": container["Image"]}
    if artifact is not None:
        found["ModelDataUrl"] = str(artifact)
    if container.get("Environment"):
        found["Environment"] = container["Environment"]
    return found


def _only_container(request: Json) -> tuple[str, Json]:
    """Return the one container of a model and the path of its members."""
    primary, several = request.get("PrimaryContainer"), request.get("Containers")
    if primary and several:
        raise Invalid("PrimaryContainer and Containers exclude each other; keep PrimaryContainer.")
    if primary:
        return "PrimaryContainer.", primary
    if not several:
        raise Invalid("A model needs a container: give PrimaryContainer with Image and ModelDataUrl.")
    if len(several) > 1:
        raise Invalid(
            f"Containers with {len(several)} containers (an inference pipeline) is not supported by this "
            "server: give one container, as PrimaryContainer."
        )
    return "Containers.1.", several[0]


def _check_container(container: Json, path: str) -> None:
    refuse_others(container, _CONTAINER, path, _CONTAINER_REMEDIES)
    if container.get("Mode") == "MultiModel":
        raise refused(f"{path}Mode", "MultiModel", "make one SingleModel model for each artifact")
    image_access = container.get("ImageConfig", {})
    refuse_others(image_access, frozenset({"RepositoryAccessMode"}), f"{path}ImageConfig.")
    if image_access.get("RepositoryAccessMode") == "Vpc":
        raise refused(f"{path}ImageConfig.RepositoryAccessMode", "Vpc", "leave ImageConfig out")
    if not container.get("Image"):
        raise Invalid(f"{path}Image is missing: name the image that serves the model.")


def _artifact(container: Json, path: str) -> Location | None:
    """Return where the container's model.tar.gz lies, however the request says it."""
    url, source = container.get("ModelDataUrl"), container.get("ModelDataSource", {}).get("S3DataSource")
    if url and source:
        raise Invalid(f"{path}ModelDataUrl and {path}ModelDataSource exclude each other; keep one.")
    if url:
        return _object(url, f"{path}ModelDataUrl")
    if not source:
        return None
    at = f"{path}ModelDataSource.S3DataSource."
    refuse_others(source, _SOURCE, at)
    if source["S3DataType"] != "S3Object":
        remedy = "pack the files into one model.tar.gz and give it as S3Object with CompressionType Gzip"
        raise refused(f"{at}S3DataType", source["S3DataType"], remedy)
    if source["CompressionType"] != "Gzip":
        raise refused(f"{at}CompressionType", source["CompressionType"], "give a model.tar.gz and Gzip")
    return _object(source["S3Uri"], f"{at}S3Uri")


def _object(uri: str, field: str) -> Location:
    place = locate(uri, field)
    if not place.key or place.key.endswith("/"):
        raise Invalid(f"{field} '{uri}' names no object; give the whole address of one model.tar.gz.")
    return place


def _taken(existing: Resource) -> Invalid:
    return Invalid(f'Cannot create already existing model "{existing.arn}".')


def _summary(model: Resource) -> Json:
    return {"ModelName": model.key.name, "ModelArn": model.arn, "CreationTime": model.created_at}


OPERATIONS: dict[str, Operation] = {
    "CreateModel": create_model,
    "DescribeModel": describe_model,
    "ListModels": ListOf(Kind.MODEL, "Models", _summary),
    "DeleteModel": delete_model,
}

"""Models (spec: control-plane.md section 7.1). A model never changes; it may go while endpoints use it.

`detail["_Container"]` of a model made from a package is what the package said then, so that the package may
change or go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from sagestead.control.context import Context, Operation
from sagestead.control.listing import ListOf
from sagestead.control.operations import inference_specifications, records
from sagestead.control.operations.carried_out import refuse_others, refused
from sagestead.control.operations.model_artifacts import artifact_of, missing
from sagestead.control.operations.model_packages import find_deployable
from sagestead.control.operations.passing_roles import check_role
from sagestead.control.operations.tags import tags_of
from sagestead.domain.errors import Invalid
from sagestead.domain.images import framework_image
from sagestead.domain.model_server import fault_of
from sagestead.domain.resources import Json, Kind, Resource
from sagestead.worker.isolation import can_leave_network

_MODEL = frozenset(
    {
        "ModelName",
        "PrimaryContainer",
        "Containers",
        "InferenceExecutionConfig",
        "ExecutionRoleArn",
        "EnableNetworkIsolation",
        "Tags",
    }
)
_MODEL_REMEDIES = MappingProxyType(
    {"VpcConfig": "models run on this machine, outside of any VPC; leave it out"}
)
_CONTAINER = frozenset(
    {"ContainerHostname", "Image", "ImageConfig", "Mode", "ModelDataUrl", "ModelDataSource", "Environment"}
)
_PACKAGED = frozenset(
    {"ContainerHostname", "ModelPackageName", "InferenceSpecificationName", "Mode", "Environment"}
)
_CONTAINER_REMEDIES = MappingProxyType(
    {
        "InferenceSpecificationName": "it belongs to a ModelPackageName; leave it out",
        "MultiModelConfig": "make one model for each artifact",
        "AdditionalModelDataSources": "pack everything into one model.tar.gz",
    }
)


def create_model(ctx: Context, request: Json) -> Json:
    """CreateModel: checks the members, the role and the artifact."""
    name = request["ModelName"]
    refuse_others(request, _MODEL, "", _MODEL_REMEDIES)
    if request.get("InferenceExecutionConfig", {}).get("Mode") == "Direct":
        raise refused("InferenceExecutionConfig.Mode", "Direct", "a model has one container; leave it out")
    path, container = _only_container(request)
    _check_container(container, path)
    artifact = artifact_of(container, path)
    draft = records.draft(ctx, Kind.MODEL, name, request, tags_of(request))
    if container.get("ModelPackageName"):
        container = _packaged(ctx, container)
        draft = replace(draft, detail={"_Container": container})
    _check_isolation(request, container)
    check_model_server(container, container.get("Environment", {}), "Environment.")
    existing = records.in_any_case(ctx, Kind.MODEL, name)
    if existing is not None:
        raise _taken(existing)
    if "ExecutionRoleArn" in request:
        check_role(ctx, request["ExecutionRoleArn"], "ExecutionRoleArn")
    if artifact is not None and ctx.objects.stat(ctx.account, artifact.bucket, artifact.key) is None:
        raise missing(artifact)
    return {"ModelArn": records.create(ctx, draft, _taken).arn}


def described(model: Resource) -> Json:
    """Return a model as DescribeModel shows it."""
    return {
        "EnableNetworkIsolation": False,
        **model.spec,
        "ModelName": model.key.name,
        "ModelArn": model.arn,
        "CreationTime": model.created_at,
    }


def describe_model(ctx: Context, request: Json) -> Json:
    """DescribeModel."""
    return described(find_model(ctx, request["ModelName"]))


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
    """Return what a run of the model needs: Image, ModelDataUrl (s3://, one object) and Environment.

    `EnableNetworkIsolation` is there when the model's program must reach no network.
    """
    path, container = _only_container(model.spec)
    container = model.detail.get("_Container", container)
    artifact = artifact_of(container, path)
    found = {"Image": container["Image"]}
    if artifact is not None:
        found["ModelDataUrl"] = str(artifact)
    if container.get("Environment"):
        found["Environment"] = container["Environment"]
    if model.spec.get("EnableNetworkIsolation"):
        found["EnableNetworkIsolation"] = True
    return found


def check_model_server(container: Json, environment: Mapping[str, str], at: str) -> None:
    """Refuse variables that set up a model server otherwise than it is here; `environment` is at `at`."""
    fault = fault_of(environment, runs_program=_runs_program(container))
    if fault is not None:
        raise Invalid(f"{at}{fault}")


def _runs_program(container: Json) -> bool:
    image = framework_image(container["Image"])
    return image is not None and image.runs_program(container.get("Environment", {}))


def _check_isolation(request: Json, container: Json) -> None:
    """Refuse what cannot be had here; what runs no program of the user's opens no connections anyway."""
    isolated = request.get("EnableNetworkIsolation")
    if isolated and _runs_program(container) and not can_leave_network():
        remedy = "this machine lets no process have a network of its own; allow that, or set it to false"
        raise refused("EnableNetworkIsolation", isolated, remedy)


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


def _packaged(ctx: Context, container: Json) -> Json:
    """Return the container that a package stands for; the request's environment goes before the package's."""
    package = find_deployable(ctx, container["ModelPackageName"])
    found = inference_specifications.container_of(ctx, package, container.get("InferenceSpecificationName"))
    environment = {**found.get("Environment", {}), **container.get("Environment", {})}
    return {**found, "Environment": environment}


def _check_container(container: Json, path: str) -> None:
    if container.get("ModelPackageName"):
        remedies = dict.fromkeys(
            ("Image", "ModelDataUrl", "ModelDataSource"), "the package says it; leave it out"
        )
        refuse_others(container, _PACKAGED, path, remedies)
    else:
        _check_named_container(container, path)
    if container.get("Mode") == "MultiModel":
        raise refused(f"{path}Mode", "MultiModel", "make one SingleModel model for each artifact")


def _check_named_container(container: Json, path: str) -> None:
    refuse_others(container, _CONTAINER, path, _CONTAINER_REMEDIES)
    image_access = container.get("ImageConfig", {})
    refuse_others(image_access, frozenset({"RepositoryAccessMode"}), f"{path}ImageConfig.")
    if image_access.get("RepositoryAccessMode") == "Vpc":
        raise refused(f"{path}ImageConfig.RepositoryAccessMode", "Vpc", "leave ImageConfig out")
    if not container.get("Image"):
        raise Invalid(f"{path}Image is missing: name the image that serves the model.")


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

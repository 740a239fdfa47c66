"""Endpoint configurations (spec: control-plane.md section 7.2). They never change."""

from __future__ import annotations

from types import MappingProxyType

from sagestead.control.context import Context, Operation
from sagestead.control.listing import ListOf
from sagestead.control.operations import records
from sagestead.control.operations.carried_out import refuse_others, refused
from sagestead.control.operations.models import find_model
from sagestead.control.operations.passing_roles import check_role
from sagestead.control.operations.tags import tags_of
from sagestead.domain.errors import Invalid
from sagestead.domain.resources import Json, Kind, Resource

_CONFIG = frozenset(
    {"EndpointConfigName", "ProductionVariants", "Tags", "ExecutionRoleArn", "DataCaptureConfig"}
)
_CONFIG_REMEDIES = MappingProxyType(
    {
        "KmsKeyId": "volumes are not encrypted by this server; leave it out, or encrypt the disk",
        "AsyncInferenceConfig": "call the endpoint with InvokeEndpoint, and leave it out",
        "ShadowProductionVariants": "deploy the shadow as an endpoint of its own",
        "ExplainerConfig": "leave it out; built-in XGBoost answers contributions on request",
        "VpcConfig": "endpoints run on this machine, outside of any VPC; leave it out",
        "EnableNetworkIsolation": "set it to false; built-in algorithms open no connections",
    }
)
_VARIANT = frozenset(
    {
        "VariantName",
        "ModelName",
        "InitialInstanceCount",
        "InstanceType",
        "InitialVariantWeight",
        "VolumeSizeInGB",
        "ModelDataDownloadTimeoutInSeconds",
        "ContainerStartupHealthCheckTimeoutInSeconds",
        "RoutingConfig",
    }
)
_VARIANT_REMEDIES = MappingProxyType(
    {
        "ServerlessConfig": "give InstanceType and InitialInstanceCount instead",
        "ManagedInstanceScaling": "give InitialInstanceCount, and change it by "
        "UpdateEndpointWeightsAndCapacities",
        "AcceleratorType": "leave it out; instances are processes on this machine",
    }
)
ROUTING = "LEAST_OUTSTANDING_REQUESTS"


def create_endpoint_config(ctx: Context, request: Json) -> Json:
    """CreateEndpointConfig: checks the members, the role and that the models are there."""
    name = request["EndpointConfigName"]
    refuse_others(request, _CONFIG, "", _CONFIG_REMEDIES)
    capture = request.get("DataCaptureConfig")
    if capture and capture.get("EnableCapture") is not False:
        raise refused("DataCaptureConfig", capture, "set EnableCapture to false, or leave it out")
    variants = request["ProductionVariants"]
    for number, variant in enumerate(variants, 1):
        _check_variant(variant, f"ProductionVariants.{number}.")
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) < len(names):
        raise Invalid(f"ProductionVariants names the variants {', '.join(names)}: no name may appear twice.")
    spec = {**request, "ProductionVariants": [{"InitialVariantWeight": 1.0, **one} for one in variants]}
    draft = records.draft(ctx, Kind.ENDPOINT_CONFIG, name, spec, tags_of(request))
    existing = records.in_any_case(ctx, Kind.ENDPOINT_CONFIG, name)
    if existing is not None:
        raise _taken(existing)
    if "ExecutionRoleArn" in request:
        check_role(ctx, request["ExecutionRoleArn"], "ExecutionRoleArn")
    for variant in variants:
        find_model(ctx, variant["ModelName"])
    return {"EndpointConfigArn": records.create(ctx, draft, _taken).arn}


def describe_endpoint_config(ctx: Context, request: Json) -> Json:
    """DescribeEndpointConfig."""
    config = find_endpoint_config(ctx, request["EndpointConfigName"])
    return {
        "EnableNetworkIsolation": False,
        **config.spec,
        "EndpointConfigName": config.key.name,
        "EndpointConfigArn": config.arn,
        "CreationTime": config.created_at,
    }


def delete_endpoint_config(ctx: Context, request: Json) -> Json:
    """DeleteEndpointConfig: endpoints that use it are not affected."""
    name = request["EndpointConfigName"]
    records.delete(ctx, lambda: find_endpoint_config(ctx, name), lambda _: None)
    return {}


def find_endpoint_config(ctx: Context, name: str) -> Resource:
    """Return the caller's configuration; raise `Invalid` with AWS's sentence when there is none."""
    config = records.find(ctx, Kind.ENDPOINT_CONFIG, name)
    if config is None:
        arn = records.arn_of(ctx, Kind.ENDPOINT_CONFIG, name)
        raise Invalid(f'Could not find endpoint configuration "{arn}".')
    return config


def _check_variant(variant: Json, path: str) -> None:
    refuse_others(variant, _VARIANT, path, _VARIANT_REMEDIES)
    for member in ("ModelName", "InstanceType", "InitialInstanceCount"):
        if not variant.get(member):
            raise Invalid(
                f"{path}{member} is missing: a variant needs a model, an instance type and a count."
            )
    strategy = variant.get("RoutingConfig", {}).get("RoutingStrategy", ROUTING)
    if strategy != ROUTING:
        remedy = f"requests go to the least busy instance; give {ROUTING}, or leave RoutingConfig out"
        raise refused(f"{path}RoutingConfig.RoutingStrategy", strategy, remedy)


def _taken(existing: Resource) -> Invalid:
    return Invalid(f'Cannot create already existing endpoint configuration "{existing.arn}".')


def _summary(config: Resource) -> Json:
    return {
        "EndpointConfigName": config.key.name,
        "EndpointConfigArn": config.arn,
        "CreationTime": config.created_at,
    }


OPERATIONS: dict[str, Operation] = {
    "CreateEndpointConfig": create_endpoint_config,
    "DescribeEndpointConfig": describe_endpoint_config,
    "ListEndpointConfigs": ListOf(Kind.ENDPOINT_CONFIG, "EndpointConfigs", _summary),
    "DeleteEndpointConfig": delete_endpoint_config,
}

"""Endpoints (spec: control-plane.md section 7.3).

Rule: an operation writes what is wanted into `spec` and sets the status; the reconciler does the work and
writes what became of it into `detail`. `spec` is a snapshot of configuration and models, so that those may
be deleted while the endpoint lives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from sagestead.control.context import Context, Hold, Operation
from sagestead.control.listing import ListOf
from sagestead.control.operations import records
from sagestead.control.operations.carried_out import refuse_others, refused
from sagestead.control.operations.endpoint_configs import find_endpoint_config
from sagestead.control.operations.models import container_of, find_model
from sagestead.control.operations.quotas import check_instances
from sagestead.control.operations.tags import tags_of
from sagestead.domain.endpoint import TRANSITIONAL, EndpointStatus, may_follow
from sagestead.domain.errors import Invalid
from sagestead.domain.resources import Json, Kind, Resource
from sagestead.ports import Change

_BLUE_GREEN = "DeploymentConfig.BlueGreenUpdatePolicy."
_AT_ONCE = "deployments switch all traffic at once when the new instances answer; leave DeploymentConfig out"
_SNAPSHOT = ("ContainerStartupHealthCheckTimeoutInSeconds", "RoutingConfig")
_RETAINED = ("DesiredInstanceCount", "DesiredWeight")


def create_endpoint(ctx: Context, request: Json) -> Json:
    """CreateEndpoint: the endpoint is `Creating` until the reconciler has its instances answer."""
    name = request["EndpointName"]
    refuse_others(request, frozenset({"EndpointName", "EndpointConfigName", "DeploymentConfig", "Tags"}))
    deployment = _deployment(request)
    tags = tags_of(request)
    existing = records.in_any_case(ctx, Kind.ENDPOINT, name)
    if existing is not None:
        raise _taken(existing)
    spec = _snapshot(ctx, request["EndpointConfigName"], deployment)
    check_instances("endpoint", _instances(spec), {})
    draft = records.draft(ctx, Kind.ENDPOINT, name, spec, tags)
    draft = replace(draft, status=EndpointStatus.CREATING.value, due_at=ctx.now)
    return {"EndpointArn": records.create(ctx, draft, _taken).arn}


def describe_endpoint(ctx: Context, request: Json) -> Json:
    """DescribeEndpoint."""
    return described(find_endpoint(ctx, request["EndpointName"]))


def described(endpoint: Resource) -> Json:
    """Return what is shown of an endpoint; until it first serves it names the wanted configuration."""
    detail = {name: value for name, value in endpoint.detail.items() if not name.startswith("_")}
    return {
        "EndpointConfigName": endpoint.spec["EndpointConfigName"],
        "LastDeploymentConfig": endpoint.spec.get("DeploymentConfig"),
        **detail,
        "EndpointName": endpoint.key.name,
        "EndpointArn": endpoint.arn,
        "EndpointStatus": endpoint.status,
        "CreationTime": endpoint.created_at,
        "LastModifiedTime": endpoint.modified_at,
    }


def update_endpoint(ctx: Context, request: Json) -> Json:
    """UpdateEndpoint: new instances come up beside the old ones; the old serve until the new do."""
    _check_update(request)
    deployment = _deployment(request)
    _check_changeable(find_endpoint(ctx, request["EndpointName"]))
    wanted = _snapshot(ctx, request["EndpointConfigName"], deployment)

    def decide(seen: Resource) -> Change:
        _check_changeable(seen)
        spec = dict(wanted)
        if request.get("RetainAllVariantProperties"):
            excluded = request.get("ExcludeRetainedVariantProperties", [])
            dropped = {one["VariantPropertyType"] for one in excluded}
            retained = [name for name in _RETAINED if name not in dropped]
            spec["ProductionVariants"] = _retain(wanted["ProductionVariants"], seen.spec, retained)
        if request.get("RetainDeploymentConfig") and "DeploymentConfig" in seen.spec:
            spec["DeploymentConfig"] = seen.spec["DeploymentConfig"]
        check_instances("endpoint", _instances(spec), _instances(seen.spec))
        return Change(ctx.now, spec=spec, status=EndpointStatus.UPDATING.value, new_generation=True)

    return {"EndpointArn": _change(ctx, request, decide).arn}


def update_weights_and_capacities(ctx: Context, request: Json) -> Json:
    """UpdateEndpointWeightsAndCapacities: the same generation with other weights and counts."""
    wanted: dict[str, Json] = {}
    for number, one in enumerate(request["DesiredWeightsAndCapacities"], 1):
        path = f"DesiredWeightsAndCapacities.{number}."
        refuse_others(one, frozenset({"VariantName", "DesiredWeight", "DesiredInstanceCount"}), path)
        if one.get("DesiredInstanceCount") == 0:
            raise refused(f"{path}DesiredInstanceCount", 0, "keep at least one instance of a variant")
        if one["VariantName"] in wanted:
            raise Invalid(f'The variant name "{one["VariantName"]}" was non-unique within the request.')
        wanted[one["VariantName"]] = {key: one[key] for key in _RETAINED if key in one}

    def decide(seen: Resource) -> Change:
        _check_changeable(seen)
        variants = seen.spec["ProductionVariants"]
        unknown = [f'"{name}"' for name in wanted.keys() - {one["VariantName"] for one in variants}]
        if unknown:
            raise Invalid(
                f"The variant name(s) {', '.join(sorted(unknown))} is/are not present within endpoint "
                f'configuration "{seen.spec["EndpointConfigName"]}".'
            )
        changed = [{**variant, **wanted.get(variant["VariantName"], {})} for variant in variants]
        spec = {**seen.spec, "ProductionVariants": changed}
        check_instances("endpoint", _instances(spec), _instances(seen.spec))
        return Change(ctx.now, spec=spec, status=EndpointStatus.UPDATING.value)

    return {"EndpointArn": _change(ctx, request, decide).arn}


def delete_endpoint(ctx: Context, request: Json) -> Json:
    """DeleteEndpoint: returns at once; the reconciler ends the instances and removes the record."""

    def decide(seen: Resource) -> Change:
        if seen.status == EndpointStatus.DELETING or not may_follow(seen.status, EndpointStatus.DELETING):
            raise _in_progress(seen)
        return Change(ctx.now, status=EndpointStatus.DELETING.value)

    _change(ctx, request, decide)
    return {}


def find_endpoint(ctx: Context, name: str) -> Resource:
    """Return the caller's endpoint; raise `Invalid` with AWS's sentence when there is none."""
    endpoint = records.find(ctx, Kind.ENDPOINT, name)
    if endpoint is None:
        raise Invalid(f'Could not find endpoint "{records.arn_of(ctx, Kind.ENDPOINT, name)}".')
    return endpoint


def _change(ctx: Context, request: Json, decide: Callable[[Resource], Change]) -> Resource:
    return records.change(ctx, lambda: find_endpoint(ctx, request["EndpointName"]), decide)


def _check_update(request: Json) -> None:
    carried_out = frozenset(
        {
            "EndpointName",
            "EndpointConfigName",
            "RetainAllVariantProperties",
            "ExcludeRetainedVariantProperties",
            "DeploymentConfig",
            "RetainDeploymentConfig",
        }
    )
    refuse_others(request, carried_out)
    if request.get("RetainDeploymentConfig") and request.get("DeploymentConfig"):
        raise Invalid(
            "RetainDeploymentConfig and DeploymentConfig exclude each other; leave one of them out."
        )


def _check_changeable(endpoint: Resource) -> None:
    """Refuse a change unless the endpoint is in service."""
    if endpoint.status == EndpointStatus.FAILED:
        raise Invalid(
            f'Cannot update endpoint "{endpoint.arn}" in Failed status; delete it and create it anew.'
        )
    if endpoint.status != EndpointStatus.IN_SERVICE:
        raise _in_progress(endpoint)


def _in_progress(endpoint: Resource) -> Invalid:
    return Invalid(f'Cannot update in-progress endpoint "{endpoint.arn}".')


def _deployment(request: Json) -> Json | None:
    """Return the DeploymentConfig, if it asks for the one way of deploying that is carried out."""
    config: Json | None = request.get("DeploymentConfig")
    if not config:
        return None
    refuse_others(
        config,
        frozenset({"BlueGreenUpdatePolicy"}),
        "DeploymentConfig.",
        {
            "RollingUpdatePolicy": _AT_ONCE,
            "AutoRollbackConfiguration": "a failed update is always taken back",
        },
    )
    policy = config.get("BlueGreenUpdatePolicy", {})
    remedies = dict.fromkeys(("TerminationWaitInSeconds", "MaximumExecutionTimeoutInSeconds"), _AT_ONCE)
    refuse_others(policy, frozenset({"TrafficRoutingConfiguration"}), _BLUE_GREEN, remedies)
    routing = policy.get("TrafficRoutingConfiguration", {})
    at = f"{_BLUE_GREEN}TrafficRoutingConfiguration."
    if routing.get("Type", "ALL_AT_ONCE") != "ALL_AT_ONCE":
        raise refused(f"{at}Type", routing["Type"], _AT_ONCE)
    refuse_others(routing, frozenset({"Type"}), at, {"WaitIntervalInSeconds": f"give 0; {_AT_ONCE}"})
    return config


def _snapshot(ctx: Context, config_name: str, deployment: Json | None) -> Json:
    """Return an endpoint's spec: the configuration with all that its models say."""
    config = find_endpoint_config(ctx, config_name)
    variants = [_variant(ctx, variant) for variant in config.spec["ProductionVariants"]]
    spec: Json = {"EndpointConfigName": config.key.name, "ProductionVariants": variants}
    return spec if deployment is None else {**spec, "DeploymentConfig": deployment}


def _variant(ctx: Context, variant: Json) -> Json:
    count, weight = variant["InitialInstanceCount"], variant["InitialVariantWeight"]
    return {
        "VariantName": variant["VariantName"],
        "ModelName": variant["ModelName"],
        "InstanceType": variant["InstanceType"],
        "InitialInstanceCount": count,
        "InitialVariantWeight": weight,
        "DesiredInstanceCount": count,
        "DesiredWeight": weight,
        **{name: variant[name] for name in _SNAPSHOT if name in variant},
        "Container": container_of(find_model(ctx, variant["ModelName"])),
    }


def _retain(variants: list[Json], before: Json, properties: list[str]) -> list[Json]:
    """Return the variants with those properties of their namesakes before."""
    old: Mapping[str, Json] = {one["VariantName"]: one for one in before["ProductionVariants"]}
    return [
        {**variant, **{name: old[variant["VariantName"]][name] for name in properties}}
        if variant["VariantName"] in old
        else variant
        for variant in variants
    ]


def _instances(spec: Json) -> Mapping[str, int]:
    """Return how many instances of each type a spec asks for."""
    counted: Counter[str] = Counter()
    for variant in spec["ProductionVariants"]:
        counted[variant["InstanceType"]] += variant["DesiredInstanceCount"]
    return counted


def _taken(existing: Resource) -> Invalid:
    return Invalid(f'Cannot create already existing endpoint "{existing.arn}".')


def _summary(endpoint: Resource) -> Json:
    return {
        "EndpointName": endpoint.key.name,
        "EndpointArn": endpoint.arn,
        "CreationTime": endpoint.created_at,
        "LastModifiedTime": endpoint.modified_at,
        "EndpointStatus": endpoint.status,
    }


OPERATIONS: dict[str, Operation] = {
    "CreateEndpoint": create_endpoint,
    "DescribeEndpoint": describe_endpoint,
    "ListEndpoints": ListOf(Kind.ENDPOINT, "Endpoints", _summary),
    "UpdateEndpoint": update_endpoint,
    "UpdateEndpointWeightsAndCapacities": update_weights_and_capacities,
    "DeleteEndpoint": delete_endpoint,
}

HOLDS: dict[str, Hold] = {
    "DescribeEndpoint": Hold("EndpointStatus", frozenset(status.value for status in TRANSITIONAL)),
}

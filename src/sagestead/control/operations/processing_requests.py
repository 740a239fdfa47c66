"""What a CreateProcessingJob request may ask for here (spec: botocore's model, AWS's API reference).

Rule: everything that the shape cannot say is checked before anything is stored: first what is not carried
out, then what contradicts itself, then what is not there (role, buckets).
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from sagestead.control.context import Context
from sagestead.control.operations.carried_out import refuse_others, refused
from sagestead.control.operations.passing_roles import check_role
from sagestead.control.operations.quotas import check_instances
from sagestead.control.operations.training_requests import check_bucket
from sagestead.domain.errors import Invalid
from sagestead.domain.processing import place_of
from sagestead.domain.resources import Json
from sagestead.domain.s3_uri import locate
from sagestead.worker.isolation import can_leave_network

_JOB = frozenset(
    {
        "ProcessingInputs",
        "ProcessingOutputConfig",
        "ProcessingJobName",
        "ProcessingResources",
        "StoppingCondition",
        "AppSpecification",
        "Environment",
        "NetworkConfig",
        "RoleArn",
        "Tags",
    }
)
_JOB_REMEDIES = MappingProxyType(
    {"ExperimentConfig": "experiments are not kept by this server; leave it out"}
)
_INPUT = frozenset({"S3Uri", "LocalPath", "S3DataType", "S3InputMode", "S3DataDistributionType"})
_INPUT_REMEDIES = MappingProxyType(
    {"DatasetDefinition": "copy the result of the query to S3 and name it as S3Input"}
)
_APP_MANAGED = "the program would have to fetch and store for itself; give false, and a LocalPath"
_OUTPUT_REMEDIES = MappingProxyType(
    {"FeatureStoreOutput": "there is no Feature Store; give an S3Output", "AppManaged": _APP_MANAGED}
)
_ENCRYPTION = "nothing is encrypted by this server; leave it out"
_CLUSTER_REMEDIES = MappingProxyType(
    {
        "VolumeKmsKeyId": "volumes are not encrypted by this server; leave it out, or encrypt the disk",
        "InstancePreferences": "give InstanceType and InstanceCount",
    }
)
# All hosts of a job are on this machine: no traffic between them leaves it.
_NETWORK = frozenset({"EnableNetworkIsolation", "EnableInterContainerTrafficEncryption"})


def check(request: Json) -> None:
    """Refuse what is not carried out and what contradicts itself."""
    refuse_others(request, _JOB, "", _JOB_REMEDIES)
    if not request["AppSpecification"].get("ContainerEntrypoint"):
        raise Invalid(
            "AppSpecification.ContainerEntrypoint is missing: images run no program of their own here; name "
            "it, for example python3 /opt/ml/processing/input/code/program.py."
        )
    _check_inputs(request.get("ProcessingInputs", []))
    _check_outputs(request.get("ProcessingOutputConfig", {}))
    _check_cluster(request["ProcessingResources"]["ClusterConfig"])
    _check_network(request.get("NetworkConfig", {}))


def check_references(ctx: Context, request: Json) -> None:
    """Refuse a role or bucket that is not there."""
    check_role(ctx, request["RoleArn"], "RoleArn")
    outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    for number, output in enumerate(outputs, 1):
        at = f"ProcessingOutputConfig.Outputs.{number}.S3Output.S3Uri"
        check_bucket(ctx, output["S3Output"]["S3Uri"], at)


def _check_inputs(inputs: list[Json]) -> None:
    _check_names("ProcessingInputs", (one["InputName"] for one in inputs))
    for number, one in enumerate(inputs, 1):
        at = f"ProcessingInputs.{number}."
        if one.get("AppManaged"):
            raise refused(f"{at}AppManaged", one["AppManaged"], _APP_MANAGED)
        refuse_others(one, frozenset({"InputName", "S3Input"}), at, _INPUT_REMEDIES)
        source, at = one.get("S3Input"), f"{at}S3Input"
        if not source:
            raise Invalid(f"{at} is missing: say where the input lies.")
        if source.get("S3InputMode") == "Pipe":
            raise refused(f"{at}.S3InputMode", "Pipe", "inputs are copied before the start; give File")
        if source.get("S3CompressionType", "None") != "None":
            remedy = "it belongs to input mode Pipe; give None, and decompress in the program"
            raise refused(f"{at}.S3CompressionType", source["S3CompressionType"], remedy)
        refuse_others(source, _INPUT | {"S3CompressionType"}, f"{at}.")
        locate(source["S3Uri"], f"{at}.S3Uri")
        _check_place(source, at)


def _check_outputs(config: Json) -> None:
    at = "ProcessingOutputConfig."
    refuse_others(config, frozenset({"Outputs"}), at, {"KmsKeyId": _ENCRYPTION})
    outputs = config.get("Outputs", [])
    _check_names(f"{at}Outputs", (one["OutputName"] for one in outputs))
    for number, one in enumerate(outputs, 1):
        inside = f"{at}Outputs.{number}."
        refuse_others(one, frozenset({"OutputName", "S3Output"}), inside, _OUTPUT_REMEDIES)
        target = one.get("S3Output")
        if not target:
            raise Invalid(f"{inside}S3Output is missing: say where the output is to be stored.")
        locate(target["S3Uri"], f"{inside}S3Output.S3Uri")
        _check_place(target, f"{inside}S3Output")


def _check_cluster(cluster: Json) -> None:
    at = "ProcessingResources.ClusterConfig."
    carried_out = frozenset({"InstanceType", "InstanceCount", "VolumeSizeInGB"})
    refuse_others(cluster, carried_out, at, _CLUSTER_REMEDIES)
    for member in ("InstanceType", "InstanceCount"):
        if not cluster.get(member):
            raise Invalid(f"{at}{member} is missing: give an InstanceType and an InstanceCount.")
    check_instances("processing job", {cluster["InstanceType"]: cluster["InstanceCount"]}, {})


def _check_network(network: Json) -> None:
    at = "NetworkConfig."
    remedies = {"VpcConfig": "jobs run on this machine, outside of any VPC; leave it out"}
    refuse_others(network, _NETWORK, at, remedies)
    isolated = network.get("EnableNetworkIsolation", False)
    if isolated and not can_leave_network():
        remedy = "this machine lets no process have a network of its own; allow that, or set it to false"
        raise refused(f"{at}EnableNetworkIsolation", isolated, remedy)


def _check_place(member: Json, at: str) -> None:
    if not member.get("LocalPath"):
        raise Invalid(f"{at}.LocalPath is missing: name a folder below /opt/ml/processing.")
    place_of(member["LocalPath"], f"{at}.LocalPath")


def _check_names(member: str, names: Iterable[str]) -> None:
    listed = list(names)
    if len(set(listed)) < len(listed):
        raise Invalid(f"{member} names {', '.join(listed)}: no name may appear twice.")

"""What a CreateTrainingJob request may ask for here (spec: control-plane.md section 8).

Rule: everything that the shape cannot say is checked before anything is stored: first what is not carried
out, then what contradicts itself, then what is not there (role, data, bucket).
"""

from __future__ import annotations

from types import MappingProxyType

from sagestead.control.context import Context
from sagestead.control.metric_reading import regex_fault
from sagestead.control.operations.carried_out import refuse_others, refused
from sagestead.control.operations.channel_requests import AUGMENTED, check_channels
from sagestead.control.operations.passing_roles import check_role
from sagestead.domain.errors import Invalid
from sagestead.domain.images import PROGRAM, built_in_image, command_of, framework_image, trains_built_in
from sagestead.domain.resources import Json
from sagestead.domain.s3_uri import Location, locate
from sagestead.worker.isolation import can_leave_network
from sagestead.worker.toolkit.enclosure import OPT_ML, can_mount

MOST_INSTANCES = 20
LONGEST_RUNTIME = 28 * 86400
DEFAULT_RUNTIME = 86400
CHECKPOINTS = "/opt/ml/checkpoints"

_JOB = frozenset(
    {
        "TrainingJobName",
        "HyperParameters",
        "AlgorithmSpecification",
        "RoleArn",
        "InputDataConfig",
        "OutputDataConfig",
        "ResourceConfig",
        "StoppingCondition",
        "Tags",
        "EnableInterContainerTrafficEncryption",  # what instances say to each other stays in this machine
        "EnableManagedSpotTraining",
        "EnableNetworkIsolation",
        "CheckpointConfig",
        "DebugHookConfig",
        "ProfilerConfig",
        "Environment",
        "RetryStrategy",
    }
)
_JOB_REMEDIES = MappingProxyType(
    {
        "VpcConfig": "jobs run on this machine, outside of any VPC; leave it out",
        "DebugRuleConfigurations": "no debugger runs here; leave it out and read the log and the metrics",
        "ProfilerRuleConfigurations": "no profiler runs here; leave it out (SDK: disable_profiler=True)",
        "TensorBoardOutputConfig": "write to /opt/ml/output/data or to the checkpoints instead",
    }
)
_ALGORITHM_REMEDIES = MappingProxyType(
    {
        "AlgorithmName": "name the image as TrainingImage instead",
        "EnableSageMakerMetricsTimeSeries": "set it to false; read FinalMetricDataList or the log",
    }
)
_ALGORITHM = frozenset(
    {"TrainingImage", "TrainingInputMode", "MetricDefinitions", "ContainerEntrypoint", "ContainerArguments"}
)
_RESOURCE_REMEDIES = MappingProxyType(
    {
        "VolumeKmsKeyId": "volumes are not encrypted by this server; leave it out, or encrypt the disk",
        "KeepAlivePeriodInSeconds": "instances start in milliseconds and need no warm pool; leave it out",
        "InstanceGroups": "all instances are of one type; give InstanceType and InstanceCount",
    }
)


def check(request: Json) -> None:
    """Refuse what is not carried out and what contradicts itself."""
    refuse_others(request, _JOB, "", _JOB_REMEDIES)
    _check_algorithm(request)
    check_channels(request)
    output = request["OutputDataConfig"]
    remedies = {"KmsKeyId": "outputs are not encrypted by this server; leave it out"}
    refuse_others(output, frozenset({"S3OutputPath", "CompressionType"}), "OutputDataConfig.", remedies)
    locate(output["S3OutputPath"], "OutputDataConfig.S3OutputPath")
    _check_resources(request)
    _check_stopping(request)
    _check_checkpoints(request.get("CheckpointConfig", {}))
    _check_debugging(request)


def check_update(request: Json) -> None:
    """Refuse what UpdateTrainingJob would have to change and cannot."""
    members = frozenset({"TrainingJobName", "ProfilerConfig", "ResourceConfig"})
    refuse_others(request, members, "", _JOB_REMEDIES)
    resources, profiler = request.get("ResourceConfig", {}), request.get("ProfilerConfig", {})
    refuse_others(resources, frozenset(), "ResourceConfig.", _RESOURCE_REMEDIES)
    refuse_others(profiler, frozenset({"S3OutputPath", "DisableProfiler"}), "ProfilerConfig.")


def check_references(ctx: Context, request: Json) -> None:
    """Refuse a role, data or bucket that is not there."""
    role = request["RoleArn"]
    check_role(ctx, role, "RoleArn")
    for number, channel in enumerate(request.get("InputDataConfig", []), 1):
        source = channel["DataSource"]["S3DataSource"]
        place = locate(source["S3Uri"], f"InputDataConfig.{number}.DataSource.S3DataSource.S3Uri")
        if not is_there(ctx, source["S3DataType"], place):
            raise Invalid(
                f'No S3 objects found under S3 URL "{source["S3Uri"]}" given in input data source. Please '
                f"ensure that the bucket exists in the selected region ({ctx.region}), that objects exist "
                f'under that S3 prefix, and that the role "{role}" has "s3:ListBucket" permissions on '
                f'bucket "{place.bucket}".'
            )
    check_bucket(ctx, request["OutputDataConfig"]["S3OutputPath"], "OutputDataConfig.S3OutputPath")
    if "CheckpointConfig" in request:
        check_bucket(ctx, request["CheckpointConfig"]["S3Uri"], "CheckpointConfig.S3Uri")


def is_there(ctx: Context, data_type: str, place: Location) -> bool:
    """Say whether a manifest is there, or any object under a prefix."""
    if data_type in {"ManifestFile", AUGMENTED}:
        return bool(place.key) and ctx.objects.stat(ctx.account, place.bucket, place.key) is not None
    if not ctx.objects.has_bucket(ctx.account, place.bucket):
        return False
    return next(iter(ctx.objects.list(ctx.account, place.bucket, place.key)), None) is not None


def check_bucket(ctx: Context, uri: str, field: str) -> None:
    """Refuse an output whose bucket the account does not have."""
    bucket = locate(uri, field).bucket
    if not ctx.objects.has_bucket(ctx.account, bucket):
        raise Invalid(
            f"The bucket of {field} '{uri}' does not exist: create bucket '{bucket}' in account "
            f"{ctx.account}, or name another."
        )


def _check_algorithm(request: Json) -> None:
    at, algorithm = "AlgorithmSpecification.", request.get("AlgorithmSpecification", {})
    refuse_others(algorithm, _ALGORITHM, at, _ALGORITHM_REMEDIES)
    if not algorithm.get("TrainingImage"):
        raise Invalid(f"{at}TrainingImage is missing: name the image that trains.")
    _check_command(request)
    definitions = algorithm.get("MetricDefinitions", [])
    if definitions and trains_built_in(request):
        raise Invalid(
            "You can't override the metric definitions for Amazon SageMaker algorithms. "
            "Please retry the request without specifying metric definitions."
        )
    for number, definition in enumerate(definitions, 1):
        fault = regex_fault(definition["Regex"])
        if fault is not None:
            raise Invalid(f"{at}MetricDefinitions.{number}.Regex '{definition['Regex']}' {fault}.")


def _check_command(request: Json) -> None:
    """Refuse a command that no container of ours could run as it is meant."""
    at, algorithm = "AlgorithmSpecification.", request["AlgorithmSpecification"]
    entrypoint, arguments = algorithm.get("ContainerEntrypoint"), algorithm.get("ContainerArguments")
    if arguments and not entrypoint:
        raise Invalid(
            f"{at}ContainerArguments are given without a ContainerEntrypoint: images run no program here "
            "that takes arguments; name it as ContainerEntrypoint."
        )
    image = algorithm["TrainingImage"]
    if entrypoint and framework_image(image) is None and built_in_image(image) is not None:
        remedy = f"{image} is an algorithm and no container to run a command in; leave it out"
        raise refused(f"{at}ContainerEntrypoint", entrypoint, remedy)
    if any(OPT_ML in word for word in command_of(request)) and not can_mount():
        remedy = (
            f"the command names {OPT_ML}, and this machine lets the service make no such folder for it; run "
            "the service as root, allow user namespaces, or give a program (hyperparameter sagemaker_program)"
        )
        raise refused(f"{at}ContainerEntrypoint", entrypoint, remedy)


def _check_resources(request: Json) -> None:
    at, resources = "ResourceConfig.", request.get("ResourceConfig", {})
    carried_out = frozenset({"InstanceType", "InstanceCount", "VolumeSizeInGB"})
    refuse_others(resources, carried_out, at, _RESOURCE_REMEDIES)
    for member in ("InstanceType", "InstanceCount"):
        if not resources.get(member):
            raise Invalid(f"{at}{member} is missing: give an InstanceType and an InstanceCount.")
    count = resources["InstanceCount"]
    if count > MOST_INSTANCES:
        raise refused(f"{at}InstanceCount", count, f"one machine stands for {MOST_INSTANCES} at most")
    if count > 1 and _runs_script(request):
        raise refused(
            f"{at}InstanceCount", count, "scripts do not reach each other's instances; train on 1 instance"
        )
    if count > 1 and request.get("EnableNetworkIsolation"):
        raise refused(
            "EnableNetworkIsolation",
            request["EnableNetworkIsolation"],
            f"{count} instances need the network; set it to false, or train on 1",
        )
    if request.get("EnableNetworkIsolation") and not can_leave_network():
        raise refused(
            "EnableNetworkIsolation",
            request["EnableNetworkIsolation"],
            "this machine lets no process have a network of its own; run the service as root, allow user "
            "namespaces, or set it to false",
        )


def _runs_script(request: Json) -> bool:
    """Say whether a program of the user's trains, not an algorithm of ours."""
    framework = framework_image(request["AlgorithmSpecification"]["TrainingImage"])
    if framework is not None and command_of(request):
        return True
    named = request.get("HyperParameters", {}).get("sagemaker_program", "")
    environment = request.get("Environment", {})
    return framework is not None and framework.runs_program({PROGRAM: named, **environment})


def _check_stopping(request: Json) -> None:
    at, condition = "StoppingCondition.", request.get("StoppingCondition", {})
    refuse_others(condition, frozenset({"MaxRuntimeInSeconds", "MaxWaitTimeInSeconds"}), at)
    runtime = condition.get("MaxRuntimeInSeconds", DEFAULT_RUNTIME)
    if runtime > LONGEST_RUNTIME:
        raise Invalid(f"{at}MaxRuntimeInSeconds {runtime} is too long: a job may run for {LONGEST_RUNTIME}.")
    wait, is_spot = condition.get("MaxWaitTimeInSeconds"), request.get("EnableManagedSpotTraining", False)
    if wait is not None and not is_spot:
        raise Invalid(
            f"{at}MaxWaitTimeInSeconds {wait} belongs to managed spot training: leave it out, or set "
            "EnableManagedSpotTraining to true."
        )
    if is_spot and (wait is None or wait < runtime):
        said = "is missing" if wait is None else f"{wait} is too short"
        raise Invalid(
            f"{at}MaxWaitTimeInSeconds {said}: EnableManagedSpotTraining needs one of at least "
            f"MaxRuntimeInSeconds, {runtime}."
        )


def _check_checkpoints(config: Json) -> None:
    if not config:
        return
    locate(config["S3Uri"], "CheckpointConfig.S3Uri")
    path = config.get("LocalPath", CHECKPOINTS)
    if path.rstrip("/") != CHECKPOINTS:
        raise refused("CheckpointConfig.LocalPath", path, f"give {CHECKPOINTS}, or leave it out")


def _check_debugging(request: Json) -> None:
    """Accept the debugger and profiler settings that SDKs always send, which ask for nothing."""
    hook, profiler = request.get("DebugHookConfig", {}), request.get("ProfilerConfig", {})
    refuse_others(hook, frozenset({"S3OutputPath", "LocalPath"}), "DebugHookConfig.")
    refuse_others(profiler, frozenset({"S3OutputPath", "DisableProfiler"}), "ProfilerConfig.")

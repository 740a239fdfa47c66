"""What a CreateTrainingJob request may ask for here (spec: control-plane.md section 8).

Rule: everything that the shape cannot say is checked before anything is stored: first what is not carried
out, then what contradicts itself, then what is not there (role, data, bucket).
"""

from __future__ import annotations

from types import MappingProxyType

from sagestead.control.context import Context
from sagestead.control.metric_reading import regex_fault
from sagestead.control.operations.carried_out import refuse_others, refused
from sagestead.control.operations.passing_roles import check_role
from sagestead.domain.errors import Invalid
from sagestead.domain.images import trains_built_in
from sagestead.domain.resources import Json
from sagestead.domain.s3_uri import Location, locate

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
        "EnableInterContainerTrafficEncryption",  # there is one container: no traffic between any
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
        "EnableNetworkIsolation": "set it to false; built-in algorithms open no connections",
        "EnableManagedSpotTraining": "nothing is cheaper than this machine; set it to false",
        "TensorBoardOutputConfig": "write to /opt/ml/output/data or to the checkpoints instead",
    }
)
_ALGORITHM_REMEDIES = MappingProxyType(
    {
        "AlgorithmName": "name the image as TrainingImage instead",
        "EnableSageMakerMetricsTimeSeries": "set it to false; read FinalMetricDataList or the log",
    }
)
_FILES = "the whole channel is copied before the start; give File"
_CHANNEL_REMEDIES = MappingProxyType(
    {"ShuffleConfig": "files are not shuffled in input mode File; shuffle the rows of the data instead"}
)
_RESOURCE_REMEDIES = MappingProxyType(
    {
        "VolumeKmsKeyId": "volumes are not encrypted by this server; leave it out, or encrypt the disk",
        "KeepAlivePeriodInSeconds": "instances start in milliseconds and need no warm pool; leave it out",
        "InstanceGroups": "give InstanceType and InstanceCount 1",
    }
)
_STOPPING_REMEDIES = MappingProxyType(
    {"MaxWaitTimeInSeconds": "it belongs to spot training, which is not supported; leave it out"}
)


def check(request: Json) -> None:
    """Refuse what is not carried out and what contradicts itself."""
    refuse_others(request, _JOB, "", _JOB_REMEDIES)
    _check_algorithm(request)
    _check_channels(request.get("InputDataConfig", []))
    output = request["OutputDataConfig"]
    remedies = {"KmsKeyId": "outputs are not encrypted by this server; leave it out"}
    refuse_others(output, frozenset({"S3OutputPath", "CompressionType"}), "OutputDataConfig.", remedies)
    locate(output["S3OutputPath"], "OutputDataConfig.S3OutputPath")
    _check_resources(request)
    _check_stopping(request.get("StoppingCondition", {}))
    _check_checkpoints(request.get("CheckpointConfig", {}))
    _check_debugging(request)


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
    if data_type == "ManifestFile":
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
    carried_out = frozenset({"TrainingImage", "TrainingInputMode", "MetricDefinitions"})
    refuse_others(algorithm, carried_out, at, _ALGORITHM_REMEDIES)
    if not algorithm.get("TrainingImage"):
        raise Invalid(f"{at}TrainingImage is missing: name the image that trains.")
    if algorithm["TrainingInputMode"] == "Pipe":
        raise refused(f"{at}TrainingInputMode", "Pipe", _FILES)
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


def _check_channels(channels: list[Json]) -> None:
    names = [channel["ChannelName"] for channel in channels]
    if len(set(names)) < len(names):
        raise Invalid(f"InputDataConfig names the channels {', '.join(names)}: no name may appear twice.")
    carried_out = frozenset(
        {"ChannelName", "DataSource", "ContentType", "CompressionType", "RecordWrapperType", "InputMode"}
    )
    for number, channel in enumerate(channels, 1):
        at = f"InputDataConfig.{number}."
        refuse_others(channel, carried_out, at, _CHANNEL_REMEDIES)
        if channel.get("InputMode") == "Pipe":
            raise refused(f"{at}InputMode", "Pipe", _FILES)
        for member in ("CompressionType", "RecordWrapperType"):
            if channel.get(member, "None") != "None":
                raise refused(f"{at}{member}", channel[member], "it belongs to input mode Pipe; give None")
        _check_source(channel["DataSource"], f"{at}DataSource.")


def _check_source(source: Json, at: str) -> None:
    refuse_others(source, frozenset({"S3DataSource"}), at, {"FileSystemDataSource": "copy the files to S3"})
    place = source.get("S3DataSource")
    if not place:
        raise Invalid(f"{at}S3DataSource is missing: say where the channel's data lies.")
    at = f"{at}S3DataSource."
    # One instance: ShardedByS3Key gives it all objects, as FullyReplicated does.
    refuse_others(place, frozenset({"S3DataType", "S3Uri", "S3DataDistributionType"}), at)
    if place["S3DataType"] not in {"S3Prefix", "ManifestFile"}:
        raise refused(f"{at}S3DataType", place["S3DataType"], "give S3Prefix or ManifestFile")
    locate(place["S3Uri"], f"{at}S3Uri")


def _check_resources(request: Json) -> None:
    at, resources = "ResourceConfig.", request.get("ResourceConfig", {})
    carried_out = frozenset({"InstanceType", "InstanceCount", "VolumeSizeInGB"})
    refuse_others(resources, carried_out, at, _RESOURCE_REMEDIES)
    for member in ("InstanceType", "InstanceCount"):
        if not resources.get(member):
            raise Invalid(f"{at}{member} is missing: give an InstanceType and InstanceCount 1.")
    if resources["InstanceCount"] > 1:
        raise refused(f"{at}InstanceCount", resources["InstanceCount"], "train on 1 instance")


def _check_stopping(condition: Json) -> None:
    at = "StoppingCondition."
    refuse_others(condition, frozenset({"MaxRuntimeInSeconds"}), at, _STOPPING_REMEDIES)
    runtime = condition.get("MaxRuntimeInSeconds", DEFAULT_RUNTIME)
    if runtime > LONGEST_RUNTIME:
        raise Invalid(f"{at}MaxRuntimeInSeconds {runtime} is too long: a job may run for {LONGEST_RUNTIME}.")


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

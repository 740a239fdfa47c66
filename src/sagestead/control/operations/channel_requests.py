"""What channels of a CreateTrainingJob request may ask for here (spec: container-contract.md section 1.5).

Rule: a member that has no effect in a channel's input mode is refused, not ignored.
"""

from __future__ import annotations

from sagestead.control.operations.carried_out import refuse_others, refused
from sagestead.domain.errors import Invalid
from sagestead.domain.resources import Json
from sagestead.domain.s3_uri import locate
from sagestead.domain.training import mode_of

_MEMBERS = frozenset(
    {
        "ChannelName",
        "DataSource",
        "ContentType",
        "CompressionType",
        "RecordWrapperType",
        "InputMode",
        "ShuffleConfig",
    }
)
_SOURCE = frozenset({"S3DataType", "S3Uri", "S3DataDistributionType", "AttributeNames"})
_SOURCE_REMEDIES = {"InstanceGroupNames": "all instances are of one group; leave it out"}
AUGMENTED = "AugmentedManifestFile"


def check_channels(request: Json) -> None:
    """Refuse what is not carried out, channel by channel."""
    channels = request.get("InputDataConfig", [])
    names = [channel["ChannelName"] for channel in channels]
    if len(set(names)) < len(names):
        raise Invalid(f"InputDataConfig names the channels {', '.join(names)}: no name may appear twice.")
    for number, channel in enumerate(channels, 1):
        at = f"InputDataConfig.{number}."
        refuse_others(channel, _MEMBERS, at)
        mode = mode_of(request, channel)
        if mode != "Pipe":
            _check_files(channel, at)
        _check_source(channel["DataSource"], mode, f"{at}DataSource.")


def _check_files(channel: Json, at: str) -> None:
    """Refuse what only means something in a stream."""
    for member in ("CompressionType", "RecordWrapperType"):
        if channel.get(member, "None") != "None":
            raise refused(f"{at}{member}", channel[member], "it belongs to input mode Pipe; give None")
    source = channel["DataSource"].get("S3DataSource") or {}
    if "ShuffleConfig" in channel and source.get("S3DataDistributionType") != "ShardedByS3Key":
        raise refused(
            f"{at}ShuffleConfig",
            channel["ShuffleConfig"],
            "files in a folder have no order; give S3DataDistributionType ShardedByS3Key or input mode "
            "Pipe, or shuffle the rows of the data",
        )


def _check_source(source: Json, mode: str, at: str) -> None:
    refuse_others(source, frozenset({"S3DataSource"}), at, {"FileSystemDataSource": "copy the files to S3"})
    place = source.get("S3DataSource")
    if not place:
        raise Invalid(f"{at}S3DataSource is missing: say where the channel's data lies.")
    at, kind = f"{at}S3DataSource.", place["S3DataType"]
    refuse_others(place, _SOURCE, at, _SOURCE_REMEDIES)
    if kind not in {"S3Prefix", "ManifestFile", AUGMENTED}:
        raise refused(f"{at}S3DataType", kind, f"give S3Prefix, ManifestFile or {AUGMENTED}")
    if mode == "FastFile" and kind != "S3Prefix":
        raise refused(f"{at}S3DataType", kind, "input mode FastFile needs S3Prefix; give that, or mode File")
    if kind == AUGMENTED and mode != "Pipe":
        raise refused(f"{at}S3DataType", kind, "it needs input mode Pipe")
    if bool(place.get("AttributeNames")) != (kind == AUGMENTED):
        raise Invalid(
            f"{at}AttributeNames belongs to S3DataType {AUGMENTED}, which needs it; S3DataType is {kind}."
        )
    locate(place["S3Uri"], f"{at}S3Uri")

"""Puts the `/opt/ml` tree of each host of a training job in place (spec: container-contract.md section 1).

Rule: staging begins with nothing, so that doing it again does no harm. All hosts see the same objects: what
one of them has is not fetched again for another.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sagestead.control.markers import write_marker
from sagestead.control.source_objects import SourceObjects
from sagestead.domain.resources import Json, Resource
from sagestead.domain.training import hosts_of, mode_of
from sagestead.planning.inputs import (
    Input,
    Piece,
    in_channel,
    in_folder,
    of_augmented_manifest,
    shared_out,
    shuffled,
    split_uri,
    under_prefix,
)
from sagestead.planning.trials import FACTS
from sagestead.worker.layout import Layout
from sagestead.worker.pipes import Part, Pipe
from sagestead.worker.run_folder import RunFolder

OPT_ML = "opt-ml"
CHECKPOINTS = "/opt/ml/checkpoints/"
KEPT_DATA = "kept-data"
KEPT_SECONDS = 3600.0
"""So long trials keep what they have read after its last use; it is removed when the next one is staged."""

SHARDED = "ShardedByS3Key"


def stage_training(job: Resource, folders: Sequence[Path], sources: SourceObjects) -> None:
    """Stage the hosts of a job, in their order; raise `BadInput`."""
    hosts = [_Host(RunFolder(folder)) for folder in folders]
    for host, name in zip(hosts, hosts_of(job.spec), strict=True):
        shutil.rmtree(host.layout.root, ignore_errors=True)
        shutil.rmtree(host.run.pipes, ignore_errors=True)
        _configure(job, host.layout, name)
        _point_to_meeting(host.run, hosts[0].run)
        if FACTS in job.detail:
            _point_to_kept_data(host.run)
    kept: dict[str, Path] = {}
    for channel in job.spec.get("InputDataConfig", []):
        _channel(job, channel, hosts, sources, kept)
    for host in hosts:
        _checkpoints(job, host.layout, sources, kept)


@dataclass(frozen=True, slots=True)
class _Host:
    run: RunFolder
    streamed: dict[str, str] = field(default_factory=dict)
    """What lies in the folder of its pipes: address -> file."""

    @property
    def layout(self) -> Layout:
        return self.run.layout


def _channel(
    job: Resource, channel: Json, hosts: Sequence[_Host], sources: SourceObjects, kept: dict[str, Path]
) -> None:
    mode, source = mode_of(job.spec, channel), channel["DataSource"]["S3DataSource"]
    if mode == "Pipe":
        _pipe(job, channel, hosts, sources, kept)
        return
    items = in_channel(source, sources.inputs(job, source))
    if mode == "FastFile":
        items = in_folder(source, items)
    if channel.get("ShuffleConfig"):
        items = shuffled(items, channel["ShuffleConfig"]["Seed"])
    is_sharded = source.get("S3DataDistributionType") == SHARDED
    shares = shared_out(items, len(hosts)) if is_sharded else [items] * len(hosts)
    for host, share in zip(hosts, shares, strict=True):
        folder = host.layout.channel(channel["ChannelName"])
        folder.mkdir(parents=True, exist_ok=True)
        sources.place(job, share, folder, kept)


def _pipe(
    job: Resource, channel: Json, hosts: Sequence[_Host], sources: SourceObjects, kept: dict[str, Path]
) -> None:
    """Lay down what each host's pipes are fed with; with a shuffle, its share differs from epoch to epoch."""
    source = channel["DataSource"]["S3DataSource"]
    records = _records(job, source, sources)
    seed = channel["ShuffleConfig"]["Seed"] if channel.get("ShuffleConfig") else None
    for ordinal, host in enumerate(hosts):
        host.run.pipes.mkdir(exist_ok=True)
        share = (ordinal, len(hosts)) if source.get("S3DataDistributionType") == SHARDED else (0, 1)
        own = records if seed is not None else records[share[0] :: share[1]]
        pipe = Pipe(
            channel=channel["ChannelName"],
            records=[[_part(job, piece, host, sources, kept) for piece in record] for record in own],
            share=share if seed is not None else (0, 1),
            seed=seed,
            is_gzip=channel.get("CompressionType") == "Gzip",
            is_wrapped=channel.get("RecordWrapperType") == "RecordIO",
        )
        write_marker(host.run.pipes / f"{pipe.channel}.json", pipe.to_json())


def _records(job: Resource, source: Json, sources: SourceObjects) -> list[list[Piece]]:
    if source.get("S3DataType") != "AugmentedManifestFile":
        return [[Piece(item)] for item in sources.inputs(job, source)]
    lines = of_augmented_manifest(sources.manifest(job, source), source["S3Uri"], source["AttributeNames"])
    if not lines:
        raise sources.nothing(job, source)
    return lines


def _part(job: Resource, piece: Piece, host: _Host, sources: SourceObjects, kept: dict[str, Path]) -> Part:
    if piece.object is None:
        return Part(text=piece.text)
    uri = piece.object.uri
    if uri not in host.streamed:
        name = f"{len(host.streamed):06d}"
        sources.bring(job, piece.object, host.run.pipes / name, kept)
        host.streamed[uri] = name
    return Part(host.streamed[uri], uri)


def _configure(job: Resource, layout: Layout, host: str) -> None:
    for folder in (layout.config, layout.model, layout.output_data, layout.root / "input" / "data"):
        folder.mkdir(parents=True, exist_ok=True)
    write_marker(layout.config / "hyperparameters.json", job.spec.get("HyperParameters", {}))
    write_marker(layout.config / "inputdataconfig.json", _channels_as_seen(job.spec))
    write_marker(layout.config / "resourceconfig.json", _resources_as_seen(job.spec, host))
    checkpoints = job.spec.get("CheckpointConfig")
    if checkpoints is not None:
        seen = {"S3Uri": checkpoints["S3Uri"], "LocalPath": CHECKPOINTS}
        write_marker(layout.config / "checkpointconfig.json", seen)


def _point_to_meeting(run: RunFolder, first: RunFolder) -> None:
    """Let every host but the first see where they meet."""
    run.meeting.unlink(missing_ok=True)
    if run != first:
        run.meeting.symlink_to(Path("..", first.path.name, first.meeting.name))


def _point_to_kept_data(run: RunFolder) -> None:
    """Let a trial see what others have kept, without what was unused for long."""
    kept = run.path.parent.parent / KEPT_DATA
    kept.mkdir(mode=0o700, exist_ok=True)
    bygone = time.time() - KEPT_SECONDS
    for path in kept.iterdir():
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < bygone:
                path.unlink()
    run.kept_data.unlink(missing_ok=True)
    run.kept_data.symlink_to(Path("..", "..", KEPT_DATA))


def _checkpoints(job: Resource, layout: Layout, sources: SourceObjects, kept: dict[str, Path]) -> None:
    config = job.spec.get("CheckpointConfig")
    if config is None:
        return
    layout.checkpoints.mkdir(parents=True, exist_ok=True)
    bucket, prefix = split_uri(config["S3Uri"])
    prefix = prefix.rstrip("/") + "/" if prefix else ""
    objects = sources.objects
    items: list[Input] = []
    if objects.has_bucket(job.key.account, bucket):
        items = under_prefix(
            bucket, prefix, [item.key for item in objects.list(job.key.account, bucket, prefix)]
        )
    sources.place(job, items, layout.checkpoints, kept)


def _channels_as_seen(spec: Json) -> Json:
    """Return inputdataconfig.json (spec: container-contract.md section 1.3); FastFile is given as File."""
    seen: Json = {}
    for channel in spec.get("InputDataConfig", []):
        mode, source = mode_of(spec, channel), channel["DataSource"]["S3DataSource"]
        seen[channel["ChannelName"]] = {
            "TrainingInputMode": "File" if mode == "FastFile" else mode,
            "S3DistributionType": source.get("S3DataDistributionType") or "FullyReplicated",
            "RecordWrapperType": channel.get("RecordWrapperType") or "None",
            **({"ContentType": channel["ContentType"]} if channel.get("ContentType") else {}),
        }
    return seen


def _resources_as_seen(spec: Json, host: str) -> Json:
    """Return resourceconfig.json (spec: container-contract.md section 1.4)."""
    instance_type, group, hosts = spec["ResourceConfig"]["InstanceType"], "homogeneousCluster", hosts_of(spec)
    groups = [{"instance_group_name": group, "instance_type": instance_type, "hosts": list(hosts)}]
    return {
        "current_host": host,
        "hosts": list(hosts),
        "network_interface_name": "lo",
        "current_instance_type": instance_type,
        "current_group_name": group,
        "instance_groups": groups,
    }

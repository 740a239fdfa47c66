"""Puts the `/opt/ml` tree of each host of a processing job in its folder.

Source: AWS's developer guide, on how the container of a processing job is configured. Rule: staging begins
with nothing, so that doing it again does no harm. All hosts see the same objects: what one of them has is not
fetched again for another.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from sagestead.control.markers import write_marker
from sagestead.control.source_objects import SourceObjects
from sagestead.domain.processing import hosts_of, outputs_of, place_of
from sagestead.domain.resources import Json, Resource
from sagestead.planning.inputs import in_channel, shared_out
from sagestead.worker.layout import Layout
from sagestead.worker.run_folder import RunFolder

SHARDED = "ShardedByS3Key"


def stage_processing(job: Resource, folders: Sequence[Path], sources: SourceObjects) -> None:
    """Stage the hosts of a job, in their order; raise `BadInput`."""
    layouts = [RunFolder(folder).layout for folder in folders]
    for layout, name in zip(layouts, hosts_of(job.spec), strict=True):
        shutil.rmtree(layout.root, ignore_errors=True)
        _configure(job, layout, name)
    kept: dict[str, Path] = {}
    for given in job.spec.get("ProcessingInputs", []):
        _input(job, given["S3Input"], layouts, sources, kept)


def _input(
    job: Resource, source: Json, layouts: Sequence[Layout], sources: SourceObjects, kept: dict[str, Path]
) -> None:
    items = in_channel(source, sources.inputs(job, source))
    is_sharded = source.get("S3DataDistributionType") == SHARDED
    shares = shared_out(items, len(layouts)) if is_sharded else [items] * len(layouts)
    for layout, share in zip(layouts, shares, strict=True):
        folder = layout.root / place_of(source["LocalPath"], "LocalPath")
        folder.mkdir(parents=True, exist_ok=True)
        sources.place(job, share, folder, kept)


def _configure(job: Resource, layout: Layout, host: str) -> None:
    config = layout.root / "config"
    outputs = (layout.root / output.place for output in outputs_of(job.spec))
    for folder in (config, layout.message.parent, *outputs):
        folder.mkdir(parents=True, exist_ok=True)
    given = {name: member for name, member in job.spec.items() if name != "NetworkConfig"}
    write_marker(config / "processingjobconfig.json", {"ProcessingJobArn": job.arn, **given})
    hosts = {"current_host": host, "hosts": list(hosts_of(job.spec))}
    write_marker(config / "resourceconfig.json", hosts)

"""Puts what a run needs into its folder, before it starts.

Rule: what cannot be staged is said in one sentence for FailureReason; anything else raised here is a defect.
Staging again starts from nothing, so a crash in between does no harm.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from sagestead.domain.errors import Invalid
from sagestead.domain.resources import Json, Resource
from sagestead.domain.transform import TransformObject, TransformTask
from sagestead.planning.inputs import (
    MANIFEST_LIMIT,
    BadInput,
    Input,
    file_parts,
    in_channel,
    none_found,
    of_manifest,
    shared_out,
    split_uri,
    under_prefix,
)
from sagestead.planning.programs import source_of, source_of_training
from sagestead.planning.steps import Staged, StageInstance, StageTraining, StageTransform
from sagestead.ports import Clock, Engine, Objects
from sagestead.worker.layout import Layout

T = TypeVar("T")

MARKER = "staged.json"
OPT_ML = "opt-ml"
ARCHIVE = "model.tar.gz"
SOURCE = "source.tar.gz"
CHECKPOINTS = "/opt/ml/checkpoints/"
HOST = "algo-1"
SHARERS = 64
"""How many generations may fetch their artifacts at the same time."""


class Staging:
    """Stages instances and jobs from the object store. Safe to use from several threads."""

    def __init__(self, engine: Engine, objects: Objects, clock: Clock) -> None:
        self._engine = engine
        self._objects = objects
        self._clock = clock
        self._sharing = tuple(threading.Lock() for _ in range(SHARERS))

    def instance(self, endpoint: Resource, step: StageInstance) -> None:
        """Stage an instance of an endpoint: the artifact that its generation first fetched."""
        digest, error, account = None, None, endpoint.key.account
        try:
            if step.uri is not None:
                digest = self._share(account, step, step.uri, ARCHIVE, step.digest)
            if step.source is not None:
                self._share(account, step, step.source, SOURCE, None)
        except BadInput as refusal:
            error = str(refusal)
        staged = Staged(self._clock(), None if error else digest, error=error)
        write_marker(self._engine.folder(step.run_id) / MARKER, staged.to_json())

    def training(self, job: Resource, step: StageTraining) -> None:
        """Stage a training job: configuration, channels and earlier checkpoints."""
        folder = self._engine.folder(step.run_id)
        layout = Layout(folder / OPT_ML)
        shutil.rmtree(layout.root, ignore_errors=True)
        error = None
        try:
            self._configure(job, layout)
            self._channels(job, layout)
            self._checkpoints(job, layout)
            self._source(job, source_of_training(job.spec), [folder])
        except BadInput as refusal:
            error = f"ClientError: {refusal}"
        write_marker(folder / MARKER, Staged(self._clock(), error=error).to_json())

    def transform(self, job: Resource, step: StageTransform) -> None:
        """Stage a transform job: every instance gets its share of the objects, its task and the model."""
        folders = [self._engine.folder(run_id) for run_id in step.run_ids]
        shares: list[list[Input]] = [[] for _ in folders]
        digest, error = None, None
        try:
            source = job.spec["TransformInput"]["DataSource"]["S3DataSource"]
            shares = shared_out(self._inputs(job, source), len(folders))
            digest = self._model(job, folders)
            self._source(job, source_of(job.detail["_Container"]), folders)
            for folder, share in zip(folders, shares, strict=True):
                self._task(job, folder, share)
        except BadInput as refusal:
            error = f"ClientError: {refusal}"
        for folder, share in zip(folders, shares, strict=True):
            staged = Staged(self._clock(), digest, len(share), error)
            write_marker(folder / MARKER, staged.to_json())

    def _share(self, account: str, step: StageInstance, uri: str, name: str, pinned: str | None) -> str:
        """Link the generation's copy of an object into the instance's folder as `name`; return its digest."""
        shared = self._engine.folder(step.shared)
        kept = shared / hashlib.sha256(uri.encode()).hexdigest()[:32]
        note = kept.with_suffix(".sha256")
        with self._sharing[hash(step.shared) % SHARERS]:
            if not (kept.exists() and note.exists()):
                digest = self._fetch(account, *split_uri(uri), kept)
                note.write_text(digest)
            digest = note.read_text()
            if pinned not in (None, digest):
                kept.unlink()
                raise BadInput(
                    f"The object {uri} changed since this endpoint was deployed: its SHA-256 was "
                    f"{pinned}, now it is {digest}. Put the former object back, or update the endpoint."
                )
        _link(kept, self._engine.folder(step.run_id) / name)
        return digest

    def _model(self, job: Resource, folders: Sequence[Path]) -> str | None:
        uri = job.detail["_Container"].get("ModelDataUrl")
        if uri is None:
            return None
        first, *others = [folder / ARCHIVE for folder in folders]
        digest = self._fetch(job.key.account, *split_uri(uri), first)
        for other in others:
            _link(first, other)
        return digest

    def _source(self, job: Resource, uri: str | None, folders: Sequence[Path]) -> None:
        """Fetch the archive of the user's program, if it lies in one of its own."""
        if uri is None:
            return
        bucket, key = split_uri(uri)
        for folder in folders:
            self._fetch(job.key.account, bucket, key, folder / SOURCE)

    def _fetch(self, account: str, bucket: str, key: str, destination: Path) -> str:
        destination.unlink(missing_ok=True)
        try:
            return self._objects.fetch(account, bucket, key, destination)
        except KeyError as fault:
            raise BadInput(f"Could not find data at s3://{bucket}/{key}.") from fault

    def _inputs(self, job: Resource, source: Json) -> list[Input]:
        """Return the objects of an S3DataSource, in order."""
        account, uri = job.key.account, source["S3Uri"]
        bucket, prefix = split_uri(uri)
        if source.get("S3DataType") == "ManifestFile":
            try:
                found = of_manifest(self._objects.read(account, bucket, prefix, MANIFEST_LIMIT), uri)
            except KeyError:
                found = []
            except Invalid as refusal:
                raise BadInput(refusal.sentence) from refusal
        elif self._objects.has_bucket(account, bucket):
            keys = [item.key for item in self._objects.list(account, bucket, prefix)]
            found = under_prefix(bucket, prefix, keys)
        else:
            found = []
        if not found:
            raise BadInput(none_found(uri, bucket, job.key.region, job.spec.get("RoleArn")))
        return found

    def _configure(self, job: Resource, layout: Layout) -> None:
        for folder in (layout.config, layout.model, layout.output_data, layout.root / "input" / "data"):
            folder.mkdir(parents=True, exist_ok=True)
        write_marker(layout.config / "hyperparameters.json", job.spec.get("HyperParameters", {}))
        write_marker(layout.config / "inputdataconfig.json", _channels_as_seen(job.spec))
        write_marker(layout.config / "resourceconfig.json", _resources_as_seen(job.spec))
        checkpoints = job.spec.get("CheckpointConfig")
        if checkpoints is not None:
            seen = {"S3Uri": checkpoints["S3Uri"], "LocalPath": CHECKPOINTS}
            write_marker(layout.config / "checkpointconfig.json", seen)

    def _channels(self, job: Resource, layout: Layout) -> None:
        for channel in job.spec.get("InputDataConfig", []):
            folder = layout.channel(channel["ChannelName"])
            folder.mkdir(parents=True, exist_ok=True)
            source = channel["DataSource"]["S3DataSource"]
            self._place(job, in_channel(source, self._inputs(job, source)), folder)

    def _checkpoints(self, job: Resource, layout: Layout) -> None:
        config = job.spec.get("CheckpointConfig")
        if config is None:
            return
        layout.checkpoints.mkdir(parents=True, exist_ok=True)
        bucket, prefix = split_uri(config["S3Uri"])
        prefix = prefix.rstrip("/") + "/" if prefix else ""
        if self._objects.has_bucket(job.key.account, bucket):
            keys = [item.key for item in self._objects.list(job.key.account, bucket, prefix)]
            self._place(job, under_prefix(bucket, prefix, keys), layout.checkpoints)

    def _place(self, job: Resource, items: Sequence[Input], folder: Path) -> None:
        for item in items:
            path = folder.joinpath(*file_parts(item))
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._fetch(job.key.account, item.bucket, item.key, path)
            except (FileExistsError, NotADirectoryError, IsADirectoryError) as fault:
                raise BadInput(
                    f"The object {item.uri} cannot be a file, because another object's key makes that path a "
                    "folder. Give one of them another key."
                ) from fault

    def _task(self, job: Resource, folder: Path, share: Sequence[Input]) -> None:
        for name in ("input", "output"):
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).mkdir()
        objects = []
        for ordinal, item in enumerate(share):
            object_ = TransformObject(item.uri, f"input/{ordinal:06d}", f"output/{ordinal:06d}")
            self._fetch(job.key.account, item.bucket, item.key, folder / object_.file)
            objects.append(object_)
        write_marker(folder / "outputs.json", {item.uri: item.name for item in share})
        write_marker(folder / "transform.json", TransformTask.of_request(job.spec, objects).to_json())


def read_marker(path: Path, read: Callable[[Json], T]) -> T | None:
    """Return what a marker says, or None when it is not there whole."""
    try:
        return read(json.loads(path.read_bytes()))
    except (FileNotFoundError, ValueError):  # a power cut can leave an empty file
        return None


def write_marker(path: Path, content: Json) -> None:
    """Write a small JSON file whole or not at all."""
    draft = path.with_name(f".{path.name}.{threading.get_ident()}")
    draft.write_text(json.dumps(content))
    draft.replace(path)


def _link(source: Path, destination: Path) -> None:
    """Give a file a second name; where the file system cannot, copy it."""
    destination.unlink(missing_ok=True)
    try:
        os.link(source, destination)
    except OSError:
        shutil.copyfile(source, destination)


def _channels_as_seen(spec: Json) -> Json:
    """Return inputdataconfig.json (spec: container-contract.md section 1.3); FastFile is given as File."""
    seen: Json = {}
    for channel in spec.get("InputDataConfig", []):
        mode = channel.get("InputMode") or spec["AlgorithmSpecification"]["TrainingInputMode"]
        source = channel["DataSource"]["S3DataSource"]
        seen[channel["ChannelName"]] = {
            "TrainingInputMode": "File" if mode == "FastFile" else mode,
            "S3DistributionType": source.get("S3DataDistributionType") or "FullyReplicated",
            "RecordWrapperType": channel.get("RecordWrapperType") or "None",
            **({"ContentType": channel["ContentType"]} if channel.get("ContentType") else {}),
        }
    return seen


def _resources_as_seen(spec: Json) -> Json:
    """Return resourceconfig.json (spec: container-contract.md section 1.4)."""
    instance_type = spec["ResourceConfig"]["InstanceType"]
    group = "homogeneousCluster"
    return {
        "current_host": HOST,
        "hosts": [HOST],
        "network_interface_name": "lo",
        "current_instance_type": instance_type,
        "current_group_name": group,
        "instance_groups": [{"instance_group_name": group, "instance_type": instance_type, "hosts": [HOST]}],
    }

"""Brings what a job made into the object store, after it ended (checkpoints also while it runs).

Rule: collecting twice stores the same again. What cannot be stored is said in one sentence for FailureReason,
and does not keep the rest from being stored. No link is followed: a job that leaves one has failed.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from sagestead.control.markers import read_marker, write_marker
from sagestead.control.meter import final_metrics
from sagestead.control.source_objects import link
from sagestead.domain.errors import Refusal
from sagestead.domain.resources import Json, Resource
from sagestead.domain.runs import RunState
from sagestead.domain.transform import TransformResult, TransformTask
from sagestead.planning.inputs import BadInput, split_uri
from sagestead.planning.steps import Collected, CollectTraining, CollectTransform, SyncCheckpoints
from sagestead.ports import Clock, Engine, Metrics, Objects
from sagestead.worker.archives import entries, pack
from sagestead.worker.layout import Layout
from sagestead.worker.run_folder import RunFolder
from sagestead.worker.tarstream import ArchiveRefused

MARKER = "collected.json"

BYTES = "application/octet-stream"
SYNCED = "checkpoints.json"


class Artifacts:
    """Collects from run folders. Safe to use from several threads, one a job."""

    def __init__(self, engine: Engine, objects: Objects, metrics: Metrics, clock: Clock) -> None:
        self._engine = engine
        self._objects = objects
        self._metrics = metrics
        self._clock = clock

    def training(self, job: Resource, step: CollectTraining) -> None:
        """Store the model, the other output and the checkpoints of a training job; gather its metrics."""
        folder = self._engine.folder(step.run_ids[0])
        layouts = self._layouts(step.run_ids)
        errors: list[str] = []
        for store in (
            partial(self.checkpoints, job, SyncCheckpoints(step.run_ids)),
            partial(self._output, job, [one.model for one in layouts], folder, "model"),
            partial(self._output, job, [one.output_data for one in layouts], folder, "output"),
        ):
            try:
                store()
            except BadInput as refusal:
                errors.append(f"ClientError: {refusal}")
        metrics = final_metrics(job, self._metrics)
        collected = Collected(self._clock(), tuple(metrics), next(iter(errors), None))
        write_marker(folder / MARKER, collected.to_json())

    def checkpoints(self, job: Resource, step: SyncCheckpoints) -> None:
        """Store new and changed checkpoints, remove from S3 those that the job removed."""
        config = job.spec.get("CheckpointConfig")
        if config is None:
            return
        began, folder = self._clock(), self._engine.folder(step.run_ids[0])
        bucket, prefix = split_uri(config["S3Uri"])
        prefix = f"{prefix.rstrip('/')}/" if prefix else ""
        before: Json = read_marker(folder / SYNCED, _stamps) or {}
        local = _newest([one.checkpoints for one in self._layouts(step.run_ids)])
        now = {name: _stamp(path) for name, path in local.items()}
        for name, stamp in now.items():
            if before.get(name) != stamp:
                self._store(job, bucket, prefix + name, local[name], BYTES)
        for name in before.keys() - now.keys():
            self._objects.remove(job.key.account, bucket, prefix + name)
        write_marker(folder / SYNCED, {"at": began, "files": now})

    def miss_checkpoints(self, step: SyncCheckpoints) -> None:
        """Note that checkpoints could not be stored now, so that nobody waits for them."""
        place = self._engine.folder(step.run_ids[0]) / SYNCED
        write_marker(place, {"at": self._clock(), "files": read_marker(place, _stamps) or {}})

    def transform(self, job: Resource, runs: list[RunState], step: CollectTransform) -> None:
        """Store the complete outputs of a transform job; the first run's reason is the job's."""
        error = None
        for run_id in step.run_ids:
            folder = self._engine.folder(run_id)
            result = read_marker(folder / "transform-result.json", TransformResult.from_json)
            if result is None:
                continue
            try:
                self._outputs(job, folder, result)
            except BadInput as refusal:
                error = error or f"ClientError: {refusal}"
            error = error or result.reason
        if error is None:
            error = next((run.failure for run in runs if run.failure), None)
        collected = Collected(self._clock(), error=error)
        write_marker(self._engine.folder(step.run_ids[0]) / MARKER, collected.to_json())

    def _layouts(self, run_ids: Sequence[str]) -> list[Layout]:
        return [RunFolder(self._engine.folder(run_id)).layout for run_id in run_ids]

    def _output(self, job: Resource, sources: Sequence[Path], folder: Path, name: str) -> None:
        """Store what the hosts left, if anything, as one archive, or as files if the client wants so."""
        source = sources[0] if len(sources) == 1 else _merged(sources, folder / f"{name}-of-all")
        files = files_of(source)
        if not files:
            return
        config = job.spec["OutputDataConfig"]
        bucket, prefix = split_uri(config["S3OutputPath"])
        place = "/".join(part for part in (prefix.rstrip("/"), job.key.name, "output") if part)
        if config.get("CompressionType") == "NONE":
            inside = "model" if name == "model" else "data"
            for path_name, path in files:
                self._store(job, bucket, f"{place}/{inside}/{path_name}", path, BYTES)
            return
        archive = folder / f"{name}-output.tar.gz"
        try:
            pack(source, archive)
        except ArchiveRefused as refusal:
            raise BadInput(str(refusal)) from refusal
        self._store(job, bucket, f"{place}/{name}.tar.gz", archive, "application/x-gzip")
        archive.unlink()

    def _outputs(self, job: Resource, folder: Path, result: TransformResult) -> None:
        names: Json = read_marker(folder / "outputs.json", dict) or {}
        task = read_marker(folder / "transform.json", TransformTask.from_json)
        files = {item.source: item.output for item in task.objects} if task else {}
        output = job.spec["TransformOutput"]
        bucket, prefix = split_uri(output["S3OutputPath"])
        place = f"{prefix.rstrip('/')}/" if prefix else ""
        content_type = output.get("Accept") or BYTES
        for source in result.done:
            key = f"{place}{names[source]}.out"
            self._store(job, bucket, key, folder / files[source], content_type)

    def _store(self, job: Resource, bucket: str, key: str, path: Path, content_type: str) -> None:
        with suppress(FileNotFoundError):  # a checkpoint that the job removed meanwhile
            store(self._objects, job.key.account, bucket, key, path, content_type)


def store(objects: Objects, account: str, bucket: str, key: str, path: Path, content_type: str) -> None:  # noqa: PLR0913, PLR0917 - what a put is
    """Put a file; raise `BadInput` when it cannot be written there, `FileNotFoundError` when it has gone."""
    try:
        objects.store(account, bucket, key, path, content_type)
    except Refusal as refusal:
        raise BadInput(f"Cannot write s3://{bucket}/{key}: {refusal.sentence}") from refusal
    except KeyError as fault:
        raise BadInput(
            f"Cannot write s3://{bucket}/{key}: the account has no bucket {bucket}. Create it first."
        ) from fault


def files_of(folder: Path) -> list[tuple[str, Path]]:
    """Return (relative name with `/`, path) of the files below a folder, in order.

    Raises:
        BadInput: there is a link, a device or a name that S3 cannot have.
    """
    try:
        return [(name, path) for name, path, is_folder in entries(folder) if not is_folder]
    except ArchiveRefused as refusal:
        raise BadInput(str(refusal)) from refusal


def _merged(sources: Sequence[Path], destination: Path) -> Path:
    """Put the files of several folders into one; of those with the same name the last host's is taken."""
    shutil.rmtree(destination, ignore_errors=True)
    destination.mkdir()
    for source in sources:
        for name, path in files_of(source):
            place = destination / name
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                link(path, place)
            except OSError as fault:
                raise BadInput(
                    f"The hosts left both a file and a folder under the name of '{name}'; name them apart."
                ) from fault
    return destination


def _newest(folders: Sequence[Path]) -> dict[str, Path]:
    """Return the files of several folders by name; of those with the same name the one written last."""
    found: dict[str, Path] = {}
    for folder in folders:
        for name, path in files_of(folder):
            if name not in found or _stamp(path)[1] >= _stamp(found[name])[1]:
                found[name] = path
    return found


def synced_at(note: Json) -> float:
    """Return when the checkpoints were stored that a note tells of."""
    at: float = note.get("at", 0.0)
    return at


def _stamps(note: Json) -> Json:
    stamps: Json = note.get("files", {})
    return stamps


def _stamp(path: Path) -> list[int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return [0, 0]
    return [found.st_size, found.st_mtime_ns]

"""Puts what a run needs into its folder, before it starts.

Rule: what cannot be staged is said in one sentence for FailureReason; anything else raised here is a defect.
Staging again starts from nothing, so a crash in between does no harm.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from sagestead.control.markers import write_marker
from sagestead.control.processing_staging import stage_processing
from sagestead.control.source_objects import SourceObjects, link
from sagestead.control.training_staging import OPT_ML, stage_training
from sagestead.domain.resources import Resource
from sagestead.domain.transform import TransformObject, TransformTask
from sagestead.planning.inputs import BadInput, Input, shared_out, split_uri
from sagestead.planning.programs import source_of, source_of_training
from sagestead.planning.steps import Staged, StageInstance, StageProcessing, StageTraining, StageTransform
from sagestead.ports import Clock, Engine, Objects

__all__ = ["ARCHIVE", "MARKER", "OPT_ML", "Staging"]

MARKER = "staged.json"
ARCHIVE = "model.tar.gz"
SOURCE = "source.tar.gz"
SHARERS = 64
"""How many generations may fetch their artifacts at the same time."""


class Staging:
    """Stages instances and jobs from the object store. Safe to use from several threads."""

    def __init__(self, engine: Engine, objects: Objects, clock: Clock) -> None:
        self._engine = engine
        self._sources = SourceObjects(objects)
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
        """Stage every host of a training job."""

        def stage(folders: Sequence[Path]) -> None:
            stage_training(job, folders, self._sources)
            self._source(job, source_of_training(job.spec), folders)

        self._hosts(step.run_ids, stage)

    def processing(self, job: Resource, step: StageProcessing) -> None:
        """Stage every host of a processing job."""
        self._hosts(step.run_ids, lambda folders: stage_processing(job, folders, self._sources))

    def transform(self, job: Resource, step: StageTransform) -> None:
        """Stage a transform job: every instance gets its share of the objects, its task and the model."""
        folders = [self._engine.folder(run_id) for run_id in step.run_ids]
        shares: list[list[Input]] = [[] for _ in folders]
        digest, error = None, None
        try:
            source = job.spec["TransformInput"]["DataSource"]["S3DataSource"]
            shares = shared_out(self._sources.inputs(job, source), len(folders))
            digest = self._model(job, folders)
            self._source(job, source_of(job.detail["_Container"]), folders)
            for folder, share in zip(folders, shares, strict=True):
                self._task(job, folder, share)
        except BadInput as refusal:
            error = f"ClientError: {refusal}"
        for folder, share in zip(folders, shares, strict=True):
            staged = Staged(self._clock(), digest, len(share), error)
            write_marker(folder / MARKER, staged.to_json())

    def _hosts(self, run_ids: Sequence[str], stage: Callable[[Sequence[Path]], None]) -> None:
        """Stage the hosts of a job, and leave word of it with each."""
        folders = [self._engine.folder(run_id) for run_id in run_ids]
        error = None
        try:
            stage(folders)
        except BadInput as refusal:
            error = f"ClientError: {refusal}"
        for folder in reversed(folders):  # what the first one says counts for all
            write_marker(folder / MARKER, Staged(self._clock(), error=error).to_json())

    def _share(self, account: str, step: StageInstance, uri: str, name: str, pinned: str | None) -> str:
        """Link the generation's copy of an object into the instance's folder as `name`; return its digest."""
        shared = self._engine.folder(step.shared)
        kept = shared / hashlib.sha256(uri.encode()).hexdigest()[:32]
        note = kept.with_suffix(".sha256")
        with self._sharing[hash(step.shared) % SHARERS]:
            if not (kept.exists() and note.exists()):
                digest = self._sources.fetch(account, *split_uri(uri), kept)
                note.write_text(digest)
            digest = note.read_text()
            if pinned not in (None, digest):
                kept.unlink()
                raise BadInput(
                    f"The object {uri} changed since this endpoint was deployed: its SHA-256 was "
                    f"{pinned}, now it is {digest}. Put the former object back, or update the endpoint."
                )
        link(kept, self._engine.folder(step.run_id) / name)
        return digest

    def _model(self, job: Resource, folders: Sequence[Path]) -> str | None:
        uri = job.detail["_Container"].get("ModelDataUrl")
        if uri is None:
            return None
        first, *others = [folder / ARCHIVE for folder in folders]
        digest = self._sources.fetch(job.key.account, *split_uri(uri), first)
        for other in others:
            link(first, other)
        return digest

    def _source(self, job: Resource, uri: str | None, folders: Sequence[Path]) -> None:
        """Fetch the archive of the user's program, if it lies in one of its own."""
        if uri is None:
            return
        bucket, key = split_uri(uri)
        for folder in folders:
            self._sources.fetch(job.key.account, bucket, key, folder / SOURCE)

    def _task(self, job: Resource, folder: Path, share: Sequence[Input]) -> None:
        for name in ("input", "output"):
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).mkdir()
        objects = []
        for ordinal, item in enumerate(share):
            object_ = TransformObject(item.uri, f"input/{ordinal:06d}", f"output/{ordinal:06d}")
            self._sources.fetch(job.key.account, item.bucket, item.key, folder / object_.file)
            objects.append(object_)
        write_marker(folder / "outputs.json", {item.uri: item.name for item in share})
        write_marker(folder / "transform.json", TransformTask.of_request(job.spec, objects).to_json())

from __future__ import annotations

import json
import os
import time

from tests.control.reconciler.world import REGION, World, endpoint_spec, training_spec, variant

from sagestead.control.markers import read_marker
from sagestead.control.staging import MARKER, Staging
from sagestead.control.training_staging import KEPT_SECONDS
from sagestead.domain.resources import Json, Key, Kind, Resource, resource_arn
from sagestead.planning.steps import Staged, StageInstance, StageTraining
from sagestead.planning.trials import FACTS
from sagestead.worker.run_folder import RunFolder

KEY = Key(Kind.ENDPOINT, "123456789012", REGION, "staged")


def stage(world: World, uri: str, digest: str | None) -> Staged:
    endpoint = Resource(KEY, resource_arn(KEY), endpoint_spec("c", variant(uri)))
    step = StageInstance("endpoint/staged/0", uri, "endpoint/staged/artifacts", digest)
    Staging(world.engine, world.objects, time.time).instance(endpoint, step)
    staged = read_marker(world.engine.folder(step.run_id) / MARKER, Staged.from_json)
    assert staged is not None
    return staged


def test_an_artifact_that_changed_is_refused_once_its_digest_is_pinned(still: World) -> None:
    uri = still.put_model("pinned.tar.gz", b"one")
    first = stage(still, uri, None)
    still.put_model("pinned.tar.gz", b"two")
    assert stage(still, uri, first.digest).digest == first.digest
    still.engine.forget("endpoint/staged/artifacts")
    refused = stage(still, uri, first.digest)
    assert refused.error is not None
    assert refused.error.startswith(
        f"The object {uri} changed since this endpoint was deployed: its SHA-256 was"
    )
    still.put_model("pinned.tar.gz", b"one")
    for run_id in ("endpoint/staged/0", "endpoint/staged/artifacts"):
        still.engine.forget(run_id)


def test_trials_share_what_they_keep_of_their_data_and_others_do_not(still: World) -> None:
    kept = still.folder / "kept"
    still.put("bucket", "data-of-trials/rows.csv", b"1,2\n0,3\n")
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/data-of-trials/"}
    channel = {"ChannelName": "train", "ContentType": "csv", "DataSource": {"S3DataSource": source}}
    details: dict[str, Json] = {"alone": {}, "trial": {FACTS: {}}}
    for name, detail in details.items():
        run_id = f"training-job/staged/{name}"
        key = Key(Kind.TRAINING_JOB, "123456789012", REGION, name)
        job = Resource(key, resource_arn(key), training_spec(InputDataConfig=[channel]), detail=detail)
        Staging(still.engine, still.objects, time.time).training(job, StageTraining((run_id,)))
        run = RunFolder(still.engine.folder(run_id))
        assert run.kept_data.is_dir() is (name == "trial")
        if name == "trial":
            kept = run.kept_data.resolve()
            for age in (0.0, KEPT_SECONDS + 1):
                entry = kept / f"{age}.npy"
                entry.touch()
                os.utime(entry, (time.time() - age,) * 2)
            Staging(still.engine, still.objects, time.time).training(job, StageTraining((run_id,)))
        still.engine.forget(run_id)
    assert [path.name for path in kept.iterdir()] == ["0.0.npy"]


def test_a_marker_that_a_power_cut_tore_counts_as_absent(still: World) -> None:
    path = still.folder / "torn.json"
    for content in (b"", b'{"at": 1', b"\xff"):
        path.write_bytes(content)
        assert read_marker(path, Staged.from_json) is None
    path.write_text(json.dumps(Staged(1.0, "d").to_json()))
    assert read_marker(path, Staged.from_json) == Staged(1.0, "d")

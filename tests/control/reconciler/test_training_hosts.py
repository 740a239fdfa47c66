"""Training jobs of several hosts, instances that are taken back, channels that are not plain folders."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

from tests.control.reconciler.test_training import GROUP, ended, stages, start, unpacked
from tests.control.reconciler.world import World

from sagestead.domain.resources import Json, Kind, Resource
from sagestead.domain.runs import RunPhase
from sagestead.domain.training import interrupted
from sagestead.engines.process import lock
from sagestead.worker.run_folder import RunFolder

TWO = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 30}
SPOT: Json = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900},
}


def channel(name: str = "train", **more: Any) -> Json:
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/data/", **more.pop("source", {})}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **more}


def waiting(world: World, job: Resource, hosts: int) -> list[RunFolder]:
    """Wait until the program of every host waits; return their folders."""
    place = f"training-job/123456789012/eu-west-1/{job.key.name}/algo-"
    runs = [RunFolder(world.engine.folder(f"{place}{number}")) for number in range(1, hosts + 1)]
    world.until(lambda: all((run.layout.root / "seen-before").exists() for run in runs))
    return runs


def test_hosts_share_the_objects_and_what_they_make_is_put_together(world: World) -> None:
    sharded = channel(source={"S3DataDistributionType": "ShardedByS3Key"}, ShuffleConfig={"Seed": 5})
    whole = channel("validation", InputMode="FastFile")
    job = start(world, "hosts", ResourceConfig=TWO, InputDataConfig=[sharded, whole])
    job = ended(world, "hosts")
    assert job.status == "Completed"
    assert unpacked(world, "out/hosts/output/model.tar.gz") == {"weights": b""}
    (report,) = unpacked(world, "out/hosts/output/output.tar.gz").values()
    both = {"train/a.csv", "train/deep/b.csv"}
    seen = set(report.decode().removeprefix("seen: ").split())
    assert len(seen & both) == 1
    assert seen - both == {"validation/a.csv", "validation/deep/b.csv"}
    streams = [
        one.stream.rsplit("-", 1)[0] for one in world.streams(GROUP) if one.stream.startswith("hosts/")
    ]
    assert sorted(streams) == ["hosts/algo-1", "hosts/algo-2"]
    assert len(world.lines(GROUP, "hosts/algo-2-")) == 3


def test_each_host_knows_who_it_is_and_a_stop_reaches_all(world: World) -> None:
    job = start(world, "each", "endless", ResourceConfig=TWO)
    runs = waiting(world, job, 2)
    told = [json.loads((run.layout.config / "resourceconfig.json").read_text()) for run in runs]
    assert [one["current_host"] for one in told] == ["algo-1", "algo-2"]
    assert told[0]["hosts"] == told[1]["instance_groups"][0]["hosts"] == ["algo-1", "algo-2"]
    assert [run.spec.threads for run in world.runs(job)] == [1, 1]
    world.change(Kind.TRAINING_JOB, "each", "Stopping")
    assert ended(world, "each").status == "Stopped"


def test_a_host_that_is_killed_ends_the_others_and_fails_the_job(world: World) -> None:
    job = start(world, "killed", "endless", ResourceConfig=TWO)
    process_id = lock.process_id(waiting(world, job, 2)[1].lock)
    assert process_id is not None
    os.kill(process_id, signal.SIGKILL)
    job = ended(world, "killed")
    assert job.status == "Failed"
    assert job.detail["FailureReason"].endswith("exit code: 137")


def training(world: World, name: str) -> Resource | None:
    """Return a job once it is noted that it trains: its processes are there a moment before."""
    seen = world.get(Kind.TRAINING_JOB, name)
    return seen if seen is not None and seen.detail["SecondaryStatus"] == "Training" else None


def test_instances_that_are_taken_back_come_again_with_the_checkpoints(world: World) -> None:
    checkpoints = {"CheckpointConfig": {"S3Uri": "s3://bucket/spot"}}
    job = start(world, "spot", "endless", **SPOT, **checkpoints)
    (run,) = waiting(world, job, 1)
    (run.layout.checkpoints / "late").write_text("last moment")
    seen = world.until(lambda: training(world, "spot"))
    detail = interrupted(seen.detail, seen.modified_at, 0)
    world.change(Kind.TRAINING_JOB, "spot", "InProgress", detail=detail)
    world.until(lambda: [one.attempt for one in world.runs(job) if one.phase is RunPhase.STARTING] == [2])
    waiting(world, job, 1)
    assert (run.layout.checkpoints / "late").read_text() == "last moment"
    world.change(Kind.TRAINING_JOB, "spot", "Stopping")
    job = ended(world, "spot")
    again = ["Starting", "Downloading", "Training"]
    assert stages(job) == [*again, "Interrupted", *again, "Stopping", "Uploading", "Stopped"]
    assert len(world.lines(GROUP, "spot/")) == 6


def test_a_folder_view_begins_at_a_folder(world: World) -> None:
    source = {"S3Uri": "s3://bucket/da"}
    start(world, "partial", InputDataConfig=[channel(source=source, InputMode="FastFile")])
    job = ended(world, "partial")
    assert job.detail["FailureReason"].startswith(
        "ClientError: Input mode FastFile: s3://bucket/da is neither a folder nor an object"
    )

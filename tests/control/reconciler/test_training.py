from __future__ import annotations

import os
import signal
import tarfile
from io import BytesIO
from typing import Any

import pytest
from tests.control.reconciler.world import IMAGE, World, training_detail, training_spec

from sagestead.domain.resources import Kind, Resource
from sagestead.domain.runs import RunPhase
from sagestead.engines.process import lock
from sagestead.worker.run_folder import RunFolder

GROUP = "/aws/sagemaker/TrainingJobs"


def start(world: World, name: str, script: str = "", **more: Any) -> Resource:
    spec = training_spec(script, **more)
    return world.create(Kind.TRAINING_JOB, name, "InProgress", spec, training_detail())


def ended(world: World, name: str) -> Resource:
    job = world.reaches(Kind.TRAINING_JOB, name, "Completed", "Failed", "Stopped")
    world.until(lambda: not world.runs(job))
    return job


def stages(job: Resource) -> list[str]:
    return [entry["Status"] for entry in job.detail["SecondaryStatusTransitions"]]


def running(world: World, job: Resource) -> int:
    """Wait until the job's program waits; return its process id."""
    run_id = f"training-job/123456789012/eu-west-1/{job.key.name}/algo-1"
    run = RunFolder(world.engine.folder(run_id))
    world.until((run.layout.root / "seen-before").exists)
    process_id = lock.process_id(run.lock)
    assert process_id is not None
    return process_id


def unpacked(world: World, key: str) -> dict[str, bytes]:
    with tarfile.open(fileobj=BytesIO(world.read("bucket", key))) as tar:
        return {member.name: found.read() for member in tar if (found := tar.extractfile(member)) is not None}


def test_a_job_trains_and_leaves_its_artifacts_metrics_and_log(world: World) -> None:
    start(world, "whole")
    job = ended(world, "whole")
    assert job.status == "Completed"
    assert stages(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert unpacked(world, "out/whole/output/model.tar.gz") == {"weights": b""}
    report = unpacked(world, "out/whole/output/output.tar.gz")
    assert report == {"report": b"seen: train/a.csv train/deep/b.csv"}
    (metric,) = job.detail["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("train:rmse", 0.30000001192092896)
    assert job.detail["TrainingTimeInSeconds"] == job.detail["BillableTimeInSeconds"] >= 1
    assert job.detail["TrainingStartTime"] <= job.detail["TrainingEndTime"]
    (stream,) = [one for one in world.streams(GROUP) if one.stream.startswith("whole/")]
    assert stream.stream == f"whole/algo-1-{int(job.created_at)}"
    assert world.lines(GROUP, "whole/") == [
        "[0]#011train-rmse:0.50000",
        "[1]#011train-rmse:0.40000",
        "[2]#011train-rmse:0.30000",
    ]


def test_the_log_is_whole_the_moment_the_job_is_completed(world: World) -> None:
    start(world, "logged")
    world.reaches(Kind.TRAINING_JOB, "logged", "Completed")
    assert len(world.lines(GROUP, "logged/")) == 3


def test_plain_files_are_stored_when_no_compression_is_wanted(world: World) -> None:
    output = {"S3OutputPath": "s3://bucket/plain/", "CompressionType": "NONE"}
    start(world, "files", OutputDataConfig=output)
    assert ended(world, "files").status == "Completed"
    assert world.keys("bucket", "plain/") == [
        "plain/files/output/data/report",
        "plain/files/output/model/weights",
    ]


def test_failures_say_why(world: World) -> None:
    other = {"TrainingImage": "busybox:1", "TrainingInputMode": "File"}
    start(world, "fail", "fail")
    start(world, "die", "die")
    start(world, "image", AlgorithmSpecification=other)
    start(world, "nowhere", OutputDataConfig={"S3OutputPath": "s3://absent/out"})
    assert ended(world, "fail").detail["FailureReason"] == "ClientError: no label column"
    assert ended(world, "fail").status == "Failed"
    died = ended(world, "die").detail["FailureReason"]
    assert died.startswith("AlgorithmError: [0]#011train-rmse:0.50000\n")
    assert died.endswith("out of memory, exit code: 137")
    assert "busybox:1" in ended(world, "image").detail["FailureReason"]
    assert stages(ended(world, "image")) == ["Starting", "Failed"]
    assert (
        ended(world, "nowhere")
        .detail["FailureReason"]
        .startswith("ClientError: Cannot write s3://absent/out/nowhere/output/model.tar.gz")
    )


@pytest.mark.parametrize("packing", ["GZIP", "NONE"])
@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("link", "ClientError: 'odd' is a symbolic link; only files and folders are stored."),
        ("pipe", "ClientError: 'odd' is a device, pipe or socket; only files and folders are stored."),
        ("name", "ClientError: The name '\\udcff' is not UTF-8; give the file another one."),
        ("folder", "ClientError: 'model' is a symbolic link; only files and folders are stored."),
    ],
)
def test_what_is_no_file_is_not_stored_and_the_rest_is(
    world: World, what: str, sentence: str, packing: str
) -> None:
    name = f"{what}-{packing.lower()}"
    output = {"S3OutputPath": "s3://bucket/odd", "CompressionType": packing}
    start(world, name, f"leave {what}", OutputDataConfig=output)
    job = ended(world, name)
    assert (job.status, job.detail["FailureReason"]) == ("Failed", sentence)
    other = "data/report" if packing == "NONE" else "output.tar.gz"
    assert world.keys("bucket", f"odd/{name}/") == [f"odd/{name}/output/{other}"]


def test_a_job_without_a_model_is_completed(world: World) -> None:
    start(world, "modelless", "leave nothing")
    assert ended(world, "modelless").status == "Completed"
    assert world.keys("bucket", "out/modelless/") == ["out/modelless/output/output.tar.gz"]


def test_an_empty_prefix_fails_with_the_sentence_of_aws(world: World) -> None:
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/nothing/"}
    start(world, "empty", InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}])
    reason = ended(world, "empty").detail["FailureReason"]
    assert reason.startswith('ClientError: No S3 objects found under S3 URL "s3://bucket/nothing/" given in')


def test_jobs_take_turns(world: World) -> None:
    names = ["turn-1", "turn-2", "turn-3", "turn-4"]
    jobs = [start(world, name, "endless") for name in names]
    for job in jobs[:2]:
        running(world, job)

    def waits(name: str) -> bool:
        job = world.get(Kind.TRAINING_JOB, name)
        assert job is not None
        (entry,) = job.detail["SecondaryStatusTransitions"]
        said: str = entry["StatusMessage"]
        return said == "Waiting for earlier jobs to end: they take the 2 cores of this machine"

    world.until(lambda: waits("turn-3") and waits("turn-4"))
    world.change(Kind.TRAINING_JOB, "turn-3", "Stopping")
    assert stages(ended(world, "turn-3")) == ["Starting", "Stopping", "Stopped"]
    world.change(Kind.TRAINING_JOB, "turn-1", "Stopping")
    running(world, jobs[3])
    for name in ("turn-2", "turn-4"):
        world.change(Kind.TRAINING_JOB, name, "Stopping")
        ended(world, name)


def test_a_stopped_job_keeps_what_it_made(world: World) -> None:
    job = start(world, "stopped", "endless")
    running(world, job)
    world.change(Kind.TRAINING_JOB, "stopped", "Stopping")
    job = ended(world, "stopped")
    assert job.status == "Stopped"
    assert stages(job) == ["Starting", "Downloading", "Training", "Stopping", "Uploading", "Stopped"]
    assert "FailureReason" not in job.detail
    assert unpacked(world, "out/stopped/output/model.tar.gz") == {"weights": b"endless"}


def test_a_job_may_run_only_so_long(world: World) -> None:
    start(world, "long", "endless", StoppingCondition={"MaxRuntimeInSeconds": 1})
    job = ended(world, "long")
    assert job.status == "Stopped"
    assert stages(job)[-3:] == ["Stopping", "Uploading", "MaxRuntimeExceeded"]
    assert "out/long/output/model.tar.gz" in world.keys("bucket", "out/long/")


def test_a_lost_process_is_started_again_from_the_staged_data(still: World) -> None:
    with still.reconciling():
        job = start(still, "lost", "once")
        process_id = running(still, job)
    os.kill(process_id, signal.SIGKILL)
    still.until(lambda: still.runs(job)[0].phase is RunPhase.EXITED)
    RunFolder(still.engine.folder(still.runs(job)[0].run_id)).exit.unlink()  # nobody noted how it ended
    assert still.runs(job)[0].phase is RunPhase.LOST
    with still.reconciling():
        assert ended(still, "lost").status == "Completed"
    assert len(still.lines(GROUP, "lost/")) == 6


def test_checkpoints_are_stored_and_found_again(world: World) -> None:
    config = {"S3Uri": "s3://bucket/checkpoints/one"}
    world.put("bucket", "checkpoints/one/step-0", b"0")
    start(world, "points", CheckpointConfig=config)
    assert ended(world, "points").status == "Completed"
    assert world.keys("bucket", "checkpoints/") == ["checkpoints/one/step-0", "checkpoints/one/step-1"]


def test_a_manifest_names_the_files(world: World) -> None:
    manifest = b'[{"prefix": "s3://bucket/data/"}, "deep/b.csv"]'
    world.put("bucket", "manifests/m.json", manifest)
    source = {"S3DataType": "ManifestFile", "S3Uri": "s3://bucket/manifests/m.json"}
    start(
        world, "manifest", InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}]
    )
    assert ended(world, "manifest").status == "Completed"
    report = unpacked(world, "out/manifest/output/output.tar.gz")
    assert report == {"report": b"seen: train/deep/b.csv"}


def test_what_the_process_finds_in_its_configuration(world: World) -> None:
    job = start(world, "config", "endless", CheckpointConfig={"S3Uri": "s3://bucket/c2"})
    running(world, job)
    folder = world.engine.folder("training-job/123456789012/eu-west-1/config/algo-1")
    config = RunFolder(folder).layout.config
    assert {path.name: path.read_text() for path in config.iterdir()} == {
        "hyperparameters.json": '{"script": "endless"}',
        "inputdataconfig.json": '{"train": {"TrainingInputMode": "File", "S3DistributionType": '
        '"FullyReplicated", "RecordWrapperType": "None", "ContentType": "csv"}}',
        "resourceconfig.json": '{"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": '
        '"lo", "current_instance_type": "ml.m5.large", "current_group_name": "homogeneousCluster", '
        '"instance_groups": [{"instance_group_name": "homogeneousCluster", "instance_type": "ml.m5.large", '
        '"hosts": ["algo-1"]}]}',
        "checkpointconfig.json": '{"S3Uri": "s3://bucket/c2", "LocalPath": "/opt/ml/checkpoints/"}',
    }
    (run,) = world.runs(job)
    assert run.spec.environment == {
        "TRAINING_JOB_NAME": "config",
        "TRAINING_JOB_ARN": job.arn,
        "AWS_REGION": "eu-west-1",
    }
    assert (run.spec.image, run.spec.threads) == (IMAGE, 2)
    world.change(Kind.TRAINING_JOB, "config", "Stopping")
    ended(world, "config")

from __future__ import annotations

from typing import Any

from tests.control.reconciler.world import ACCOUNT, IMAGE, World

from sagestead.domain.resources import Json, Kind, Resource


def start(world: World, name: str, prefix: str, model: bytes = b"p", **more: Any) -> Resource:
    spec: Json = {
        "TransformJobName": name,
        "ModelName": "m",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://bucket/{prefix}"}},
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": f"s3://bucket/batch-out/{name}/", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        "BatchStrategy": "SingleRecord",
        **more,
    }
    uri = world.put_model(f"models/{name}.tar.gz", model)
    detail = {
        "_Container": {"Image": IMAGE, "ModelDataUrl": uri, "Environment": {"A": "model", "B": "model"}}
    }
    return world.create(Kind.TRANSFORM_JOB, name, "InProgress", spec, detail)


def ended(world: World, name: str) -> Resource:
    job = world.reaches(Kind.TRANSFORM_JOB, name, "Completed", "Failed", "Stopped")
    world.until(lambda: not world.runs(job))
    return job


def test_every_object_gets_its_output(world: World) -> None:
    world.put("bucket", "batch/a.csv", b"1\n2\n")
    world.put("bucket", "batch/deep/b.csv", b"3\n")
    world.put("bucket", "batch/c.csv", b"4\n")
    start(world, "whole", "batch/", TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 2})
    job = ended(world, "whole")
    assert job.status == "Completed", job.detail
    assert job.detail["TransformStartTime"] <= job.detail["TransformEndTime"]
    assert world.keys("bucket", "batch-out/whole/") == [
        "batch-out/whole/a.csv.out",
        "batch-out/whole/c.csv.out",
        "batch-out/whole/deep/b.csv.out",
    ]
    assert world.read("bucket", "batch-out/whole/a.csv.out") == b"p1\np2\n"
    assert world.read("bucket", "batch-out/whole/deep/b.csv.out") == b"p3\n"
    streams = [one.stream for one in world.streams("/aws/sagemaker/TransformJobs")]
    mine = [stream for stream in streams if stream.startswith("whole/")]
    assert len(mine) == 4
    assert [stream.endswith("/data-log") for stream in mine] == [False, True, False, True]
    (line, *_) = world.lines("/aws/sagemaker/TransformJobs", mine[1])
    assert "[sagemaker logs]: MaxConcurrentTransforms=" in line


def test_one_object_and_more_instances_than_objects(world: World) -> None:
    world.put("bucket", "single/x.csv", b"7\n")
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 3}
    start(world, "single", "single/x.csv", TransformResources=resources)
    assert ended(world, "single").status == "Completed"
    assert world.keys("bucket", "batch-out/single/") == ["batch-out/single/x.csv.out"]


def test_failures_say_why(world: World) -> None:
    start(world, "empty", "no/such/")
    start(world, "refused", "data/a.csv", b"refuse")
    start(world, "nowhere", "data/a.csv", TransformOutput={"S3OutputPath": "s3://absent/out"})
    assert (
        ended(world, "empty")
        .detail["FailureReason"]
        .startswith('ClientError: No S3 objects found under S3 URL "s3://bucket/no/such/"')
    )
    assert "Model greeting cannot be loaded" in ended(world, "refused").detail["FailureReason"]
    assert (
        ended(world, "nowhere")
        .detail["FailureReason"]
        .startswith("ClientError: Cannot write s3://absent/out/a.csv.out")
    )
    assert {ended(world, name).status for name in ("empty", "refused", "nowhere")} == {"Failed"}


def test_a_job_can_be_stopped_before_and_while_it_runs(world: World) -> None:
    world.put("bucket", "many.csv", b"1\n" * 50_000)
    start(world, "stopped", "many.csv", b"slow")
    world.until(lambda: world.lines("/aws/sagemaker/TransformJobs", "stopped/"))
    world.change(Kind.TRANSFORM_JOB, "stopped", "Stopping")
    job = ended(world, "stopped")
    assert job.status == "Stopped"
    assert "FailureReason" not in job.detail
    assert world.objects.stat(ACCOUNT, "bucket", "batch-out/stopped/many.csv.out") is None


def test_what_the_process_finds_in_its_environment(world: World) -> None:
    limits: Json = {"MaxPayloadInMB": 2, "MaxConcurrentTransforms": 4, "Environment": {"B": "job"}}
    world.put("bucket", "many.csv", b"1\n" * 50_000)
    job = start(world, "environment", "many.csv", b"slow", **limits)
    world.until(lambda: world.lines("/aws/sagemaker/TransformJobs", "environment/"))
    (run,) = world.runs(job)
    assert run.spec.environment == {
        "AWS_REGION": "eu-west-1",
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "4",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "2",
        "A": "model",
        "B": "job",
    }
    world.change(Kind.TRANSFORM_JOB, "environment", "Stopping")
    ended(world, "environment")

"""Secrets stay in the store: in no log, run folder or message, in no process's words or environment."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.handlers import disable_signing

Start = Callable[..., AbstractContextManager[subprocess.Popen[bytes]]]
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
STORES = ("store.db", "store.db-wal", "store.db-shm")
"""The only files that may hold a secret."""


def sagestead(*words: object) -> str:
    """Run a command; what it says, wherever it says it."""
    command = [sys.executable, "-m", "sagestead", *map(str, words)]
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    return result.stdout + result.stderr


def test_secrets_are_nowhere_but_in_the_store(
    tmp_path: Path,
    start: Start,
    variables_of: Callable[..., dict[str, str]],
    client_of: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, users_own = tmp_path / "data", "the-users-own-secret"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", users_own)
    with start(data) as process:
        environment = variables_of(data)
        secrets = [
            users_own,
            environment["AWS_SECRET_ACCESS_KEY"],
            *use_everything(environment, client_of, data),
        ]
        said = [sagestead(words, "--data", data) for words in ("status", "doctor")]
        said.append(sagestead("keys", "list", "--data", data))
        words = words_of_processes(process.pid)
        assert users_own in words.pop(process.pid)
        assert any("zygote" in text and "HOME=" in text for text in words.values())
    held = {str(file): file.read_bytes() for file in data.rglob("*") if file.is_file()}
    holding = {
        name for name, content in held.items() if any(secret.encode() in content for secret in secrets)
    }
    assert {Path(name).name for name in holding} <= set(STORES)
    assert not [text for text in said if any(secret in text for secret in secrets)]
    assert not [text for text in words.values() if any(secret in text for secret in secrets)]


def use_everything(environment: dict[str, str], client_of: Callable[..., Any], data: Path) -> Iterator[str]:
    """Use every service, well and badly; yields further secrets: keys, tokens, signatures."""
    made = sagestead("keys", "create", "--data", data)
    yield made.split("AWS_SECRET_ACCESS_KEY=")[1].split()[0]
    session = client_of(environment, "sts").assume_role(
        RoleArn=environment["SAGEMAKER_ROLE_ARN"], RoleSessionName="session"
    )["Credentials"]
    yield session["SecretAccessKey"]
    yield session["SessionToken"]
    temporary = {
        **environment,
        "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
    }
    signatures: list[str] = []
    s3, sagemaker = client_of(environment, "s3"), client_of(environment, "sagemaker")
    for client in (s3, sagemaker):
        client.meta.events.register("before-send", lambda request, **_: note(signatures, request))
    s3.create_bucket(Bucket="secrets")
    s3.put_object(Bucket="secrets", Key="train.csv", Body=b"1,2\n0,1\n" * 50)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "secrets", "Key": "train.csv"})
    yield url.partition("Signature=")[2].partition("&")[0]
    for service, operation in (
        ("s3", "list_buckets"),
        ("sagemaker", "list_models"),
        ("sts", "get_caller_identity"),
    ):
        with contextlib.suppress(ClientError):  # the token is missing
            getattr(client_of(temporary, service), operation)()
        unsigned = boto3.client(
            service, endpoint_url=environment["AWS_ENDPOINT_URL"], region_name="us-east-1"
        )
        unsigned.meta.events.register("choose-signer.*", disable_signing)
        with contextlib.suppress(ClientError):
            getattr(unsigned, operation)()
    train(sagemaker, environment["SAGEMAKER_ROLE_ARN"])
    deploy(sagemaker, s3, environment["SAGEMAKER_ROLE_ARN"])
    yield from signatures


def note(signatures: list[str], request: Any) -> None:
    signatures.append(request.headers["Authorization"].decode().rpartition("=")[2])


def train(sagemaker: Any, role: str) -> None:
    """Run a training job to its end."""
    sagemaker.create_training_job(
        TrainingJobName="secrets",
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        RoleArn=role,
        HyperParameters={"num_round": "2"},
        InputDataConfig=[
            {
                "ChannelName": "train",
                "ContentType": "text/csv",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": "s3://secrets/train.csv",
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
        ],
        OutputDataConfig={"S3OutputPath": "s3://secrets/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    await_status(lambda: sagemaker.describe_training_job(TrainingJobName="secrets")["TrainingJobStatus"])


def deploy(sagemaker: Any, s3: Any, role: str) -> None:
    """Deploy a model that cannot be loaded, and leave it failed."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("xgboost-model"), io.BytesIO())
    s3.put_object(Bucket="secrets", Key="model.tar.gz", Body=packed.getvalue())
    sagemaker.create_model(
        ModelName="secrets",
        ExecutionRoleArn=role,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": "s3://secrets/model.tar.gz"},
    )
    variant = {"VariantName": "v", "ModelName": "secrets", "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(
        EndpointConfigName="secrets", ProductionVariants=[{**variant, "InitialInstanceCount": 1}]
    )
    sagemaker.create_endpoint(EndpointName="secrets", EndpointConfigName="secrets")
    await_status(lambda: sagemaker.describe_endpoint(EndpointName="secrets")["EndpointStatus"])


def await_status(status: Callable[[], str]) -> None:
    deadline = time.monotonic() + 60
    while status() in {"InProgress", "Creating"}:
        assert time.monotonic() < deadline


def words_of_processes(root: int) -> dict[int, str]:
    """Command line and environment of a process and all below it."""
    command = ["ps", "axeww", "-o", "pid=,ppid=,args="]
    listed = subprocess.run(command, check=True, capture_output=True, text=True, errors="replace").stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    parents = {int(row[0]): int(row[1]) for row in rows}
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return {int(row[0]): row[2] for row in rows if int(row[0]) in family and len(row) > 2}

"""Sagestead under measurement: `sagestead up` in a temporary folder, asked as any client asks it."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from load import Exchange, LoadError, wait_until
from model import Question
from servers import Running, free_port

BUCKET = "bench"
IMAGE = "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:3.0-5"
READY_LIMIT = 60.0
SERVICE_LIMIT = 120.0


def has_option(option: str) -> bool:
    """Return whether this version's `sagestead up` takes an option."""
    return option in _sagestead("up", "--help")


def _sagestead(*words: str) -> str:
    command = [sys.executable, "-m", "sagestead", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout  # noqa: S603 - ours


class Ours(Running):
    """A server in a folder of its own; ready when the block begins."""

    def __init__(self, name: str, *options: str, front_doors: int = 2) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="sagestead-bench-"))
        self.data = self.root / "data"
        self.port = free_port()
        words = ["up", "--port", str(self.port), "--data", str(self.data), "--front-doors", str(front_doors)]
        super().__init__(name, [sys.executable, "-m", "sagestead", *words, *options])
        self.variables: dict[str, str] = {}
        self.ready_after = 0.0

    @property
    def address(self) -> str:
        """Return host and port."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        began = time.perf_counter()
        super().__enter__()
        try:
            wait_until(self._ready, "sagestead up", READY_LIMIT)
            self.ready_after = time.perf_counter() - began
            self.variables = json.loads(_sagestead("env", "--shell", "json", "--data", str(self.data)))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *why: object) -> None:
        super().__exit__(*why)
        with suppress(OSError):
            shutil.copy(self.data / "sagestead.log", self.log.with_suffix(".service.log"))
        shutil.rmtree(self.root, ignore_errors=True)

    def _ready(self) -> bool:
        self.alive()
        return b"Sagestead is ready" in self.log.read_bytes()

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3's clients have no types
        """Return a boto3 client."""
        return boto3.client(
            service,
            endpoint_url=f"http://{self.address}",
            region_name=self.variables["AWS_REGION"],
            aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": 1}),
        )

    def sign(self, path: str, body: bytes) -> dict[str, str]:
        """Return the headers of an invocation signed now."""
        headers = {"Content-Type": "text/csv", "Accept": "text/csv"}
        request = AWSRequest("POST", f"http://{self.address}{path}", headers, body)
        keys = Credentials(self.variables["AWS_ACCESS_KEY_ID"], self.variables["AWS_SECRET_ACCESS_KEY"])
        SigV4Auth(keys, "sagemaker", self.variables["AWS_REGION"]).add_auth(request)
        return dict(request.headers.items())

    def exchanges(self, endpoint: str, asked: Sequence[Question]) -> list[Exchange]:
        """Return signed invocations whose answers must be right byte for byte."""
        path = f"/endpoints/{endpoint}/invocations"
        return [Exchange(path, self.sign(path, one.csv), one.csv, same_as(one.answer)) for one in asked]


def same_as(expected: bytes) -> Callable[[bytes], bool]:
    """Return the test that an answer is exactly this."""
    return lambda body: body == expected


@dataclass
class Deployment:
    """Creates models and endpoints on a server."""

    server: Ours

    def __post_init__(self) -> None:
        self.sagemaker = self.server.client("sagemaker")
        self.s3 = self.server.client("s3")
        with suppress(self.s3.exceptions.BucketAlreadyOwnedByYou):
            self.s3.create_bucket(Bucket=BUCKET)

    def model(self, name: str, file: bytes, instances: int = 1) -> None:
        """Upload a model file and create the model and an endpoint configuration of its name."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
            member = tarfile.TarInfo("xgboost-model")
            member.size = len(file)
            archive.addfile(member, io.BytesIO(file))
        key = f"{name}/model.tar.gz"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=packed.getvalue())
        container = {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/{key}"}
        role = self.server.variables["SAGEMAKER_ROLE_ARN"]
        self.sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role)
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": name,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": instances,
        }
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])

    def create(self, endpoint: str, model: str) -> None:
        """Create an endpoint of a model without waiting."""
        self.sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=model)

    def wait(self, endpoint: str) -> None:
        """Return when an endpoint is in service."""
        deadline = time.monotonic() + SERVICE_LIMIT
        while (status := self.sagemaker.describe_endpoint(EndpointName=endpoint))[
            "EndpointStatus"
        ] == "Creating":
            if time.monotonic() > deadline:
                raise LoadError(f"{endpoint} was not in service after {SERVICE_LIMIT:.0f} s")
            time.sleep(0.002)
        if status["EndpointStatus"] != "InService":
            raise LoadError(f"{endpoint} is {status['EndpointStatus']}: {status.get('FailureReason', '')}")

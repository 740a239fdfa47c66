"""The first start on a machine: nothing is compiled yet, and nobody waits for a compiler."""

import io
import select
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

Start = Callable[..., AbstractContextManager[subprocess.Popen[bytes]]]
Variables = Callable[..., dict[str, str]]
ClientOf = Callable[..., Any]

IMAGE = "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:3.0-5"
ROWS = np.random.default_rng(3).normal(size=(40, 3)).astype(np.float32)
COMPILED_SECONDS = 120.0
READY_SECONDS = 6.0
"""2 s on an idle machine; the tests share theirs."""


def trained() -> tuple[bytes, str]:
    """Return a model's archive, and the container's answer to `ROWS`."""
    booster = xgboost.train({"max_depth": 4, "nthread": 1}, xgboost.DMatrix(ROWS, ROWS[:, 0] > 0), 6)
    content, packed = bytes(booster.save_raw("ubj")), io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("xgboost-model")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    predicted = booster.predict(xgboost.DMatrix(ROWS))
    return packed.getvalue(), "".join(f"{float(value)!r}\n" for value in predicted)


def deploy(client: Callable[[str], Any], role: str, archive: bytes) -> None:
    """Create an endpoint `first` and return when it is in service."""
    s3, sagemaker = client("s3"), client("sagemaker")
    s3.create_bucket(Bucket="models")
    s3.put_object(Bucket="models", Key="model.tar.gz", Body=archive)
    container = {"Image": IMAGE, "ModelDataUrl": "s3://models/model.tar.gz"}
    sagemaker.create_model(ModelName="first", PrimaryContainer=container, ExecutionRoleArn=role)
    variant = {
        "VariantName": "one",
        "ModelName": "first",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName="first", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="first", EndpointConfigName="first")
    while sagemaker.describe_endpoint(EndpointName="first")["EndpointStatus"] == "Creating":
        continue  # an answer is held until something changes


def descendants(process_id: int) -> Iterator[int]:
    """Yield the processes below one."""
    for children in Path(f"/proc/{process_id}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            yield child
            yield from descendants(child)


def has_kernels(process_id: int, *words: str) -> bool:
    """Say whether the process of a service whose command ends with these words has compiled code loaded."""
    for child in descendants(process_id):
        with suppress(FileNotFoundError, ProcessLookupError):
            command = Path(f"/proc/{child}/cmdline").read_text().strip("\0").split("\0")
            if command[-len(words) :] == list(words):
                return "llvmlite" in Path(f"/proc/{child}/maps").read_text()
    return False


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + COMPILED_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        select.select([], [], [], 0.1)


def test_answers_are_right_before_there_are_kernels_and_by_them(
    tmp_path: Path,
    start: Start,
    variables_of: Variables,
    client_of: ClientOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kernels = tmp_path / "cache" / "sagestead" / "kernels"
    archive, expected = trained()
    begun = time.monotonic()
    with start(tmp_path / "data", "--front-doors", "1") as service:
        assert time.monotonic() - begun < READY_SECONDS
        variables = variables_of(tmp_path / "data")
        deploy(partial(client_of, variables), variables["SAGEMAKER_ROLE_ARN"], archive)
        runtime = client_of(variables, "sagemaker-runtime")

        def answer() -> str:
            body = "\n".join(",".join(map(repr, row)) for row in ROWS.tolist())
            answered = runtime.invoke_endpoint(EndpointName="first", Body=body, ContentType="text/csv")
            return str(answered["Body"].read().decode())

        assert answer() == expected
        assert not list(kernels.glob("*/complete"))
        until(lambda: has_kernels(service.pid, "front-0"))
        assert answer() == expected
        assert list(kernels.glob("*/complete"))
        until(lambda: has_kernels(service.pid, "working"))

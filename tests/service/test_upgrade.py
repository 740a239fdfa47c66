"""A program that lays out models in another way starts on the data folder of one before it."""

import io
import json
import re
import subprocess
import tarfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

from sagestead.forest.version import VERSION
from sagestead.settings import Folder

Start = Callable[..., AbstractContextManager[subprocess.Popen[bytes]]]
Variables = Callable[..., dict[str, str]]
ClientOf = Callable[..., Any]

IMAGE = "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:3.0-5"
ENDPOINTS = 4
SLOW_SECONDS = 2
ROW = b"0.5,1.5"


def trained(number: int) -> tuple[bytes, float]:
    """Return a model's archive and what XGBoost predicts for the row."""
    rows = np.random.default_rng(number).normal(size=(50, 2)).astype(np.float32)
    data = xgboost.DMatrix(rows, rows[:, 0] * number + rows[:, 1])
    booster = xgboost.train({"max_depth": 3, "nthread": 1}, data, 4)
    content, packed = bytes(booster.save_raw("ubj")), io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("xgboost-model")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    row = np.array([[0.5, 1.5]], np.float32)
    return packed.getvalue(), float(booster.predict(xgboost.DMatrix(row))[0])


def newer(folder: Path) -> str:
    """Return a folder of modules that make the service one of another layout, slow to prepare models."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(f"""
import select, sys
import sagestead.forest.version as found
found.VERSION = {VERSION + 1}
if sys.orig_argv[-1] == "preparing":
    select.select([], [], [], {SLOW_SECONDS})
""")
    return str(folder)


def deploy(client: Callable[[str], Any], role: str, number: int, archive: bytes) -> None:
    """Create an endpoint of a model."""
    sagemaker, name = client("sagemaker"), f"e-{number}"
    client("s3").put_object(Bucket="models", Key=f"{name}.tar.gz", Body=archive)
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://models/{name}.tar.gz"}
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role)
    variant = {
        "VariantName": "one",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    while sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Creating":
        continue  # an answer is held until something changes


def test_no_request_is_refused_once_the_newer_program_is_ready(
    tmp_path: Path,
    start: Start,
    variables_of: Variables,
    client_of: ClientOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, models = tmp_path / "data", [trained(number) for number in range(ENDPOINTS)]
    with start(data):
        variables = variables_of(data)
        client_of(variables, "s3").create_bucket(Bucket="models")
        for number, (archive, _) in enumerate(models):
            deploy(partial(client_of, variables), variables["SAGEMAKER_ROLE_ARN"], number, archive)
    assert layouts(data) == {str(VERSION)}
    monkeypatch.setenv("PYTHONPATH", newer(tmp_path / "newer"))
    with start(data):
        runtime = client_of(variables_of(data), "sagemaker-runtime", retries={"total_max_attempts": 1})
        for number, (_, expected) in enumerate(models):
            answer = runtime.invoke_endpoint(EndpointName=f"e-{number}", Body=ROW, ContentType="text/csv")
            assert float(answer["Body"].read()) == expected
        assert layouts(data) == {str(VERSION + 1)}
        assert json.loads(Folder(data).layouts.read_bytes()) == {"xgboost": str(VERSION + 1)}


def layouts(data: Path) -> set[str]:
    """Return the layouts of all prepared models."""
    facts = [json.loads(path.read_bytes()) for path in Folder(data).runs.glob("*/prepared/model.json")]
    return {re.sub(" .*", "", fact["layout"]) for fact in facts}

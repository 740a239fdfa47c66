from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from threading import Barrier

import pytest

from sagestead.wire.models import ServiceModel, service_model


def test_a_service_is_described_by_botocores_model() -> None:
    sagemaker, iam = service_model("sagemaker"), service_model("iam")
    assert (sagemaker.protocol, sagemaker.version, sagemaker.target_prefix) == (
        "json",
        "2017-07-24",
        "SageMaker",
    )
    assert (iam.protocol, iam.namespace) == ("query", "https://iam.amazonaws.com/doc/2010-05-08/")
    assert len(sagemaker.operations) >= 425
    assert "CreateModel" in sagemaker
    assert "CreateModels" not in sagemaker
    assert sagemaker.operation("DeleteModel").output is None
    assert iam.operation("GetRole").result_wrapper == "GetRoleResult"


def test_a_shape_may_contain_itself() -> None:
    search = service_model("sagemaker").operation("Search").input
    assert search is not None
    expression = search.members["SearchExpression"]
    assert expression.members["SubExpressions"].element is expression


def test_unknown_names_are_lookup_errors() -> None:
    with pytest.raises(LookupError, match="no model of the service"):
        service_model("nothing")
    with pytest.raises(KeyError):
        service_model("sts").operation("Nothing")


def test_threads_that_ask_at_once_get_whole_shapes() -> None:
    package = find_spec("botocore")
    assert package is not None
    assert package.origin is not None
    (file,) = (Path(package.origin).parent / "data/sagemaker").glob("*/service-2.json.gz")
    raw = json.loads(gzip.decompress(file.read_bytes()))
    barrier = Barrier(8)

    for operation in ("CreateTrainingJob", "CreateModel", "DescribeTrainingJob"):
        model = ServiceModel("sagemaker", raw)

        def members(model: ServiceModel = model, operation: str = operation) -> int:
            barrier.wait()
            shape = model.operation(operation).input
            assert shape is not None
            return sum(len(part.members) for part in shape.members.values()) + len(shape.members)

        with ThreadPoolExecutor(8) as threads:
            counts = [asked.result() for asked in [threads.submit(members) for _ in range(8)]]
        assert len(set(counts)) == 1

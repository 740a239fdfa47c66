"""Whatever a client sends to any operation, it gets an answer of AWS's shape or a refusal, never a defect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.control.operations.service import IMAGE, ROLE, TRUST, Service
from tests.control.operations.tuning_request import REQUEST
from tests.wire.shape_values import fitting

from sagestead.control.context import Context, Operation
from sagestead.control.operations import cloudwatch, iam, logs, sagemaker, sts
from sagestead.domain.errors import Refusal
from sagestead.domain.logs import LogStream
from sagestead.domain.resources import Json
from sagestead.wire import awsjson, query
from sagestead.wire.models import service_model
from sagestead.wire.shapes import Shape

TABLES: dict[str, dict[str, Operation]] = {
    "sagemaker": sagemaker.OPERATIONS,
    "iam": iam.OPERATIONS,
    "sts": sts.OPERATIONS,
    "logs": logs.OPERATIONS,
    "cloudwatch": cloudwatch.OPERATIONS,
}
EVERY = [f"{service} {operation}" for service, table in TABLES.items() for operation in table]
THERE = {
    "ModelName": "cats",
    "EndpointConfigName": "config",
    "EndpointName": "pets",
    "TrainingJobName": "job",
    "HyperParameterTuningJobName": "Search",
    "ModelPackageGroupName": "Pets",
    "ModelPackageName": "lone",
    "ModelPackageArn": "arn:aws:sagemaker:us-east-1:123456789012:model-package/pets/1",
    "RoleName": "Worker",
    "RoleArn": ROLE,
    "ExecutionRoleArn": ROLE,
    "logGroupName": "/aws/sagemaker/TrainingJobs",
    "logStreamName": "s",
    "ResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:model/cats",
    "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess",
    "PolicySourceArn": ROLE,
}
SOMETHING: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=4),
    st.sampled_from([[], {}, [None], [{}], 1e300]),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("world"))
    role = {"RoleName": "Worker", "Path": "/service-role/", "AssumeRolePolicyDocument": json.dumps(TRUST)}
    iam.OPERATIONS["CreateRole"](service.context(), role)
    service.model()
    service.config()
    service.endpoint()
    service.call("CreateModelPackageGroup", ModelPackageGroupName="Pets")
    for name in ({"ModelPackageGroupName": "Pets"}, {"ModelPackageName": "lone"}):
        specification = {"Containers": [{"Image": IMAGE}]}
        service.call("CreateModelPackage", **name, InferenceSpecification=specification)
    service.put("b", "train/data.csv")
    service.call("CreateHyperParameterTuningJob", **REQUEST)
    job = LogStream("123456789012", "us-east-1", "/aws/sagemaker/TrainingJobs", "s")
    service.context().logs.append(job, ["a", "b"], 1.0)
    yield service
    service.close()


def named(request: Json, shape: Shape, known: set[str]) -> Json:
    """Return the request with some names of things that are there."""
    return {**request, **{name: THERE[name] for name in known if name in shape.members}}


@pytest.mark.parametrize("place", EVERY)
@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_a_request_that_fits_is_answered_or_refused(world: Service, place: str, data: st.DataObject) -> None:
    service, operation = place.split()
    shape = service_model(service).operation(operation).input
    assert shape is not None
    request = named(data.draw(fitting(shape)), shape, data.draw(st.sets(st.sampled_from(sorted(THERE)))))
    carry_out(world.context(), service, operation, request)


@pytest.mark.parametrize("operation", sorted(sagemaker.OPERATIONS))
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_request_that_does_not_fit_is_refused(world: Service, operation: str, data: st.DataObject) -> None:
    shape = service_model("sagemaker").operation(operation).input
    assert shape is not None
    names = sorted(shape.members)
    wrong: Json = data.draw(st.dictionaries(st.sampled_from(names), SOMETHING, max_size=3))
    try:
        request = awsjson.decode("sagemaker", operation, json.dumps(wrong).encode())
    except Refusal as refusal:
        check(refusal)
    else:
        carry_out(world.context(), "sagemaker", operation, request)


def carry_out(ctx: Context, service: str, operation: str, request: Json) -> None:
    """Carry out an operation; it must answer in AWS's shape, in bytes, or refuse."""
    try:
        answer: Any = TABLES[service][operation](ctx, request)
    except Refusal as refusal:
        check(refusal)
        return
    assert awsjson.defects(service, operation, answer) == []
    if service in {"iam", "sts"}:
        query.encode(service, operation, answer, "id")
    else:
        awsjson.encode(service, operation, answer)


def check(refusal: Refusal) -> None:
    assert 400 <= refusal.status < 500
    assert refusal.sentence.encode()

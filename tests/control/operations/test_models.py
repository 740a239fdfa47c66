"""Models: what is accepted, echoed and refused."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.control.operations.service import ACCOUNT, IMAGE, ROLE, Service

from sagestead.control.operations import models
from sagestead.domain.errors import Refusal
from sagestead.domain.resources import Kind

ARN = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model/cats"
URL = "s3://b/m/model.tar.gz"
GZIP = {"S3Uri": URL, "S3DataType": "S3Object", "CompressionType": "Gzip"}


def test_a_model_is_described_as_it_was_made(service: Service) -> None:
    service.put("b", "m/model.tar.gz")
    service.role()
    container = {"Image": IMAGE, "ModelDataUrl": URL, "Environment": {}}
    answer = service.call("CreateModel", ModelName="Cats", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    assert answer == {"ModelArn": ARN}
    assert service.call("DescribeModel", ModelName="Cats") == {
        "ModelName": "Cats",
        "ModelArn": ARN,
        "PrimaryContainer": container,
        "ExecutionRoleArn": ROLE,
        "EnableNetworkIsolation": False,
        "CreationTime": service.now,
    }


def test_what_asks_for_nothing_is_not_echoed_as_an_empty_structure(service: Service) -> None:
    service.call(
        "CreateModel",
        ModelName="cats",
        PrimaryContainer={"Image": IMAGE, "MultiModelConfig": {}, "Mode": "SingleModel"},
        Containers=[],
        Tags=[],
    )
    described = service.call("DescribeModel", ModelName="cats")
    assert described["PrimaryContainer"] == {"Image": IMAGE, "Mode": "SingleModel"}


@pytest.mark.parametrize(
    "artifact",
    [
        {"ModelDataUrl": URL},
        {"ModelDataUrl": "https://b.s3.us-east-1.amazonaws.com/m/model.tar.gz"},
        {"ModelDataUrl": "https://b.s3-us-east-1.amazonaws.com/m/model.tar.gz"},
        {"ModelDataUrl": "https://b.s3.amazonaws.com/m/model%2Etar.gz"},
        {"ModelDataUrl": "https://s3.us-east-1.amazonaws.com/b/m/model.tar.gz"},
        {"ModelDataSource": {"S3DataSource": GZIP}},
    ],
)
def test_an_artifact_may_be_named_in_every_form(service: Service, artifact: dict[str, Any]) -> None:
    service.put("b", "m/model.tar.gz")
    service.model(**artifact, Environment={"A": "1"})
    service.config()
    service.endpoint()
    [variant] = service.record(Kind.ENDPOINT, "pets").spec["ProductionVariants"]
    assert variant["Container"] == {"Image": IMAGE, "ModelDataUrl": URL, "Environment": {"A": "1"}}


def test_an_artifact_that_is_not_there_is_refused(service: Service) -> None:
    service.put("b", "other")
    refusal = service.refusal(
        "CreateModel", ModelName="cats", PrimaryContainer={"Image": IMAGE, "ModelDataUrl": URL}
    )
    assert refusal == ("ValidationException", "Could not find model data at s3://b/m/model.tar.gz.")


@pytest.mark.parametrize(
    ("container", "sentence"),
    [
        ({}, "A model needs a container"),
        ({"Mode": "SingleModel"}, "PrimaryContainer.Image is missing"),
        ({"Image": IMAGE, "Mode": "MultiModel"}, 'PrimaryContainer.Mode "MultiModel" is not supported'),
        ({"Image": IMAGE, "MultiModelConfig": {"ModelCacheSetting": "Disabled"}}, "MultiModelConfig is not"),
        ({"ModelPackageName": "p"}, "model-package/p does not exist"),
        ({"Image": IMAGE, "InferenceSpecificationName": "p"}, "InferenceSpecificationName"),
        ({"Image": IMAGE, "ImageConfig": {"RepositoryAccessMode": "Vpc"}}, "RepositoryAccessMode"),
        ({"Image": IMAGE, "ModelDataUrl": "s3://b/m/"}, "names no object"),
        ({"Image": IMAGE, "ModelDataUrl": "https://example.com/m.tar.gz"}, "is not an S3 URI"),
        (
            {"Image": IMAGE, "ModelDataUrl": URL, "ModelDataSource": {"S3DataSource": GZIP}},
            "exclude each other",
        ),
        (
            {"Image": IMAGE, "ModelDataSource": {"S3DataSource": {**GZIP, "S3DataType": "S3Prefix"}}},
            'S3DataType "S3Prefix" is not supported',
        ),
        (
            {"Image": IMAGE, "ModelDataSource": {"S3DataSource": {**GZIP, "CompressionType": "None"}}},
            'CompressionType "None" is not supported',
        ),
        (
            {
                "Image": IMAGE,
                "ModelDataSource": {"S3DataSource": {**GZIP, "ModelAccessConfig": {"AcceptEula": True}}},
            },
            "ModelAccessConfig is not supported",
        ),
        (
            {
                "Image": IMAGE,
                "AdditionalModelDataSources": [
                    {"ChannelName": "a", "S3DataSource": {**GZIP, "S3DataType": "S3Object"}}
                ],
            },
            "AdditionalModelDataSources is not supported",
        ),
    ],
)
def test_a_container_that_is_not_carried_out_is_refused_by_name(
    service: Service, container: dict[str, Any], sentence: str
) -> None:
    code, said = service.refusal("CreateModel", ModelName="cats", PrimaryContainer=container)
    assert code == "ValidationException"
    assert sentence in said


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({}, "A model needs a container"),
        ({"Containers": [{"Image": IMAGE}, {"Image": IMAGE}]}, "inference pipeline"),
        ({"Containers": [{"Image": IMAGE}], "PrimaryContainer": {"Image": IMAGE}}, "exclude each other"),
        (
            {
                "PrimaryContainer": {"Image": IMAGE},
                "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["s-1"]},
            },
            "VpcConfig is not supported",
        ),
        (
            {"PrimaryContainer": {"Image": IMAGE}, "InferenceExecutionConfig": {"Mode": "Direct"}},
            'InferenceExecutionConfig.Mode "Direct" is not supported',
        ),
        (
            {"PrimaryContainer": {"Image": IMAGE, "Environment": {"MMS_JOB_QUEUE_SIZE": "9"}}},
            "Environment.MMS_JOB_QUEUE_SIZE is not supported by this server",
        ),
        ({"PrimaryContainer": {"Image": IMAGE}, "ExecutionRoleArn": ROLE}, f"Could not assume role {ROLE}."),
    ],
)
def test_a_model_that_is_not_carried_out_is_refused_by_name(
    service: Service, request_: dict[str, Any], sentence: str
) -> None:
    code, said = service.refusal("CreateModel", ModelName="cats", **request_)
    assert code == "ValidationException"
    assert sentence in said


def test_a_model_without_a_network_is_kept_as_such(service: Service) -> None:
    script = {"Image": IMAGE, "Environment": {"SAGEMAKER_PROGRAM": "serve.py"}}
    service.call("CreateModel", ModelName="cats", PrimaryContainer=script, EnableNetworkIsolation=True)
    assert service.call("DescribeModel", ModelName="cats")["EnableNetworkIsolation"] is True
    assert models.container_of(service.record(Kind.MODEL, "cats")) == {
        **script,
        "EnableNetworkIsolation": True,
    }


def test_a_script_without_a_network_is_refused_where_there_can_be_none(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "can_leave_network", lambda: False)
    script = {"Image": IMAGE, "Environment": {"SAGEMAKER_PROGRAM": "serve.py"}}
    request = {"ModelName": "cats", "PrimaryContainer": script, "EnableNetworkIsolation": True}
    assert "EnableNetworkIsolation true is not supported" in service.refusal("CreateModel", **request)[1]
    request["PrimaryContainer"] = {"Image": IMAGE}
    service.call("CreateModel", **request)


def test_one_container_in_a_list_is_a_model(service: Service) -> None:
    service.call("CreateModel", ModelName="cats", Containers=[{"Image": IMAGE}])
    described = service.call("DescribeModel", ModelName="cats")
    assert described["Containers"] == [{"Image": IMAGE}]


def test_a_name_is_taken_in_any_case(service: Service) -> None:
    service.model("cats")
    container = {"Image": IMAGE}
    assert service.refusal("CreateModel", ModelName="CATS", PrimaryContainer=container) == (
        "ValidationException",
        f'Cannot create already existing model "{ARN}".',
    )


def test_a_deleted_model_is_not_found(service: Service) -> None:
    service.model()
    assert service.call("DeleteModel", ModelName="cats") is None
    not_found = ("ValidationException", f'Could not find model "{ARN}".')
    assert service.refusal("DeleteModel", ModelName="cats") == not_found
    assert service.refusal("DescribeModel", ModelName="cats") == not_found
    service.model()


def test_models_are_listed_newest_first(service: Service) -> None:
    for name in ("b", "a", "c"):
        service.now += 1
        service.model(name)
    listed = service.call("ListModels")
    assert [model["ModelName"] for model in listed["Models"]] == ["c", "a", "b"]
    assert listed["Models"][0] == {
        "ModelName": "c",
        "ModelArn": f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model/c",
        "CreationTime": service.now,
    }
    assert "NextToken" not in listed


def test_of_many_who_make_the_same_model_at_once_one_does(service: Service) -> None:
    request = {"ModelName": "cats", "PrimaryContainer": {"Image": IMAGE}}

    def make(_: int) -> str:
        try:
            arn: str = service.call("CreateModel", **request)["ModelArn"]
        except Refusal as refusal:
            return refusal.sentence
        return arn

    with ThreadPoolExecutor(8) as threads:
        answers = Counter(threads.map(make, range(16)))
    assert answers == {ARN: 1, f'Cannot create already existing model "{ARN}".': 15}

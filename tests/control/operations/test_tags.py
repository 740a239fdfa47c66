"""Tags: at creation and afterwards."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from tests.control.operations.service import ACCOUNT, IMAGE, Service

from sagestead.domain.resources import Kind

ARN = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model/cats"


def tag(key: str, value: str = "v") -> dict[str, str]:
    return {"Key": key, "Value": value}


@pytest.fixture
def tagged(service: Service) -> Service:
    service.call(
        "CreateModel", ModelName="Cats", PrimaryContainer={"Image": IMAGE}, Tags=[tag("a"), tag("b", "")]
    )
    return service


def test_tags_are_given_added_overwritten_and_removed(tagged: Service) -> None:
    assert tagged.call("ListTags", ResourceArn=ARN) == {"Tags": [tag("a"), tag("b", "")]}
    answer = tagged.call("AddTags", ResourceArn=ARN, Tags=[tag("b", "2"), tag("c")])
    assert answer == {"Tags": [tag("a"), tag("b", "2"), tag("c")]}
    assert tagged.call("DeleteTags", ResourceArn=ARN, TagKeys=["a", "absent"]) == {}
    assert tagged.call("ListTags", ResourceArn=ARN, MaxResults=50) == {"Tags": [tag("b", "2"), tag("c")]}
    assert "Tags" not in tagged.record(Kind.MODEL, "Cats").spec


def test_tagging_changes_nothing_else(service: Service) -> None:
    service.model()
    service.config()
    service.endpoint()
    before = service.record(Kind.ENDPOINT, "pets")
    service.now += 5
    service.call("AddTags", ResourceArn=before.arn, Tags=[tag("a")])
    assert service.record(Kind.ENDPOINT, "pets") == replace(before, tags={"a": "v"}, version=2)


def test_a_resource_has_fifty_tags_at_most(tagged: Service) -> None:
    tagged.call("AddTags", ResourceArn=ARN, Tags=[tag(f"k{number}") for number in range(48)])
    code, sentence = tagged.refusal("AddTags", ResourceArn=ARN, Tags=[tag("one too many")])
    assert (code, sentence) == (
        "ValidationException",
        "A resource can have 50 tags, not 51; remove some of them first.",
    )


@pytest.mark.parametrize(
    ("tags", "sentence"),
    [([tag("aws:x")], "reserved"), ([tag("AWS:x")], "reserved"), ([tag("a"), tag("a", "2")], "twice")],
)
def test_tags_that_cannot_be_are_refused(tagged: Service, tags: Any, sentence: str) -> None:
    assert sentence in tagged.refusal("AddTags", ResourceArn=ARN, Tags=tags)[1]
    container = {"Image": IMAGE}
    assert sentence in tagged.refusal("CreateModel", ModelName="x", PrimaryContainer=container, Tags=tags)[1]


@pytest.mark.parametrize(
    ("arn", "sentence"),
    [
        (ARN.replace("us-east-1", "eu-west-1"), "ARN should be scoped to correct region: us-east-1"),
        (ARN.replace("cats", "dogs"), "Could not find resource"),
        (ARN.replace("model/", "endpoint/"), "Could not find resource"),
        (ARN.replace("model/", "role/"), "Could not find resource"),
        (ARN.replace(ACCOUNT, "210987654321"), "Could not find resource"),
        (ARN.replace("model/cats", "model"), "Could not find resource"),
    ],
)
@pytest.mark.parametrize("operation", ["AddTags", "ListTags", "DeleteTags"])
def test_tags_of_nothing_are_refused(tagged: Service, operation: str, arn: str, sentence: str) -> None:
    extra: dict[str, Any] = {"AddTags": {"Tags": [tag("a")]}, "DeleteTags": {"TagKeys": ["a"]}}
    code, said = tagged.refusal(operation, ResourceArn=arn, **extra.get(operation, {}))
    assert code == "ValidationException"
    assert sentence in said


def test_there_is_no_second_page_of_tags(tagged: Service) -> None:
    assert tagged.refusal("ListTags", ResourceArn=ARN, NextToken="x")[1].startswith("Invalid NextToken")


def test_there_are_no_monitoring_schedules(service: Service) -> None:
    answer = service.call("ListMonitoringSchedules", EndpointName="pets", MaxResults=100)
    assert answer == {"MonitoringScheduleSummaries": []}


def test_of_many_who_tag_at_once_nobody_is_lost(tagged: Service) -> None:
    def add(number: int) -> None:
        tagged.call("AddTags", ResourceArn=ARN, Tags=[tag(f"k{number}")])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, range(20)))
    keys = {one["Key"] for one in tagged.call("ListTags", ResourceArn=ARN)["Tags"]}
    assert keys == {"a", "b", *(f"k{number}" for number in range(20))}

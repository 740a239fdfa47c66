"""Pages, filters and tokens of List operations."""

import base64
from dataclasses import replace
from typing import Any

import pytest
from tests.control.operations.service import Service

from sagestead.domain.resources import Kind

BAD = "Invalid NextToken"


@pytest.fixture
def listed(service: Service) -> Service:
    """Models m00 to m24, one a second."""
    for number in range(25):
        service.now += 1
        service.model(f"m{number:02}")
    return service


def names(answer: Any) -> list[str]:
    return [model["ModelName"] for model in answer["Models"]]


def test_pages_of_ten_follow_each_other(listed: Service) -> None:
    first = listed.call("ListModels")
    second = listed.call("ListModels", NextToken=first["NextToken"])
    third = listed.call("ListModels", NextToken=second["NextToken"])
    found = names(first) + names(second) + names(third)
    assert [len(names(page)) for page in (first, second, third)] == [10, 10, 5]
    assert found == [f"m{number:02}" for number in range(24, -1, -1)]
    assert "NextToken" not in third


def test_a_page_that_holds_the_rest_exactly_is_the_last(listed: Service) -> None:
    assert "NextToken" not in listed.call("ListModels", MaxResults=25)


def test_filters_and_orders(listed: Service) -> None:
    first = listed.now - 24
    assert names(listed.call("ListModels", NameContains="M1", SortBy="Name", SortOrder="Ascending")) == [
        f"m1{digit}" for digit in range(10)
    ]
    window = {"CreationTimeAfter": first + 3, "CreationTimeBefore": first + 5}
    assert names(listed.call("ListModels", **window)) == ["m04", "m03"]
    assert names(listed.call("ListModels", NameContains="x")) == []


def test_what_is_made_and_deleted_between_pages_moves_nothing(listed: Service) -> None:
    first = listed.call("ListModels", MaxResults=5)
    listed.now += 1
    listed.model("newest")
    listed.call("DeleteModel", ModelName="m20")
    listed.call("DeleteModel", ModelName="m17")
    second = listed.call("ListModels", MaxResults=5, NextToken=first["NextToken"])
    assert names(second) == ["m19", "m18", "m16", "m15", "m14"]


def test_the_page_size_may_change_between_pages(listed: Service) -> None:
    token = listed.call("ListModels", MaxResults=5)["NextToken"]
    assert names(listed.call("ListModels", MaxResults=2, NextToken=token)) == ["m19", "m18"]


@pytest.mark.parametrize("token", ["x", "=", "é", "A" * 64, base64.b64encode(b"\0" * 40).decode()])
def test_a_token_of_nobody_is_refused(listed: Service, token: str) -> None:
    code, sentence = listed.refusal("ListModels", NextToken=token)
    assert code == "ValidationException"
    assert BAD in sentence or "failed to satisfy constraint" in sentence


def test_a_changed_token_is_refused(listed: Service) -> None:
    token = listed.call("ListModels")["NextToken"]
    for index in range(len(token)):
        changed = token[:index] + ("A" if token[index] != "A" else "B") + token[index + 1 :]
        assert listed.refusal("ListModels", NextToken=changed)[1].startswith(BAD)


@pytest.mark.parametrize(
    "other", [{"NameContains": "m"}, {"SortBy": "Name"}, {"SortOrder": "Ascending"}, {"CreationTimeAfter": 1}]
)
def test_a_token_serves_only_the_question_it_came_from(listed: Service, other: dict[str, Any]) -> None:
    token = listed.call("ListModels")["NextToken"]
    assert listed.refusal("ListModels", NextToken=token, **other)[1].startswith(BAD)
    assert listed.refusal("ListEndpointConfigs", NextToken=token)[1].startswith(BAD)
    listed.principal = replace(listed.principal, account="210987654321")
    assert listed.refusal("ListModels", NextToken=token)[1].startswith(BAD)


def test_accounts_and_regions_do_not_see_each_other(listed: Service) -> None:
    ours = listed.principal
    for other in (replace(ours, account="210987654321"), replace(ours, region="eu-west-1")):
        listed.principal = other
        assert names(listed.call("ListModels")) == []
        assert listed.refusal("DescribeModel", ModelName="m00")[0] == "ValidationException"
        listed.model("m00")
        assert names(listed.call("ListModels")) == ["m00"]


def test_endpoints_are_filtered_by_status_and_change(service: Service) -> None:
    service.model()
    service.config()
    for name in ("a", "b", "c"):
        service.now += 1
        service.endpoint(name)
    service.now += 10
    service.becomes(Kind.ENDPOINT, "b", "InService")
    service.becomes(Kind.ENDPOINT, "a", "Failed")
    listed = service.call("ListEndpoints", StatusEquals="InService")["Endpoints"]
    assert [(one["EndpointName"], one["EndpointStatus"]) for one in listed] == [("b", "InService")]
    changed = service.call("ListEndpoints", LastModifiedTimeAfter=service.now, SortBy="Name")["Endpoints"]
    assert [one["EndpointName"] for one in changed] == ["b", "a"]
    by_status = service.call("ListEndpoints", SortBy="Status", SortOrder="Ascending")["Endpoints"]
    assert [one["EndpointStatus"] for one in by_status] == ["Creating", "Failed", "InService"]

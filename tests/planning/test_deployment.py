"""What becomes of approvals: plans carried out in a world that may crash between any two steps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagestead.domain.endpoint import EndpointStatus
from sagestead.domain.errors import Invalid
from sagestead.domain.model_package import Approval, check_rule, reference
from sagestead.domain.resources import Json, Key, Kind, Resource, resource_arn
from sagestead.planning.deployment import (
    FACTS,
    Names,
    Observed,
    give_up,
    mark_of,
    names_of,
    new_variant,
    plan,
    told,
)
from sagestead.planning.steps import ClaimRule, DeployPackage

ACCOUNT, REGION = "123456789012", "us-east-1"
SPECIFICATION: Json = {"Containers": [{"Image": "i", "ModelDataUrl": "s3://b/m"}]}


def version(number: int, approved_at: float | None) -> Resource:
    key = Key(Kind.MODEL_PACKAGE, ACCOUNT, REGION, f"pets/{number}")
    detail = {} if approved_at is None else {"_ApprovedAt": approved_at}
    status = Approval.PENDING if approved_at is None else Approval.APPROVED
    return Resource(key, resource_arn(key), {"InferenceSpecification": SPECIFICATION}, status.value, detail)


def endpoint_of(config: str, status: EndpointStatus = EndpointStatus.IN_SERVICE, **detail: Any) -> Resource:
    key = Key(Kind.ENDPOINT, ACCOUNT, REGION, "live")
    variant = {"VariantName": "v", "InstanceType": "ml.c5.large", "DesiredInstanceCount": 2}
    spec = {"EndpointConfigName": config, "ProductionVariants": [variant]}
    return Resource(key, resource_arn(key), spec, status.value, detail, created_at=1.0)


@dataclass
class World:
    """A group whose rule names the endpoint `live`, and an endpoint that takes a look to change."""

    packages: dict[int, Resource]
    endpoint: Resource | None = None
    claim: tuple[float, int] | None = None
    fails: bool = False
    asked: list[str] = field(default_factory=list)

    def look(self, number: int, now: float, crash: int | None = None) -> None:
        """Look once at a version; with `crash` so many steps are carried out and nothing is recorded."""
        package = self.packages[number]
        made = plan(package, Observed("live", self.claim, self.endpoint), now)
        for step in made.steps[:crash]:
            self.carry_out(step)
        if crash is None:
            self.packages[number] = replace(package, detail=made.detail)

    def carry_out(self, step: Any) -> None:
        if isinstance(step, ClaimRule):
            self.claim = max(self.claim or (0.0, 0), (step.at, step.version))
        elif isinstance(step, DeployPackage) and mark_of(self.endpoint) == step.before:
            self.asked.append(step.config)
            before = self.endpoint or endpoint_of("none", EndpointStatus.CREATING)
            status = EndpointStatus.UPDATING if self.endpoint else EndpointStatus.CREATING
            spec = {**before.spec, "EndpointConfigName": step.config}
            self.endpoint = replace(before, spec=spec, status=status.value, generation=before.generation + 1)

    def settle(self) -> None:
        """The endpoint comes to rest."""
        if self.endpoint is None or self.endpoint.status == EndpointStatus.IN_SERVICE:
            return
        if not self.fails:
            self.endpoint = replace(self.endpoint, status="InService", detail={})
        elif self.endpoint.status == EndpointStatus.UPDATING:
            spec = {**self.endpoint.spec, "EndpointConfigName": "before"}
            detail = {"FailureReason": "no ping"}
            self.endpoint = replace(self.endpoint, spec=spec, status="InService", detail=detail)
        else:
            self.endpoint = replace(self.endpoint, status="Failed", detail={"FailureReason": "no ping"})

    def told(self, number: int) -> str | None:
        return told(self.packages[number])


def finish(world: World) -> None:
    for _ in range(12):
        for number in world.packages:
            world.look(number, 0.0)
        world.settle()


def config_of(number: int) -> str:
    package = version(number, 1.0)
    return names_of(package.arn, 0.0, SPECIFICATION, new_variant(SPECIFICATION)).config


def test_an_approved_version_is_served_by_a_new_endpoint() -> None:
    world = World({1: version(1, 10.0)})
    world.look(1, 0.0)
    assert world.told(1) == "Changing on endpoint live"
    assert world.asked == []
    finish(world)
    assert world.told(1) == "InService on endpoint live"
    assert world.asked == [config_of(1)]


def test_an_endpoint_keeps_its_variant() -> None:
    world = World({1: version(1, 10.0)}, endpoint_of("before"))
    world.look(1, 0.0)
    assert world.packages[1].detail[FACTS]["Variant"] == {
        "VariantName": "v",
        "InstanceType": "ml.c5.large",
        "InitialInstanceCount": 2,
    }
    finish(world)
    assert world.told(1) == "InService on endpoint live"


def test_a_version_waits_for_a_change_under_way() -> None:
    world = World({1: version(1, 10.0)}, endpoint_of("before", EndpointStatus.UPDATING))
    world.look(1, 0.0)
    assert world.told(1) == "Waiting on endpoint live"
    finish(world)
    assert world.told(1) == "InService on endpoint live"


def test_of_several_approvals_the_latest_stays() -> None:
    world = World({1: version(1, 12.0), 2: version(2, 11.0), 3: version(3, None)})
    finish(world)
    assert world.told(1) == "InService on endpoint live"
    assert world.endpoint is not None
    assert world.endpoint.spec["EndpointConfigName"] == world.packages[1].detail[FACTS]["Config"]
    assert (world.told(2) or "").startswith(("Superseded", "InService"))
    assert world.told(3) is None


def test_what_fails_says_why_and_is_not_tried_again() -> None:
    world = World({1: version(1, 10.0)}, endpoint_of("before"), fails=True)
    finish(world)
    assert world.told(1) == "Failed on endpoint live: no ping"
    assert len(world.asked) == 1


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        (endpoint_of("before", EndpointStatus.FAILED), "the endpoint has failed"),
        (
            replace(endpoint_of("before"), spec={"ProductionVariants": [{}, {}]}),
            "the endpoint has several variants",
        ),
    ],
)
def test_an_endpoint_that_cannot_be_changed_is_left_alone(endpoint: Resource, reason: str) -> None:
    made = plan(version(1, 10.0), Observed("live", None, endpoint), 0.0)
    assert made.steps == ()
    assert reason in made.detail[FACTS]["Reason"]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (Observed(None, None, None), "Failed on endpoint live: the rule of the group was changed meanwhile"),
        (Observed("live", (11.0, 2), None), "Superseded on endpoint live: version 2 was approved later"),
        (
            Observed("live", None, None, "no such bucket, really"),
            "Failed on endpoint live: no such bucket  really",
        ),
    ],
)
def test_what_comes_in_between_ends_a_deployment(seen: Observed, said: str) -> None:
    world = World({1: version(1, 10.0)})
    world.look(1, 0.0)
    made = plan(world.packages[1], seen, 0.0)
    assert told(replace(world.packages[1], detail=made.detail)) == said


def test_a_version_that_cannot_be_deployed_fails() -> None:
    package = replace(version(1, 10.0), spec={})
    made = plan(package, Observed("live", None, None), 0.0)
    assert "has no InferenceSpecification" in made.detail[FACTS]["Reason"]
    assert give_up(package, "why").detail[FACTS]["State"] == "Failed"


def test_a_new_approval_begins_anew() -> None:
    world = World({1: version(1, 10.0)}, endpoint_of("before"), fails=True)
    finish(world)
    world.fails = False
    world.packages[1] = replace(world.packages[1], detail={**world.packages[1].detail, "_ApprovedAt": 20.0})
    finish(world)
    assert world.told(1) == "InService on endpoint live"
    assert len(world.asked) == 2


LOOKS = st.lists(st.tuples(st.integers(1, 2), st.none() | st.integers(0, 2), st.booleans()), max_size=12)


@settings(max_examples=150, deadline=None)
@given(LOOKS, st.booleans(), st.booleans(), st.permutations([10.0, 11.0]))
def test_whatever_crashes_each_approval_changes_the_endpoint_at_most_once(
    looks: list[tuple[int, int | None, bool]],
    exists: bool,  # noqa: FBT001 - drawn
    fails: bool,  # noqa: FBT001 - drawn
    times: list[float],
) -> None:
    packages = {number: version(number, at) for number, at in zip((1, 2), times, strict=True)}
    world = World(packages, endpoint_of("before") if exists else None, fails=fails)
    for number, crash, settles in looks:
        world.look(number, 0.0, crash)
        if settles:
            world.settle()
    finish(world)
    assert len(world.asked) == len(set(world.asked))
    latest = max(packages, key=lambda number: (times[number - 1], number))
    assert (world.told(latest) or "").startswith("Failed" if fails else "InService")
    if not fails and world.endpoint is not None:
        assert world.endpoint.spec["EndpointConfigName"] == world.packages[latest].detail[FACTS]["Config"]


@given(st.text("abc-", min_size=1, max_size=63), st.integers(1, 999_999_999))
def test_names_fit_and_say_what_they_stand_for(group: str, number: int) -> None:
    arn = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model-package/a{group.strip('-')}/{number}"
    names = names_of(arn, 1.5, SPECIFICATION, {})
    assert max(len(names.model), len(names.config)) <= 63
    assert names == names_of(arn, 1.5, dict(SPECIFICATION), {})
    others: list[Names] = [names_of(arn, 2.5, SPECIFICATION, {}), names_of(arn, 1.5, {}, {})]
    assert names.model not in {other.model for other in others}


def test_references_and_rules_are_read() -> None:
    assert reference("pets/1", REGION).name == "pets/1"
    assert reference(f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model-package/pets/1", REGION).name == "pets/1"
    check_rule({"sagestead:deploy-on-approval": "live", "other": "no endpoint"})
    with pytest.raises(Invalid, match="names no endpoint"):
        check_rule({"sagestead:deploy-on-approval": ""})

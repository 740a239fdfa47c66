"""Whatever happens, plans keep to the status tables and end in a steady state."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.planning.simulated import (
    ENDED,
    World,
    config,
    endpoint,
    processing_job,
    training_job,
    transform_job,
)

from sagestead.domain.runs import RunPhase
from sagestead.planning.failure import LIMIT

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "plan",
                "plan",
                "plan",
                "crash",
                "stage",
                "refuse",
                "ready",
                "die",
                "fail",
                "lose",
                "wait",
                "settle",
                "change",
                "rehost",
            ]
        ),
        st.integers(0, 7),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(EVENTS, st.integers(1, 2), st.integers(1, 2), st.booleans(), st.sampled_from(["inline", "worker"]))
def test_an_endpoint(
    events: list[tuple[str, int]],
    first: int,
    second: int,
    is_new: bool,  # noqa: FBT001 - drawn
    hosting: str,
) -> None:
    world = endpoint(config("c1", A=first, B=1))
    world.hosting = hosting
    if not is_new:
        world.settle()
    for number, (event, choice) in enumerate(events):
        if world.is_gone:
            return
        if event == "change":
            _change_endpoint(world, choice, number, second)
        elif event == "rehost":
            world.hosting = "worker" if world.hosting == "inline" else "inline"
        else:
            _happen(world, event, choice)
    _finish(world)
    if world.is_gone:
        return
    assert world.resource.status in {"InService", "Failed"}
    if world.resource.status == "Failed":
        assert 0 < len(world.resource.detail["FailureReason"]) <= LIMIT
        assert world.route is None
        assert not world.runs
    else:
        wanted = world.resource.spec["ProductionVariants"]
        counts = {one["VariantName"]: one["DesiredInstanceCount"] for one in wanted}
        runs = dict.fromkeys(counts, 1) if world.hosting == "inline" else counts
        assert world.route is not None
        assert {one.name: len(one.addresses) for one in world.route.variants} == runs
        assert len(world.runs) == sum(runs.values())
        shown = world.resource.detail["ProductionVariants"]
        assert {one["VariantName"]: one["CurrentInstanceCount"] for one in shown} == counts
        assert "PendingDeploymentSummary" not in world.resource.detail
        assert world.resource.detail["EndpointConfigName"] == world.resource.spec["EndpointConfigName"]


@settings(max_examples=150, deadline=None)
@given(EVENTS)
def test_a_training_job(events: list[tuple[str, int]]) -> None:
    _job(training_job(), events)


@settings(max_examples=150, deadline=None)
@given(EVENTS, st.integers(1, 3))
def test_a_transform_job(events: list[tuple[str, int]], instances: int) -> None:
    _job(transform_job(instances), events)


@settings(max_examples=150, deadline=None)
@given(EVENTS, st.integers(1, 3))
def test_a_processing_job(events: list[tuple[str, int]], instances: int) -> None:
    _job(processing_job(instances), events)


def _job(world: World, events: list[tuple[str, int]]) -> None:
    for event, choice in events:
        if event == "rehost":
            continue
        if event != "change":
            _happen(world, event, choice)
        elif world.resource.status == "InProgress":
            world.resource = replace(world.resource, status="Stopping")
    _finish(world)
    assert world.resource.status in {"Completed", "Failed", "Stopped"}
    assert not world.runs
    if world.resource.status == "Failed":
        assert 0 < len(world.resource.detail["FailureReason"]) <= LIMIT


def _change_endpoint(world: World, choice: int, number: int, count: int) -> None:
    status = world.resource.status
    if status == "InService" and choice < 3:
        world.update(config(f"c{number}", A=count, C=1))
    elif status == "InService" and choice < 6:
        spec = world.resource.spec
        variants = [{**one, "DesiredInstanceCount": count} for one in spec["ProductionVariants"]]
        world.resource = replace(
            world.resource, spec={**spec, "ProductionVariants": variants}, status="Updating"
        )
    elif status in {"InService", "Failed"}:
        world.resource = replace(world.resource, status="Deleting")


def _happen(world: World, event: str, choice: int) -> None:  # noqa: C901, PLR0912 - one case an event
    living = [run_id for run_id, run in world.runs.items() if run.phase not in ENDED]
    if event == "plan":
        world.plan()
    elif event == "crash":
        world.crash(choice)
    elif event == "settle":
        world.settled = True
    elif event == "wait":
        world.now += 10.0**choice / 1000
    elif event in {"stage", "refuse"} and world.busy:
        error = "ClientError: it is not there" if event == "refuse" else None
        chosen = sorted(world.busy)[choice % len(world.busy)]
        if world.runs and not world.resource.key.kind.value.startswith("endpoint"):
            world.collect(error)
        else:
            world.stage(chosen, error)
    elif living:
        chosen = living[choice % len(living)]
        if event == "ready" and world.runs[chosen].phase is RunPhase.STARTING:
            if world.runs[chosen].spec.role == "prepare":
                world.prepare(chosen)
            else:
                world.ready(chosen)
        elif event == "die":
            world.exit(chosen, -9)
        elif event == "fail":
            world.exit(chosen, 1, "it cannot be loaded")
        elif event == "lose":
            world.lose(chosen)


def _finish(world: World) -> None:
    """Let only good happen from now on, and no time pass without need."""
    world.settle()

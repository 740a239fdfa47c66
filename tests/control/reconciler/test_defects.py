"""What nobody foresaw ends in a sentence, and stops nobody else."""

from __future__ import annotations

import logging

import pytest
from tests.control.reconciler.world import World, endpoint_spec, training_detail, training_spec, variant

from sagestead.domain.resources import Kind


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("sagestead.control.reconciler.loop.delay", lambda _tries: 0.01)
    caplog.set_level(logging.CRITICAL)


def test_a_resource_that_cannot_be_planned_on_fails_and_the_others_go_on(world: World) -> None:
    broken = variant(None)
    del broken["Container"]
    world.create(Kind.ENDPOINT, "broken", "Creating", endpoint_spec("c", broken))
    job = training_spec()
    del job["AlgorithmSpecification"]
    world.create(Kind.TRAINING_JOB, "broken", "InProgress", job, training_detail())
    world.create(Kind.TRANSFORM_JOB, "broken", "InProgress", {"TransformResources": {"InstanceCount": 1}})
    world.create(Kind.ENDPOINT, "sound", "Creating", endpoint_spec("c", variant(None)))
    world.reaches(Kind.ENDPOINT, "sound", "InService")
    for kind in (Kind.ENDPOINT, Kind.TRAINING_JOB, Kind.TRANSFORM_JOB):
        failed = world.reaches(kind, "broken", "Failed")
        assert failed.detail["FailureReason"].startswith(
            "InternalServerError: Carrying it out failed 5 times, the last time with KeyError: "
        )


def test_a_broken_update_leaves_what_serves(world: World) -> None:
    spec = endpoint_spec("c1", variant(None))
    world.create(Kind.ENDPOINT, "kept", "Creating", spec)
    world.reaches(Kind.ENDPOINT, "kept", "InService")
    broken = variant(None)
    del broken["InstanceType"]
    world.change(Kind.ENDPOINT, "kept", "Updating", endpoint_spec("c2", broken), new_generation=True)
    after = world.reaches(Kind.ENDPOINT, "kept", "InService")
    assert after.detail["FailureReason"].startswith("InternalServerError: ")
    assert (after.detail["EndpointConfigName"], after.spec) == ("c1", spec)
    world.ready(after, 1)

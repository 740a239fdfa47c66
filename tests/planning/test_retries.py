"""How often a training job whose process is lost is started again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.planning.simulated import training_job


@pytest.mark.parametrize(("retries", "attempts"), [(None, 3), (1, 3), (5, 6)])
def test_a_retry_strategy_may_add_to_the_attempts(retries: int | None, attempts: int) -> None:
    world = training_job()
    if retries is not None:
        strategy = {"RetryStrategy": {"MaximumRetryAttempts": retries}}
        world.resource = replace(world.resource, spec={**world.resource.spec, **strategy})
    world.plan()
    run_id = world.full("algo-1")
    world.stage(run_id)
    for attempt in range(1, attempts + 1):
        world.plan()
        if world.resource.detail["SecondaryStatus"] == "Restarting":
            assert retries is not None
            world.plan()
        assert world.runs[run_id].attempt == attempt
        world.lose(run_id)
    world.plan()
    assert world.resource.detail["SecondaryStatus"] == "Uploading"

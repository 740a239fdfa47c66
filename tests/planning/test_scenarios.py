"""Plays the scripts of tests/scenarios: `> command`, then what the planner says to it, word for word.

A script that ought to change is written anew by running this file: `python -m tests.planning.test_scenarios`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.planning.simulated import World, config, endpoint, processing_job, training_job, transform_job

from sagestead.domain import training
from sagestead.domain.resources import Json
from sagestead.planning import steps
from sagestead.planning.steps import Plan, Step

SCENARIOS = Path(__file__).parents[1] / "scenarios"


@pytest.mark.parametrize("script", sorted(SCENARIOS.glob("*.txt")), ids=lambda path: path.stem)
def test_the_planner_says_what_the_script_says(script: Path) -> None:
    text = script.read_text()
    assert play(text) == text


def play(text: str) -> str:
    """Return the script with the answers that the planner gives today."""
    said: list[str] = []
    stage = _Stage()
    for line in text.splitlines():
        if line.startswith("> "):
            said += [line, *stage.act(line[2:])]
        elif line.startswith("#") or not line:
            said.append(line)
    return "\n".join(said) + "\n"


class _Stage:
    """The world that a script acts on."""

    def __init__(self) -> None:
        self._world: World | None = None

    def act(self, command: str) -> list[str]:
        name, *words = shlex.split(command)
        begin: dict[str, Callable[[], World]] = {
            "endpoint": lambda: endpoint(_config(words)),
            "training-job": lambda: training_job(*map(int, words)),
            "transform-job": lambda: transform_job(int(words[0])),
            "processing-job": lambda: processing_job(int(words[0])),
        }
        if name in begin:
            self._world = begin[name]()
            return []
        assert self._world is not None
        if name == "plan":
            return _told(self._world, self._world.plan())
        _event(self._world, name, words)
        return []


def _event(world: World, name: str, words: list[str]) -> None:
    events: dict[str, Callable[[], object]] = {
        "wait": lambda: setattr(world, "now", world.now + float(words[0])),
        "staged": lambda: world.stage(world.full(words[0]), *words[1:]),
        "collected": lambda: world.collect(*words),
        "crash-after": lambda: world.crash(int(words[0])),
        "synced": lambda: _synced(world),
        "share": lambda: setattr(world, "threads", int(words[0])),
        "spot": lambda: _spot(world, int(words[0])),
        "retries": lambda: _ask(world, RetryStrategy={"MaximumRetryAttempts": int(words[0])}),
        "take-back": lambda: _take_back(world, float(words[0])),
        "ready": lambda: world.ready(world.full(words[0])),
        "prepared": lambda: world.prepare(world.full(words[0])),
        "hosting": lambda: setattr(world, "hosting", words[0]),
        "capacity": lambda: _resize(world, words),
        "exit": lambda: world.exit(world.full(words[0]), int(words[1]), *words[2:]),
        "lost": lambda: world.lose(world.full(words[0])),
        "interrupted": lambda: world.interrupt(world.full(words[0])),
        "turn-comes": lambda: setattr(world, "has_place", True),
        "others-come-first": lambda: setattr(world, "has_place", False),
        "seen-by-front-doors": lambda: setattr(world, "settled", True),
        "update": lambda: world.update(_config(words)),
        "weights": lambda: _weigh(world, words),
        "delete": lambda: _becomes(world, "Deleting"),
        "stop": lambda: _becomes(world, "Stopping"),
        "checkpoints": lambda: _checkpoints(world),
        "continuous": lambda: _store_continuously(world),
        "message": lambda: setattr(world, "message", words[0]),
    }
    events[name]()


def _config(words: list[str]) -> dict[str, object]:
    name, *variants = words
    counts = {variant.partition("=")[0]: int(variant.partition("=")[2]) for variant in variants}
    return config(name, f"s3://b/{name}", **counts)


def _weigh(world: World, words: list[str]) -> None:
    weights = {word.partition("=")[0]: float(word.partition("=")[2]) for word in words}
    spec = world.resource.spec
    variants = [{**one, "DesiredWeight": weights[one["VariantName"]]} for one in spec["ProductionVariants"]]
    world.resource = replace(world.resource, spec={**spec, "ProductionVariants": variants}, status="Updating")


def _resize(world: World, words: list[str]) -> None:
    counts = {word.partition("=")[0]: int(word.partition("=")[2]) for word in words}
    spec = world.resource.spec
    variants = [
        {**one, "DesiredInstanceCount": counts[one["VariantName"]]} for one in spec["ProductionVariants"]
    ]
    world.resource = replace(world.resource, spec={**spec, "ProductionVariants": variants}, status="Updating")


def _checkpoints(world: World) -> None:
    _ask(world, CheckpointConfig={"S3Uri": "s3://b/c"})


def _store_continuously(world: World) -> None:
    target = {"S3Uri": "s3://b/o", "LocalPath": "/opt/ml/processing/o", "S3UploadMode": "Continuous"}
    _ask(world, ProcessingOutputConfig={"Outputs": [{"OutputName": "o", "S3Output": target}]})


def _spot(world: World, longest_wait: int) -> None:
    stopping = {**world.resource.spec["StoppingCondition"], "MaxWaitTimeInSeconds": longest_wait}
    _ask(world, StoppingCondition=stopping, EnableManagedSpotTraining=True)


def _ask(world: World, **members: object) -> None:
    world.resource = replace(world.resource, spec={**world.resource.spec, **members})


def _synced(world: World) -> None:
    world.busy.clear()
    world.synced_at = world.now


def _take_back(world: World, seconds: float) -> None:
    world.resource = replace(
        world.resource, detail=training.interrupted(world.resource.detail, world.now, seconds)
    )


def _becomes(world: World, status: str) -> None:
    world.resource = replace(world.resource, status=status)


def _told(world: World, plan: Plan) -> list[str]:
    detail = plan.detail
    status = " / ".join(filter(None, [plan.status, detail.get("SecondaryStatus")]))
    facts = [f"is {status}"]
    if detail.get("EndpointConfigName"):
        facts.append(f"serves {detail['EndpointConfigName']}")
    if detail.get("ProductionVariants"):
        shown = detail["ProductionVariants"]
        facts.append(f"with {' '.join(_count(one) for one in shown)}")
    if detail.get("ExitMessage"):
        facts.append(f"says {detail['ExitMessage']!r}")
    if detail.get("FailureReason"):
        facts.append(f"because {detail['FailureReason']!r}")
    if plan.remove:
        facts = ["is gone"]
    elif plan.look_again is not None:
        facts.append(f"look again in {round(plan.look_again - world.now, 3):g} s")
    return [*(f"  {_step(world, step)}" for step in plan.steps), f"  {', '.join(facts)}"]


def _count(variant: Json) -> str:
    return f"{variant['VariantName']} {variant['CurrentInstanceCount']}/{variant['DesiredInstanceCount']}"


def _step(world: World, step: Step) -> str:  # noqa: PLR0911 - one for each kind
    match step:
        case steps.StageInstance(run_id, uri, _, digest):
            return f"stage {world.short(run_id)} from {uri}" + (f", {digest}" if digest else "")
        case steps.PublishRoute(route):
            parts = [f"{one.name} {one.weight:g} {' '.join(one.addresses) or '-'}" for one in route.variants]
            return f"route {', '.join(parts)}"
        case steps.Stop(run_id, grace):
            return f"stop {world.short(run_id)} within {grace:g} s"
        case steps.ShareThreads(run_ids, threads):
            return f"threads of {' '.join(map(world.short, run_ids))}: {threads}"
        case (
            steps.StageTransform(run_ids)
            | steps.CollectTransform(run_ids)
            | steps.StageTraining(run_ids)
            | steps.CollectTraining(run_ids)
            | steps.SyncCheckpoints(run_ids)
            | steps.StageProcessing(run_ids)
            | steps.SyncOutputs(run_ids)
        ):
            return f"{type(step).__name__} {' '.join(map(world.short, run_ids))}"
        case steps.CollectProcessing(run_ids, only_continuous):
            what = "CollectProcessing" + (" of Continuous outputs" if only_continuous else "")
            return f"{what} {' '.join(map(world.short, run_ids))}"
        case steps.LaunchTrial() | steps.StopTrial():
            raise AssertionError("tuning jobs have scripts of their own")
        case steps.WithdrawRoute():
            return "withdraw the route"
        case steps.Launch(run_id) | steps.Forget(run_id):
            return f"{type(step).__name__} {world.short(run_id)}"
        case _:
            raise AssertionError(step)


if __name__ == "__main__":
    for path in SCENARIOS.glob("*.txt"):
        path.write_text(play(path.read_text()))

"""What plans do while the runtime of a script is built."""

from __future__ import annotations

from dataclasses import replace

from tests.planning.simulated import IMAGE, PROGRAMS, World, config, endpoint, training_job

from sagestead.domain.resources import Json
from sagestead.planning.endpoint import STARTUP_SECONDS
from sagestead.planning.programs import (
    is_isolated,
    program_of_container,
    program_of_training,
    source_of,
    source_of_training,
)
from sagestead.planning.steps import StageInstance

SCRIPT = {
    "sagemaker_program": '"train.py"',
    "sagemaker_submit_directory": '"s3://bucket/job/source/sourcedir.tar.gz"',
}


def script_job() -> World:
    world = training_job()
    world.resource = replace(world.resource, spec={**world.resource.spec, "HyperParameters": SCRIPT})
    return world


def build(world: World, run_id: str, *, equipped: bool) -> None:
    world.runs[run_id] = replace(world.runs[run_id], equipped=equipped)


def secondary(world: World) -> tuple[str, str]:
    detail = world.resource.detail
    return detail["SecondaryStatus"], detail["SecondaryStatusTransitions"][-1]["StatusMessage"]


def test_a_job_is_downloading_until_its_runtime_is_there() -> None:
    world = script_job()
    run_id = world.full("algo-1")
    world.plan()
    world.stage(run_id)
    world.plan()
    assert world.runs[run_id].spec.runtime == "xgboost:1.7-1"
    build(world, run_id, equipped=False)
    world.now += 1
    world.plan()
    assert secondary(world) == ("Downloading", "Downloading the training image")
    build(world, run_id, equipped=True)
    world.plan()
    assert secondary(world)[0] == "Training"
    assert world.runs[run_id].attempt == 1
    world.exit(run_id, 0)
    world.plan()
    world.collect()
    world.settle()
    assert world.resource.status == "Completed"
    assert "_equipping" not in world.resource.detail


def test_a_job_whose_runtime_cannot_be_built_fails_with_the_reason() -> None:
    world = script_job()
    run_id = world.full("algo-1")
    world.plan()
    world.stage(run_id)
    world.plan()
    build(world, run_id, equipped=False)
    world.exit(run_id, 1, "ClientError: The runtime xgboost:1.7-1 could not be built.")
    world.plan()
    world.collect()
    world.settle()
    assert world.resource.status == "Failed"
    assert (
        world.resource.detail["FailureReason"] == "ClientError: The runtime xgboost:1.7-1 could not be built."
    )


def test_an_instance_has_its_time_to_answer_once_its_runtime_is_there() -> None:
    spec = config("c", AllTraffic=1)
    container = spec["ProductionVariants"][0]["Container"]
    container["Environment"] = {
        "SAGEMAKER_PROGRAM": "serve.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "s3://bucket/code.tar.gz",
    }
    container["EnableNetworkIsolation"] = True
    world = endpoint(spec)
    world.hosting = "inline"
    (staging,) = world.plan().steps
    assert isinstance(staging, StageInstance)
    assert staging.source == "s3://bucket/code.tar.gz"
    run_id = world.full("1/AllTraffic/0")
    world.stage(run_id)
    world.plan()
    assert world.runs[run_id].spec.role == "serve"
    assert world.runs[run_id].spec.runtime == "xgboost:1.7-1"
    assert world.runs[run_id].spec.isolated
    build(world, run_id, equipped=False)
    world.now += 10 * STARTUP_SECONDS
    world.plan()
    assert world.resource.status == "Creating"
    build(world, run_id, equipped=True)
    world.plan()
    world.now += STARTUP_SECONDS
    world.plan()
    assert world.resource.status == "Failed"


def test_what_a_container_or_a_job_runs() -> None:
    programs = PROGRAMS["inline"]
    container: Json = {"Image": IMAGE, "Environment": {"SAGEMAKER_PROGRAM": ""}}
    built_in = program_of_container(programs, container)
    assert built_in is not None
    assert built_in.runtime is None
    assert not is_isolated({"EnableNetworkIsolation": True}, built_in.runtime)
    container["Image"] = IMAGE.replace("sagemaker-xgboost:1.7-1", "sagemaker-scikit-learn:1.2-1-cpu-py3")
    script = program_of_container(programs, container)
    assert script is not None
    assert script.runtime == "sklearn:1.2-1"
    assert script.prepare is None
    assert program_of_container(programs, {"Image": "my/own:image"}) is None
    job: Json = {
        "AlgorithmSpecification": {"TrainingImage": IMAGE},
        "Environment": {"SAGEMAKER_PROGRAM": "t.py"},
    }
    named = program_of_training(programs, job)
    assert named is not None
    assert named.runtime == "xgboost:1.7-1"


def test_a_command_is_run_in_the_runtime_of_its_image() -> None:
    world = training_job()
    algorithm = {
        "TrainingImage": IMAGE,
        "ContainerEntrypoint": ["bash"],
        "ContainerArguments": ["-c", "true"],
    }
    world.resource = replace(
        world.resource, spec={**world.resource.spec, "AlgorithmSpecification": algorithm}
    )
    run_id = world.full("algo-1")
    world.plan()
    world.stage(run_id)
    world.plan()
    spec = world.runs[run_id].spec
    assert (spec.runtime, spec.command) == ("xgboost:1.7-1", ("bash", "-c", "true"))
    program = program_of_training(PROGRAMS["inline"], {**world.resource.spec, "HyperParameters": SCRIPT})
    assert program is not None
    assert program.runtime == "xgboost:1.7-1"


def test_where_the_source_lies() -> None:
    assert source_of_training({"HyperParameters": SCRIPT}) == "s3://bucket/job/source/sourcedir.tar.gz"
    assert source_of_training({"HyperParameters": {"sagemaker_submit_directory": '"/opt/ml/code"'}}) is None
    assert source_of({"Environment": {"SAGEMAKER_SUBMIT_DIRECTORY": "file:///opt/ml/model/code"}}) is None
    assert source_of({}) is None

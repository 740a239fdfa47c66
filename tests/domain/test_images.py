from __future__ import annotations

import re

import pytest

from sagestead.domain.images import (
    BuiltInImage,
    FrameworkImage,
    built_in_image,
    command_of,
    framework_image,
    no_such_image,
    resolved_image,
    trains_built_in,
)

HOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("uri", "tag"),
    [
        (f"{HOST}/sagemaker-xgboost:1.0-1-cpu-py3", "1.0-1"),
        (f"{HOST}/sagemaker-xgboost:0.90-2-cpu-py3", "0.90-2"),
        (f"{HOST}/sagemaker-xgboost:1.7-1", "1.7-1"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/sagemaker-xgboost:3.0-5", "3.0-5"),
        ("811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:1", "1"),
        ("811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:latest", "1"),
        ("811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost", "1"),
        (f"{HOST}/sagemaker-xgboost:1.5-1@sha256:{'0' * 64}", "1.5-1"),
        (f"{HOST}/sagemaker-xgboost@sha256:{'0' * 64}", "3.2-0"),
    ],
)
def test_image_of_any_account_and_region_is_known_by_repository_and_tag(uri: str, tag: str) -> None:
    assert built_in_image(uri) == BuiltInImage("xgboost", tag)


@pytest.mark.parametrize(
    "uri",
    [
        f"{HOST}/sagemaker-xgboost:1.8-1",
        f"{HOST}/sagemaker-xgboost",
        f"{HOST}/sagemaker-xgboost:latest",
        f"{HOST}/xgboost:2",
        f"{HOST}/sagemaker-scikit-learn:1.2-1-cpu-py3",
        "docker.io/library/sagemaker-xgboost:1.7-1",
        f"{HOST}/sagemaker-xgboost:1.7-1\n",
        "",
    ],
)
def test_other_images_are_not_built_in_and_the_sentence_names_the_tags(uri: str) -> None:
    assert built_in_image(uri) is None
    sentence = no_such_image(uri)
    assert f"Image {uri} is not" in sentence
    assert "1.0-1, 1.2-1, 1.2-2" in sentence
    assert "or 3.2-0" in sentence


def test_tags_compare_as_versions_and_legacy_is_the_oldest() -> None:
    assert BuiltInImage("xgboost", "1.2-2").at_least("1.2-2")
    assert not BuiltInImage("xgboost", "1.2-1").at_least("1.2-2")
    assert BuiltInImage("xgboost", "3.0-5").at_least("1.7-1")
    assert not BuiltInImage("xgboost", "0.90-2").at_least("1.0-1")
    assert not BuiltInImage("xgboost", "1").at_least("0.90-1")


def test_resolved_image_is_stable_and_names_the_same_version_again() -> None:
    resolved = resolved_image(f"{HOST}/sagemaker-xgboost:1.0-1-cpu-py3")
    assert re.fullmatch(re.escape(HOST) + "/sagemaker-xgboost@sha256:[0-9a-f]{64}", resolved)
    assert resolved == resolved_image(f"{HOST}/sagemaker-xgboost:1.0-1-cpu-py3") == resolved_image(resolved)
    assert built_in_image(resolved) == BuiltInImage("xgboost", "1.0-1")
    assert resolved != resolved_image(f"{HOST}/sagemaker-xgboost:1.2-1")
    assert resolved_image("my/own:image").startswith("my/own:image@sha256:")


def test_a_framework_image_means_a_runtime_and_a_program_of_the_users() -> None:
    sklearn = framework_image(f"{HOST}/sagemaker-scikit-learn:1.2-1-cpu-py3")
    assert sklearn == FrameworkImage("sklearn", "1.2-1")
    assert sklearn.runtime == "sklearn:1.2-1"
    assert sklearn.runs_program({})
    xgboost = framework_image(f"{HOST}/sagemaker-xgboost:1.7-1")
    assert xgboost == FrameworkImage("xgboost", "1.7-1")
    assert not xgboost.runs_program({"SAGEMAKER_PROGRAM": ""})
    assert xgboost.runs_program({"SAGEMAKER_PROGRAM": "train.py"})
    assert framework_image(resolved_image(f"{HOST}/sagemaker-scikit-learn:1.0-1-cpu-py3")) == FrameworkImage(
        "sklearn", "1.0-1"
    )


@pytest.mark.parametrize("name", ["xgboost:latest", "sagemaker-scikit-learn:2-1", "sagemaker-scikit-learn"])
def test_other_images_run_no_program(name: str) -> None:
    assert framework_image(f"{HOST}/{name}") is None
    assert "repository sagemaker-scikit-learn with tag 0.20.0, 0.23-1" in no_such_image(f"{HOST}/{name}")


def test_a_request_that_names_a_program_trains_no_built_in_algorithm() -> None:
    algorithm = {"TrainingImage": f"{HOST}/sagemaker-xgboost:1.7-1"}
    job = {"AlgorithmSpecification": algorithm}
    assert trains_built_in(job)
    assert not trains_built_in({**job, "HyperParameters": {"sagemaker_program": '"train.py"'}})
    assert not trains_built_in({**job, "StaticHyperParameters": {"sagemaker_program": '"train.py"'}})
    assert not trains_built_in({**job, "Environment": {"SAGEMAKER_PROGRAM": "train.py"}})
    command = {**algorithm, "ContainerEntrypoint": ["/bin/bash"], "ContainerArguments": ["-c", "true"]}
    assert not trains_built_in({"AlgorithmSpecification": command})
    assert command_of({"AlgorithmSpecification": command}) == ("/bin/bash", "-c", "true")
    legacy = {**command, "TrainingImage": f"{HOST}/xgboost:1"}
    assert trains_built_in({"AlgorithmSpecification": legacy})

"""A prepared model answers as the loaded one does, and what is not whole is refused."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from sagestead.algorithms.xgboost.hosting import open_prepared, prepare
from sagestead.algorithms.xgboost.serving import load
from sagestead.worker.contract import Invocation, ModelRefused

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
X = np.random.default_rng(7).random((200, 4)).astype(np.float32)
BODY = "\n".join(",".join(map(repr, row)) for row in X[:5].tolist()).encode()
Made = Callable[..., Path]


def model(path: Path, objective: str = "reg:squarederror", seed: int = 0) -> None:
    extra = {"num_class": 3} if objective.startswith("multi") else {}
    labels = np.digitize(X[:, 0] + X[:, 1], [0.7, 1.3]).astype(float)
    parameters = {"objective": objective, "nthread": 1, "seed": seed, "subsample": 0.7, "max_depth": 3}
    booster = xgboost.train(parameters | extra, xgboost.DMatrix(X, label=labels), 4)
    path.write_bytes(booster.save_raw("ubj"))


@pytest.fixture
def made(tmp_path: Path) -> Made:
    def make(environment: dict[str, str] | None = None, image: str = IMAGE) -> Path:
        prepared = tmp_path / "prepared"
        prepared.mkdir()
        prepare(folder(tmp_path), image, environment or {}, prepared)
        return prepared

    return make


def folder(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    path.mkdir(exist_ok=True)
    return path


@pytest.mark.parametrize("objective", ["reg:squarederror", "multi:softprob", "multi:softmax"])
@pytest.mark.parametrize("accept", ["text/csv", "application/json", "image/png"])
def test_a_prepared_model_answers_as_the_loaded_one(
    tmp_path: Path, made: Made, objective: str, accept: str
) -> None:
    model(folder(tmp_path) / "xgboost-model", objective)
    loaded, mapped = load(folder(tmp_path), IMAGE, {}), open_prepared(made())
    for body in (BODY, b"", b"x", b"1,2,3,4,5,6"):
        asked = Invocation(body, content_type="text/csv", accept=accept)
        assert mapped.invoke(asked) == loaded.invoke(asked)


def test_several_files_and_the_environment_are_kept(tmp_path: Path, made: Made) -> None:
    for number in range(3):
        model(folder(tmp_path) / f"xgboost-model-{number}", seed=number)
    environment = {"SAGEMAKER_INFERENCE_OUTPUT": "predicted_score,labels", "SECRET": "kept nowhere"}
    loaded, prepared = load(folder(tmp_path), IMAGE, environment), made(environment)
    asked = Invocation(BODY, content_type="text/csv", accept="application/json")
    assert open_prepared(prepared).invoke(asked) == loaded.invoke(asked)
    assert sorted(path.name for path in prepared.iterdir()) == ["model.json", "plan-0", "plan-1", "plan-2"]
    assert "SECRET" not in (prepared / "model.json").read_text()


def test_what_cannot_be_loaded_is_not_prepared(tmp_path: Path, made: Made) -> None:
    (folder(tmp_path) / "xgboost-model").write_bytes(b"no model")
    with pytest.raises(ModelRefused):
        made()
    assert not (tmp_path / "prepared" / "model.json").exists()


def test_an_unknown_image_is_refused(tmp_path: Path, made: Made) -> None:
    model(folder(tmp_path) / "xgboost-model")
    with pytest.raises(ModelRefused, match="is not one that this server can run"):
        made(image="example/other:1")


def test_open_models_hold_no_descriptor_and_their_memory_is_given_back(tmp_path: Path, made: Made) -> None:
    model(folder(tmp_path) / "xgboost-model")
    prepared = made()
    before = descriptors()
    models = [open_prepared(prepared) for _ in range(20)]
    assert descriptors() == before
    assert mappings(prepared) == 20
    (prepared / "plan-0").unlink()  # what is mapped stays
    assert models[0].invoke(Invocation(BODY, content_type="text/csv")).status == 200
    models.clear()
    gc.collect()
    assert mappings(prepared) == 0


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough


def mappings(prepared: Path) -> int:
    return Path("/proc/self/maps").read_text().count(f"{prepared}/plan-0")


def test_a_damaged_plan_is_refused(tmp_path: Path, made: Made) -> None:
    model(folder(tmp_path) / "xgboost-model")
    prepared = made()
    plan = prepared / "plan-0"
    whole = plan.read_bytes()
    damaged = bytes([*whole[:-1], whole[-1] ^ 1])
    for content in (whole[:-4], whole + b"1234", b"", damaged):
        plan.write_bytes(content)
        with pytest.raises(ModelRefused, match=r"cannot be used: plan-0 .* Prepare it again\."):
            open_prepared(prepared)
    plan.unlink()
    with pytest.raises(ModelRefused, match="No such file"):
        open_prepared(prepared)
    plan.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelRefused, match="symbolic link"):
        open_prepared(prepared)


def test_a_folder_without_facts_is_not_whole(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="No such file"):
        open_prepared(tmp_path)


def test_facts_of_another_version_are_refused(tmp_path: Path, made: Made) -> None:
    model(folder(tmp_path) / "xgboost-model")
    facts = made() / "model.json"
    facts.write_text(facts.read_text().replace('"layout": "', '"layout": "9'))
    with pytest.raises(ModelRefused, match="another version of this program has written it"):
        open_prepared(facts.parent)


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.booleans() | st.just(float("nan")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole")
    model(path / "xgboost-model")
    prepared = path / "prepared"
    prepared.mkdir()
    prepare(path, IMAGE, {}, prepared)
    (prepared / "model.json").rename(path / "facts")
    return prepared


@given(
    name=st.sampled_from(["image", "environment", "models", "objective", "classes", "words", "sha256"]),
    value=VALUES,
)
@settings(max_examples=150, deadline=None)
def test_facts_that_are_none_are_refused(whole: Path, name: str, value: object) -> None:
    facts = json.loads((whole.parent / "facts").read_text())
    changed = facts["models"][0] if name in facts["models"][0] else facts
    if value == changed[name]:
        return
    changed[name] = value
    (whole / "model.json").write_text(json.dumps(facts))
    if name == "environment" and isinstance(value, dict):
        return
    with pytest.raises(ModelRefused):
        open_prepared(whole)

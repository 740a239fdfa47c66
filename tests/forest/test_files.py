"""Every file of the corpus reads as the version that wrote it meant it."""

from __future__ import annotations

import base64
import json
import pickle
from dataclasses import fields

import numpy as np
import pytest
from tests.forest.library import Case, cases
from tests.forest.oracle import margins

from sagestead.domain.refused_model import ModelRefused
from sagestead.forest.ensemble import LEAF, Ensemble
from sagestead.forest.files import read

VERSIONS = sorted({version for version, _ in cases()})


def of_version(version: str) -> list[Case]:
    return [case for case in cases().values() if case.version == version]


def case_of(version: str, name: str) -> Case:
    return cases()[version, name]


@pytest.mark.parametrize("version", VERSIONS)
def test_margins_are_those_of_the_version_that_wrote_the_file(version: str) -> None:
    for case in of_version(version):
        for suffix, content in case.files.items():
            model = read(content, f"{case.name}.{suffix}")
            found = margins(model, case.rows, case.trees).reshape(-1)
            assert np.array_equal(found, case.margin.reshape(-1)), (version, case.name, suffix)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_file_tells_of_itself(version: str) -> None:
    stated = tuple(map(int, version.split(".")))
    for case in of_version(version):
        for suffix, content in case.files.items():
            model = read(content)
            told = () if stated < (1, 0) else stated[:2] if "binary" in model.format else stated
            assert model.version == told
            assert model.features == 5
            assert model.groups == (3 if case.name.startswith("multi") else 1)
            booster = next((name for name in ("dart", "gblinear") if case.name.endswith(name)), "gbtree")
            assert model.booster == booster
            assert model.format.startswith("pickle of ") == suffix.startswith("pickle")
            if suffix.startswith("pickle") or stated >= (1, 4):
                assert model.trees_used == case.trees
            else:  # such files do not keep what training found best
                assert model.trees_used == model.trees


def test_the_formats_of_a_model_read_alike() -> None:
    own = {"format", "version", "feature_names", "attributes", "objective_parameters"}
    noted = {"num_parallel_tree", "round_start", "best_iteration", "best_ntree_limit"}
    for case in cases().values():
        first, *others = [read(content) for content in case.files.values()]
        for other in others:
            for field in fields(Ensemble):
                if field.name in own or (field.name in noted and first.version < (1, 6)):
                    continue
                one, two = getattr(first, field.name), getattr(other, field.name)
                assert np.array_equal(one, two) if isinstance(one, np.ndarray) else one == two, (
                    case.version,
                    case.name,
                    field.name,
                )


def test_arrays_are_sound_and_read_only() -> None:
    for case in cases().values():
        model = read(next(iter(case.files.values())))
        for field in fields(Ensemble):
            value = getattr(model, field.name)
            if isinstance(value, np.ndarray):
                assert not value.flags.writeable
                assert value.flags.c_contiguous
        assert np.array_equal(model.left == LEAF, model.right == LEAF)
        inner = model.left != LEAF
        links = np.concatenate([model.left[inner], model.right[inner], model.root])
        assert np.array_equal(np.sort(links), np.arange(len(model.left)))


def test_deleted_nodes_are_left_out() -> None:
    pruned = json.loads(case_of("3.2.0", "pruned").files["json"])
    trees = pruned["learner"]["gradient_booster"]["model"]["trees"]
    deleted = sum(int(tree["tree_param"]["num_deleted"]) for tree in trees)
    nodes = sum(int(tree["tree_param"]["num_nodes"]) for tree in trees)
    assert deleted > 0
    assert len(read(json.dumps(pruned).encode()).left) == nodes - deleted


def test_names_and_types_of_columns() -> None:
    for version in ("1.7.6", "3.2.0"):
        model = read(next(iter(case_of(version, "named").files.values())))
        assert model.feature_names == ("a", "b b", "c", "d\u00e9", "e")
        types = read(next(iter(case_of(version, "categories-one-hot").files.values()))).feature_types
        assert types == ("c", "c", "q", "q", "q")
    old = case_of("0.90", "named").files
    assert {read(content).feature_names for content in old.values()} == {
        (),
        ("a", "b b", "c", "d\u00e9", "e"),
    }


def test_base64_binaries() -> None:
    binary = case_of("0.90", "binary-logistic").files["bin"]
    wrapped = read(b"bs64\t" + base64.b64encode(binary) + b"\n")
    assert wrapped.format == "bs64 binary"
    assert np.array_equal(wrapped.leaf_value, read(binary).leaf_value)
    with pytest.raises(ModelRefused, match="not base64"):
        read(b"bs64\t" + base64.b64encode(binary)[:-1])


def test_a_newer_format_is_refused_by_name() -> None:
    document = json.loads(case_of("3.2.0", "pruned").files["json"])
    document["version"] = [3, 5, 0]
    with pytest.raises(ModelRefused, match=r"written by XGBoost 3\.5\.0, and only files up to 3\.4"):
        read(json.dumps(document).encode(), "new")


class Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("run",)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "it ends too early"),
        (b"{", "it ends too early"),
        (b'{"learner": 1}', "version is not a list of numbers"),
        (b"PK\x03\x04" + bytes(200), "objective ''"),
        (b"\xff" * 300, "it is no model of XGBoost"),
        (pickle.dumps(Runs()), "its pickle names 'builtins.print'"),
        (pickle.dumps(bytearray(4)), "its pickle does not hold a Booster"),
        (pickle.dumps([1, {"a": (2, None)}]), "its pickle does not hold a Booster"),
        (
            b"\x80\x04cbuiltins\nbytearray\n\x8a\x05\x00\x00\x00\x00\x01\x85R.",
            "a call that no pickled Booster",
        ),
        (b"\x80\x04" + b"N" * 1_000_001, "more than 1000000 opcodes"),
        (b"\x80\x04N", "cut off or malformed"),
        (b"\x80\x04.", "takes what it never gave"),
    ],
)
def test_what_is_no_model_is_refused_with_a_sentence(content: bytes, sentence: str) -> None:
    with pytest.raises(ModelRefused, match=sentence):
        read(content, "xgboost-model")

"""Damaged files of every format end in the one declared error, or in a sound model, quickly."""

from __future__ import annotations

import contextlib
import json
import random
import struct
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.forest.library import cases

from sagestead.domain.refused_model import ModelRefused
from sagestead.forest.ensemble import LEAF, Ensemble
from sagestead.forest.files import read

SEEDS = [
    (f"{version} {name}.{suffix}", content)
    for (version, name), case in cases().items()
    if name in ("multi-softprob-dart", "categories-partition", "binary-logistic-best-forest", "reg-gamma")
    or name == "binary-logistic-gblinear"
    for suffix, content in case.files.items()
]
ODD = [
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    struct.pack("<i", -1),
    struct.pack(">q", 1 << 40),
    b"\xff" * 8,
    b"{",
    b"[$",
    b"NaN",
]


def mutated(content: bytes, chance: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(6):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                odd = chance.choice(ODD)
                data[at : at + len(odd)] = odd
            case 2:
                del data[at : at + chance.randint(1, 64)]
            case 3:
                data[at:at] = data[at : at + chance.randint(1, 64)]
            case 4:
                del data[at:]
            case _:
                if at < len(data):
                    data[at] ^= 1 << chance.randrange(8)
    return bytes(data)


def check(model: Ensemble) -> None:
    """What a walk relies on, said again without the code that is under test."""
    inner = model.left != LEAF
    assert np.array_equal(inner, model.right != LEAF)
    links = np.concatenate([model.left[inner], model.right[inner]])
    assert np.array_equal(np.sort(np.concatenate([links, model.root])), np.arange(len(model.left)))
    tree = np.searchsorted(model.root, np.arange(len(model.left)), side="right")
    assert (tree[links] == np.tile(tree[inner], 2)).all()
    assert not len(model.feature) or 0 <= model.feature.min() <= model.feature.max() < model.features
    assert ((model.tree_group >= 0) & (model.tree_group < model.groups)).all()
    words = model.category_start + model.category_words
    assert (words <= len(model.category_bits)).all()
    assert (model.category_words[model.categorical] >= 1).all()
    numbers = (model.threshold, model.leaf_value, model.tree_weight, model.base_margin, model.linear_weight)
    assert all(np.isfinite(each).all() for each in numbers)
    assert len(model.base_margin) == model.groups
    assert 0 <= model.trees_used <= model.trees


@pytest.mark.parametrize(("name", "content"), SEEDS, ids=[name for name, _ in SEEDS])
def test_mutated_files(name: str, content: bytes) -> None:
    chance = random.Random(name)  # noqa: S311 - the same damage in every run
    for _ in range(10):
        data = mutated(content, chance)
        start = time.perf_counter()
        with contextlib.suppress(ModelRefused):
            check(read(data))
        assert time.perf_counter() - start < 5


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([b"", b"{", b'{"', b"{L", b"\x80\x04", b"\x80\x02", b"binf", b"bs64", b"CONFIG-offset:"]),
    st.binary(max_size=400),
)
def test_random_bytes(start: bytes, rest: bytes) -> None:
    with pytest.raises(ModelRefused):
        read(start + rest)


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(cases()["3.2.0", "pruned"].files["json"])
    return loaded


def first_tree(model: dict[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = model["learner"]["gradient_booster"]["model"]["trees"][0]
    return tree


def forest(model: dict[str, Any]) -> dict[str, Any]:
    inner: dict[str, Any] = model["learner"]["gradient_booster"]["model"]
    return inner


def put(where: Callable[[dict[str, Any]], dict[str, Any]], *path: object, value: object) -> Any:
    def change(model: dict[str, Any]) -> None:
        place: Any = where(model)
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


LEARNER = "learner_model_param"
WRONG: list[tuple[str, Any, str]] = [
    ("a loop", put(first_tree, "left_children", 1, value=0), "root of its tree"),
    ("two parents", put(first_tree, "left_children", 0, value=2), "two links lead to the same node"),
    ("out of the tree", put(first_tree, "right_children", 0, value=1 << 20), "leads out of its tree"),
    ("far negative", put(first_tree, "right_children", 0, value=-7), "leads out of its tree"),
    ("one child", put(first_tree, "right_children", 0, value=-1), "only one child"),
    ("a wrong parent", put(first_tree, "parents", 1, value=5), "who links to it"),
    ("a column too many", put(first_tree, "split_indices", 0, value=5), "column that is not there"),
    ("a huge threshold", put(first_tree, "split_conditions", 0, value=1e39), "not finite"),
    ("no number", put(first_tree, "split_conditions", 0, value=float("nan")), "not finite"),
    (
        "deleted nodes",
        put(first_tree, "tree_param", "num_deleted", value="0"),
        "deleted nodes is not as stated",
    ),
    ("nodes", put(first_tree, "tree_param", "num_nodes", value="3"), "split_type is not one a node"),
    ("vector leaves", put(first_tree, "tree_param", "size_leaf_vector", value="3"), "vector leaves"),
    ("a default", put(first_tree, "default_left", 0, value=2), "default_left is not 0 or 1"),
    ("a class", put(forest, "tree_info", 0, value=1), "class that is not there"),
    ("trees", put(forest, "gbtree_model_param", "num_trees", value="2"), "number of trees"),
    ("rounds", put(forest, "iteration_indptr", 1, value=3), "does not divide the trees"),
    ("category names", put(forest, "cats", "enc", value=["a"]), "stores category names"),
    ("targets", put(lambda model: model["learner"], LEARNER, "num_target", value="2"), "several targets"),
    ("base score", put(lambda model: model["learner"], LEARNER, "base_score", value="1e40"), "not finite"),
    ("scores", put(lambda model: model["learner"], LEARNER, "base_score", value="[1,2]"), "another length"),
    (
        "objective",
        put(lambda model: model["learner"], "objective", "name", value="reg:mine"),
        "'reg:mine' is not one",
    ),
    ("multi", put(lambda model: model["learner"], "objective", "name", value="multi:softmax"), "num_class"),
    (
        "columns",
        put(lambda model: model["learner"], LEARNER, "num_feature", value="0"),
        "number of columns is 0",
    ),
    ("names", put(lambda model: model["learner"], "feature_names", value=["a"]), "not one a column"),
    (
        "best",
        put(lambda model: model["learner"], "attributes", value={"best_iteration": "9"}),
        "beyond its rounds",
    ),
    ("version", put(lambda model: model, "version", value=[0, 9, 0]), "0.9.0 never was"),
]


@pytest.mark.parametrize(
    ("change", "sentence"), [each[1:] for each in WRONG], ids=[each[0] for each in WRONG]
)
def test_each_rule_has_its_sentence(change: Any, sentence: str) -> None:
    model = document()
    read(json.dumps(model).encode())
    change(model)
    with pytest.raises(ModelRefused, match=sentence):
        read(json.dumps(model).encode())


def places(part: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place of a document, of long lists the first three."""
    for key in list(part) if isinstance(part, dict) else range(min(3, len(part))):
        yield part, key
        if isinstance(part[key], dict | list):
            yield from places(part[key])


VALUES: list[Any] = [
    0,
    -1,
    1 << 31,
    1 << 63,
    1e39,
    float("nan"),
    "0",
    "-1",
    "9" * 11,
    True,
    None,
    [],
    {},
    [[]],
]


def test_documents_with_any_value_anywhere() -> None:
    chance = random.Random(7)  # noqa: S311 - the same damage in every run
    texts = [case.files["json"] for case in cases().values() if "json" in case.files]
    for _ in range(400):
        model = json.loads(chance.choice(texts))
        part, key = chance.choice(list(places(model)))
        if chance.random() < 0.2:
            del part[key]
        else:
            part[key] = chance.choice(VALUES)
        with contextlib.suppress(ModelRefused):
            check(read(json.dumps(model).encode()))


def test_a_deep_chain_is_walked_in_bounded_time() -> None:
    depth = 10_500
    nodes = 2 * depth + 1
    model = document()
    tree = first_tree(model)
    inner = range(0, nodes - 1, 2)
    left, right, parents = ([-1] * nodes for _ in range(3))
    for node in inner:
        left[node], right[node] = node + 1, node + 2
        parents[node + 1] = parents[node + 2] = node
    tree |= {"left_children": left, "right_children": right, "parents": parents}
    for name in ("split_indices", "split_conditions", "default_left", "split_type"):
        tree[name] = [0] * nodes
    tree["tree_param"] |= {"num_nodes": str(nodes), "num_deleted": "0"}
    start = time.perf_counter()
    with pytest.raises(ModelRefused, match="deeper than 10000"):
        read(json.dumps(model).encode())
    assert time.perf_counter() - start < 5


def test_what_a_file_claims_takes_no_memory() -> None:
    bomb = b"\x80\x04cbuiltins\nbytearray\nJ\x00\x00\x00\x7f\x85R."
    binary = bytearray(cases()["0.90", "binary-logistic"].files["bin"])
    name = binary.index(b"gbtree") + 6
    binary[name : name + 4] = struct.pack("<i", 9_999_999)
    typed = b"{L" + struct.pack(">q", 1) + b"a[$D#L" + struct.pack(">q", 1 << 40)
    doubled = b"\x80\x02X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20) + b"q\x000"
    doubled += b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R" * 1000 + b"."
    for content in (bomb, bytes(binary), typed, doubled):
        tracemalloc.start()
        with pytest.raises(ModelRefused):
            read(content)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * len(content) + (4 << 20)


def test_sound_models_pass() -> None:
    for case in cases().values():
        for content in case.files.values():
            check(read(content))

"""The short life of a small instance, for a process that is about to fork instances.

Rule: no thread is started, nothing stays behind. What Python makes when code runs for the first times
(specialised code, caches, modules loaded late) is so made once by the zygote, and instances share it: each
would otherwise spend the time, and the memory for pages of its own.
"""

from __future__ import annotations

import hashlib
import json
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sagestead.algorithms.xgboost.hosting import open_prepared, prepare
from sagestead.forest.files import read
from sagestead.forest.writing import write
from sagestead.wire.frames import RequestFrame, encode
from sagestead.worker.archives import extract, pack
from sagestead.worker.connection import READ_SIZE
from sagestead.worker.serve import InstanceServer

TIMES = 10
"""Python specialises code that has run eight times."""

_TREES = 8
_NO_PARENT = 2**31 - 1
_IMAGE = "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:3.0-5"
_ROW = RequestFrame(1, b"0.25,1.5", "text/csv", "text/csv")


def rehearse(times: int = TIMES) -> None:
    """Prepare a model, serve it and end so many times; the kernels must be loaded."""
    for prepared in _prepared(times):
        _live(prepared, prepared.with_name("s"))


def rehearse_preparing(times: int = TIMES) -> None:
    """Unpack and prepare a model so many times."""
    for _ in _prepared(times):
        pass


def _prepared(times: int) -> Iterator[Path]:
    """Yield a folder with a prepared model, so many times."""
    with _packed() as (archive, digest):
        for turn in range(times):
            model, prepared = (archive.with_name(f"{name}-{turn}") for name in ("model", "prepared"))
            prepared.mkdir()
            extract(archive, model, digest=digest)
            prepare(model, _IMAGE, {}, prepared)
            yield prepared


@contextmanager
def _packed() -> Iterator[tuple[Path, str]]:
    """Yield an archive, alone in a folder for a while, and its digest."""
    with tempfile.TemporaryDirectory(prefix="s-") as name:
        model, archive = Path(name) / "packed", Path(name) / "model.tar.gz"
        model.mkdir()
        (model / "xgboost-model").write_bytes(write(read(json.dumps(_document()).encode())))
        pack(model, archive)
        yield archive, hashlib.sha256(archive.read_bytes()).hexdigest()


def _live(prepared: Path, address: Path) -> None:
    """Be an instance that answers a client's requests one by one and together."""
    server = InstanceServer(open_prepared(prepared), address)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(address))
        for requests in (1, 2):
            client.sendall(encode(_ROW) * requests)
            server.ping()
            client.recv(READ_SIZE)
    server.stop()
    server.serve()


def _document() -> dict[str, Any]:
    """Return a model of a few trees with one node each, as XGBoost writes it in JSON."""
    objective = {"name": "binary:logistic", "reg_loss_param": {"scale_pos_weight": "1"}}
    forest = {
        "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(_TREES)},
        "iteration_indptr": list(range(_TREES + 1)),
        "tree_info": [0] * _TREES,
        "trees": [_tree(number) for number in range(_TREES)],
    }
    learner = {
        "attributes": {},
        "feature_names": [],
        "feature_types": [],
        "gradient_booster": {"model": forest, "name": "gbtree"},
        "learner_model_param": {
            "base_score": "5E-1",
            "boost_from_average": "1",
            "num_class": "0",
            "num_feature": "2",
            "num_target": "1",
        },
        "objective": objective,
    }
    return {"version": [3, 0, 5], "learner": learner}


def _tree(number: int) -> dict[str, Any]:
    return {
        "base_weights": [0.0, -1.0, 1.0],
        "categories": [],
        "categories_nodes": [],
        "categories_segments": [],
        "categories_sizes": [],
        "default_left": [1, 0, 0],
        "id": number,
        "left_children": [1, -1, -1],
        "loss_changes": [1.0, 0.0, 0.0],
        "parents": [_NO_PARENT, 0, 0],
        "right_children": [2, -1, -1],
        "split_conditions": [0.5, -1.0, 1.0],
        "split_indices": [number % 2, 0, 0],
        "split_type": [0, 0, 0],
        "sum_hessian": [2.0, 1.0, 1.0],
        "tree_param": {
            "num_deleted": "0",
            "num_feature": "2",
            "num_nodes": "3",
            "size_leaf_vector": "1",
        },
    }

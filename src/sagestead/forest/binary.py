"""The legacy binary format of XGBoost 0.72 to 3.0 as a draft.

Rule: every count is checked against the bytes that are left before anything is read or made by it, and
nothing may follow the end. Source: the structures that XGBoost wrote to disk (`LearnerModelParamLegacy`,
`GBTreeModelParam`, `TreeParam`, `RegTree::Node`, `RTreeNodeStat`), all little-endian and without padding.
"""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Any

import numpy as np

from sagestead.forest.documents import Malformed, read_json
from sagestead.forest.draft import Draft, Numbers, TreeDraft
from sagestead.forest.objectives import OBJECTIVES, known
from sagestead.forest.schema import CLASSES, FEATURES, NODES, TREES, mapping, texts

# base_score, num_feature, num_class, has_attributes, has_metrics, major, minor, num_target, then reserved
_LEARNER = struct.Struct("<fIiiiIII104x")
# num_trees, num_roots or num_parallel_tree, 4 no longer used, size_leaf_vector, then reserved
_BOOSTER = struct.Struct("<ii20xi128x")
_LINEAR_BYTES = 136
# num_roots, num_nodes, num_deleted, max_depth, num_feature, size_leaf_vector, then reserved
_TREE = struct.Struct("<iii4xIi124x")
_NODE = np.dtype([("parent", "<i4"), ("left", "<i4"), ("right", "<i4"), ("split", "<u4"), ("value", "<f4")])
_STATISTICS_BYTES = 16
_DELETED = np.uint32(0xFFFFFFFF)
_LOW = np.uint32(0x7FFFFFFF)
_COUNT = struct.Struct("<Q")
_ATTRIBUTES = 100_000

_TELLS_VERSION = (1, 0)
_TELLS_PARALLEL = (1, 6)


def read_binary(content: bytes) -> Draft:
    """Return what the file states; raise `Malformed`."""
    place = _Place(_unwrapped(content))
    score, features, classes, has_attributes, has_metrics, major, minor, targets = place.unpack(_LEARNER)
    if has_attributes not in (0, 1) or has_metrics not in (0, 1) or major > 3:  # noqa: PLR2004 - 3.0 is the last
        raise Malformed("it is no model of XGBoost: neither JSON, UBJSON, a pickle nor its binary format")
    if not 0 <= classes <= CLASSES or features > FEATURES:
        raise Malformed("its header counts more columns or classes than there can be")
    if targets > 1:
        raise Malformed("it has several targets, which are not served")
    draft = Draft(
        version=(major, minor) if (major, minor) >= _TELLS_VERSION else (),
        booster="",
        objective=known(place.text()),
        objective_parameters={},
        features=features,
        classes=classes,
        base_score=np.array([score]),
    )
    draft.booster = place.text()
    _booster(place, draft)
    _ending(place, draft, attributes=bool(has_attributes), metrics=bool(has_metrics))
    return draft


def _unwrapped(content: bytes) -> bytes:
    if content[:4] == b"binf":
        return content[4:]
    if content[:4] == b"bs64":
        try:
            return base64.b64decode(content[4:].strip(), validate=True)
        except (binascii.Error, ValueError):
            raise Malformed("its text is not base64") from None
    return content


def _booster(place: _Place, draft: Draft) -> None:
    if draft.booster == "gblinear":
        place.take(_LINEAR_BYTES)
        draft.linear_weight = place.floats()
        return
    if draft.booster not in ("gbtree", "dart"):
        raise Malformed("its booster is not gbtree, dart or gblinear")
    trees, parallel, leaf_vector = place.unpack(_BOOSTER)
    if not 0 <= trees <= TREES or leaf_vector not in (0, 1):
        raise Malformed("it counts more trees than there can be, or has vector leaves, which are not served")
    if draft.version >= _TELLS_PARALLEL:
        draft.parallel_trees = parallel
    draft.trees = [_tree(place) for _ in range(trees)]
    draft.tree_group = place.array(np.dtype("<i4"), trees).astype(np.int64)
    if draft.booster == "dart":
        draft.tree_weight = place.floats() if trees else np.zeros(0, np.float32)


def _tree(place: _Place) -> TreeDraft:
    roots, nodes, deleted, _, leaf_vector = place.unpack(_TREE)
    if roots != 1 or not 1 <= nodes <= NODES or not 0 <= deleted < nodes or leaf_vector not in (0, 1):
        raise Malformed("a tree has several roots, vector leaves or a number of nodes that cannot be")
    node = place.array(_NODE, nodes)
    place.take(nodes * _STATISTICS_BYTES)
    gone = node["split"] == _DELETED
    parent = node["parent"].astype(np.int64)
    return TreeDraft(
        left=np.where(gone, -1, node["left"]).astype(np.int64),
        right=np.where(gone | (node["left"] == -1), -1, node["right"]).astype(np.int64),
        parent=np.where(parent == -1, -1, parent & int(_LOW)),
        feature=(node["split"] & _LOW).astype(np.int64),
        condition=node["value"],
        default_left=(node["split"] >> np.uint32(31)).astype(np.int64),
        kind=np.zeros(0, np.int64),
        deleted=deleted,
    )


def _ending(place: _Place, draft: Draft, *, attributes: bool, metrics: bool) -> None:
    """Read what follows: attributes, a parameter of count:poisson (before 1.0), names of metrics."""
    if attributes:
        for _ in range(place.count(_ATTRIBUTES)):
            key = place.text()
            draft.attributes[key] = place.text()
    parameters = dict(OBJECTIVES[draft.objective].defaults)
    if draft.objective == "count:poisson" and not draft.version:
        parameters["max_delta_step"] = place.text()
    if metrics:
        for _ in range(place.count(_ATTRIBUTES)):
            place.text()
    if place.left:
        raise Malformed("bytes follow its end")
    saved = draft.attributes.pop("objective", None) if draft.version else None
    if saved is not None:
        parameters.update(_saved(saved.encode(), draft.objective))
    draft.attributes.pop("metrics", None)
    draft.objective_parameters = parameters


def _saved(content: bytes, objective: str) -> dict[str, str]:
    """Return the objective's parameters from the document that 1.0 and later keep among the attributes."""
    document: Any = mapping(read_json(content), "objective")
    return texts(document.get(OBJECTIVES[objective].block, {}), "the parameters of the objective")


class _Place:
    """A place in the bytes."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    @property
    def left(self) -> int:
        """Number of bytes not yet read."""
        return len(self.content) - self.at

    def take(self, size: int) -> int:
        """Step over bytes; returns where they begin."""
        if size > self.left:
            raise Malformed("it ends too early")
        self.at += size
        return self.at - size

    def unpack(self, layout: struct.Struct) -> tuple[Any, ...]:
        """Read one structure."""
        return layout.unpack_from(self.content, self.take(layout.size))

    def array(self, dtype: np.dtype[Any], length: int) -> Numbers:
        """Read an array of a length."""
        return np.frombuffer(self.content, dtype, length, self.take(length * dtype.itemsize))

    def count(self, most: int) -> int:
        """Read a 64-bit count, from 0 to `most`."""
        found: int = self.unpack(_COUNT)[0]
        if found > most:
            raise Malformed("it counts more than it can hold")
        return found

    def floats(self) -> Numbers:
        """Read a counted array of float32."""
        return self.array(np.dtype("<f4"), self.count(self.left))

    def text(self) -> str:
        """Read a counted text."""
        size = self.count(self.left)
        start = self.take(size)
        try:
            return self.content[start : start + size].decode()
        except UnicodeDecodeError:
            raise Malformed("it holds a text that is not UTF-8") from None

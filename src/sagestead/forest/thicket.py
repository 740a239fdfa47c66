"""All trees of a draft next to each other, so that they are checked at once.

Rule: links become indices among all nodes without being believed: one that leaves its tree still does so
afterwards, and sets of categories keep their tree's nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sagestead.forest.documents import Malformed
from sagestead.forest.draft import NOTHING, Numbers, TreeDraft

_LARGEST = np.iinfo(np.int32).max
_NO_LINK = -1
_ASTRAY = np.iinfo(np.int64).max  # a link that leaves its tree


@dataclass(slots=True)
class Thicket:
    """`N` nodes of `T` trees.

    Attributes:
        root: int64[T], first node of each tree.
        tree: int64[N], the tree of each node.
        left, right: int64[N], indices among all nodes; -1 for none, 2**63 - 1 when a link leaves its tree.
        parent: int64[N], the same for the parent.
        root_parent: int64[T], what each tree states as parent of its root.
        deleted: int64[T], what each tree states as number of deleted nodes.
        feature, condition, default_left, kind: [N], as in `TreeDraft`, `kind` for each node.
        categories, set_size: the sets of all categorical nodes.
        set_node: index among all nodes of each set's node.
    """

    root: Numbers
    tree: Numbers
    left: Numbers
    right: Numbers
    parent: Numbers
    root_parent: Numbers
    deleted: Numbers
    feature: Numbers
    condition: Numbers
    default_left: Numbers
    kind: Numbers
    categories: Numbers
    set_size: Numbers
    set_node: Numbers


def thicket(trees: list[TreeDraft]) -> Thicket:
    """Put trees next to each other; raise `Malformed` when there are too many nodes or a tree has none."""
    nodes = np.array([len(tree.left) for tree in trees], np.int64)
    if len(nodes) and (int(nodes.min()) < 1 or int(nodes.sum()) >= _LARGEST):
        raise Malformed("a tree has no node, or its trees have too many")
    for tree in trees:
        _check_sets(tree)
    root = np.cumsum(nodes) - nodes
    tree_of = np.repeat(np.arange(len(trees)), nodes)
    first, size = root[tree_of], nodes[tree_of]

    def joined(of: Callable[[TreeDraft], Numbers]) -> Numbers:
        return np.concatenate([of(tree) for tree in trees]) if trees else NOTHING

    def linked(of: Callable[[TreeDraft], Numbers]) -> Numbers:
        links = joined(of)
        inside = (links >= 0) & (links < size)
        return np.where(inside, links + first, np.where(links == _NO_LINK, _NO_LINK, _ASTRAY))

    sets = np.array([len(tree.set_node) for tree in trees], np.int64)
    return Thicket(
        root=root,
        tree=tree_of,
        left=linked(lambda tree: tree.left),
        right=linked(lambda tree: tree.right),
        parent=linked(lambda tree: tree.parent),
        root_parent=np.array([tree.parent[0] for tree in trees], np.int64),
        deleted=np.array([tree.deleted for tree in trees], np.int64),
        feature=joined(lambda tree: tree.feature),
        condition=joined(lambda tree: tree.condition),
        default_left=joined(lambda tree: tree.default_left),
        kind=joined(lambda tree: tree.kind if len(tree.kind) else np.zeros(len(tree.left), np.int64)),
        categories=joined(lambda tree: tree.categories),
        set_size=joined(lambda tree: tree.set_size),
        set_node=joined(lambda tree: tree.set_node) + np.repeat(root, sets),
    )


def _check_sets(tree: TreeDraft) -> None:
    """Check that the sets of a tree follow each other, fill its categories and belong to its nodes."""
    if not len(tree.set_node) and not len(tree.categories):
        return
    end = np.cumsum(tree.set_size)
    follow = bool((tree.set_size >= 1).all() and (tree.set_start == end - tree.set_size).all())
    filled = len(end) > 0 and int(end[-1]) == len(tree.categories)
    inside = (
        len(tree.set_node) > 0
        and bool((tree.set_node >= 0).all())
        and (int(tree.set_node.max()) < len(tree.left))
    )
    if not (follow and filled and inside):
        raise Malformed("its sets of categories are not as stated")

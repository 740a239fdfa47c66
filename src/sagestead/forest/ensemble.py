"""A model as flat arrays: what every reader produces and every scorer walks.

Rule: an `Ensemble` is sound. Whoever made one has checked that every link, column, group and category lies
inside its bounds, that each node but the roots is linked exactly once (so that no walk loops or leaves its
tree) and that every number is finite. Arrays are C-contiguous and read-only.

How a base score becomes a margin (`Ensemble.base_margin`). Files written before 1.0 store the margin itself;
it is used as it stands. Later ones store what the user sees, one number for all groups before 3.1 and one a
group from then on; it is turned into a margin in float32 as XGBoost's `ProbToMargin` does. A `gblinear`
begins every group with the first group's, as XGBoost from 3.1 on does (before, they are equal).

| objective | margin |
|---|---|
| binary:logistic, reg:logistic, and binary:logitraw written by 1.0 to 1.2 | -logf(1 / score - 1) |
| count:poisson, reg:gamma, reg:tweedie, survival:cox, survival:aft | logf(score) |
| all others, and binary:logitraw from 1.3 on | score |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Booster = Literal["gbtree", "dart", "gblinear"]

LEAF = -1

_TELLS_ROUNDS = (1, 4)
_BASE_FIRST = (1, 3)


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """A sound model.

    Trees of all rounds stand one after another: `N` nodes, `T` trees, `G` groups, `F` features.

    Attributes:
        format: of the file it was read from, for people: for example `pickle of binary`, `UBJSON`.
        version: of the XGBoost that wrote it: (major, minor, patch); legacy binaries from 1.0 on tell only
            (major, minor), and files written before 1.0 tell nothing: ().
        booster: what sums the margin: `gbtree` adds leaves, `dart` adds leaves times `tree_weight`,
            `gblinear` adds columns times `linear_weight`.
        objective: today's name, for example `reg:squarederror` (`reg:linear` is its name before 0.83).
        objective_parameters: as the file states them (name -> text), for example
            {"scale_pos_weight": "1"}; nothing in them changes a prediction.
        features: F, number of columns a row has.
        classes: `num_class`; 0 when the objective has none.
        groups: G, margins a row has: `classes`, or 1.
        num_parallel_tree: trees a round grows for each group; 1 where files before 1.4 do not tell.
        base_margin: float32[G], what the sum of a row begins with; see the table above.
        tree_group: int32[T], the group whose margin a tree adds to, in [0, G).
        tree_weight: float32[T], what a leaf is multiplied with: dart's weights, else ones.
        root: int32[T], index of a tree's first node; its nodes are root[t] up to root[t + 1] (or N).
        round_start: int32[R + 1], first tree of each of R rounds; the last entry is T.
        feature: int32[N], column that a node asks, in [0, F); 0 in leaves.
        threshold: float32[N], a row goes left when its value is less (`value < threshold`, in float32); 0 in
            leaves and categorical nodes.
        left: int32[N], index of the left child among all nodes; `LEAF` (-1) in leaves.
        right: int32[N], index of the right child; `LEAF` in leaves. Always `LEAF` together with `left`.
        default_left: bool[N], where a row goes whose value is missing (NaN); False in leaves.
        leaf_value: float32[N], what a leaf adds to the margin; 0 in internal nodes.
        categorical: bool[N], whether a node asks for a category; False in leaves.
        category_start: int32[N], first word of a categorical node's set in `category_bits`; 0 elsewhere.
        category_words: int32[N], number of words of its set, 1 or more; 0 elsewhere.
        category_bits: uint32[W]. Category c is in a set of n words when c // 32 < n and bit c % 32
            (counted from the lowest) of word c // 32 is 1. A row goes RIGHT when its category is in the set,
            left when it is not, and left when the value is not a category: below 0, or 2**24 or more. Other
            values are cut to a whole number towards zero. A missing value goes where `default_left` says.
        linear_weight: float32[F + 1, G], weights by column; the last row is the bias. Shape (0, G) unless
            `gblinear`.
        best_iteration: index of the best round that training recorded, or None.
        best_ntree_limit: number of trees a group to use that training recorded (before 2.0), or None.
        feature_names: one a column, or none: ().
        feature_types: one a column (`float`, `int`, `i`, `q`, `c`...), or none: ().
        attributes: the booster's own (name -> text), as the file states them.
    """

    format: str
    version: tuple[int, ...]
    booster: Booster
    objective: str
    objective_parameters: Mapping[str, str]
    features: int
    classes: int
    groups: int
    num_parallel_tree: int
    base_margin: NDArray[np.float32]
    tree_group: NDArray[np.int32]
    tree_weight: NDArray[np.float32]
    root: NDArray[np.int32]
    round_start: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    default_left: NDArray[np.bool_]
    leaf_value: NDArray[np.float32]
    categorical: NDArray[np.bool_]
    category_start: NDArray[np.int32]
    category_words: NDArray[np.int32]
    category_bits: NDArray[np.uint32]
    linear_weight: NDArray[np.float32]
    best_iteration: int | None
    best_ntree_limit: int | None
    feature_names: tuple[str, ...]
    feature_types: tuple[str, ...]
    attributes: Mapping[str, str]

    @property
    def trees(self) -> int:
        """T, the number of trees."""
        return len(self.root)

    @property
    def trees_used(self) -> int:
        """Number of trees, from the first, that AWS's containers predict with.

        They pass the best round that training recorded, so that later rounds do not count: `best_ntree_limit`
        trees a group where it is recorded, else the rounds up to and with `best_iteration`, else all. Before
        1.4 only a pickle keeps the limit; the other files predict with all their trees, as they did then.
        """
        if self.best_ntree_limit:
            return min(self.best_ntree_limit * self.groups, self.trees)
        if self.best_iteration is not None and self.version >= _TELLS_ROUNDS:
            return int(self.round_start[min(self.best_iteration + 1, len(self.round_start) - 1)])
        return self.trees

    @property
    def base_margin_last(self) -> bool:
        """True when the writing version added the base margin after it had summed the leaves from zero.

        It began with the base margin from 1.3 on (dart from 1.4 on); float32 sums differ in their last bits.
        """
        return self.booster != "gblinear" and self.version < (
            _TELLS_ROUNDS if self.booster == "dart" else _BASE_FIRST
        )

    @property
    def version_text(self) -> str:
        """The writing version for people: `1.7.6`, `1.3`, or `before 1.0`."""
        return ".".join(map(str, self.version)) or "before 1.0"


def frozen(values: Any, dtype: type[np.generic]) -> NDArray[Any]:  # noqa: ANN401 - any array or list of numbers
    """Return the values as a contiguous read-only array of the type."""
    array = np.ascontiguousarray(values, dtype)
    array.setflags(write=False)
    return array

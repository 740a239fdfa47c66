"""Objectives: which are known, how a base score becomes a margin, and how files name their parameters.

Rule: an objective that is not in the table is refused by name; nobody guesses its transformation. The
logarithm is the C library's own `logf`, which XGBoost calls too, so that margins agree to the last bit.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sagestead.forest.documents import Malformed

Link = Literal["identity", "logit", "log"]

_LOGF = ctypes.CDLL(ctypes.util.find_library("m")).logf
_LOGF.restype = ctypes.c_float
_LOGF.argtypes = [ctypes.c_float]

RENAMED = {"reg:linear": "reg:squarederror"}


@dataclass(frozen=True, slots=True)
class Objective:
    """What a reader and a writer know of an objective.

    Attributes:
        link: from the base score to the margin.
        block: name of its parameters' object in a model document; "" when it has none.
        defaults: (name, text) of the parameters that today's XGBoost wants to find there.
    """

    link: Link = "identity"
    block: str = ""
    defaults: tuple[tuple[str, str], ...] = ()


_REGRESSION = ("reg_loss_param", (("scale_pos_weight", "1"),))
_RANKING = Objective("identity", "lambdarank_param")
_CLASSES = Objective("identity", "softmax_multiclass_param")

OBJECTIVES: Mapping[str, Objective] = MappingProxyType(
    {
        "reg:squarederror": Objective("identity", *_REGRESSION),
        "reg:squaredlogerror": Objective("identity", *_REGRESSION),
        "reg:logistic": Objective("logit", *_REGRESSION),
        "reg:pseudohubererror": Objective("identity", "pseudo_huber_param", (("huber_slope", "1"),)),
        "reg:absoluteerror": Objective(),
        "reg:gamma": Objective("log", *_REGRESSION),
        "reg:tweedie": Objective("log", "tweedie_regression_param", (("tweedie_variance_power", "1.5"),)),
        "binary:logistic": Objective("logit", *_REGRESSION),
        "binary:logitraw": Objective("identity", *_REGRESSION),
        "binary:hinge": Objective(),
        "count:poisson": Objective("log", "poisson_regression_param", (("max_delta_step", "0.7"),)),
        "survival:cox": Objective("log"),
        "survival:aft": Objective(
            "log",
            "aft_loss_param",
            (("aft_loss_distribution", "normal"), ("aft_loss_distribution_scale", "1")),
        ),
        "rank:pairwise": _RANKING,
        "rank:ndcg": _RANKING,
        "rank:map": _RANKING,
        "multi:softmax": _CLASSES,
        "multi:softprob": _CLASSES,
    }
)


def known(name: str) -> str:
    """Return today's name of an objective; raise `Malformed` when it is not served."""
    name = RENAMED.get(name, name)
    if name not in OBJECTIVES:
        raise Malformed(f"its objective {name[:60]!r} is not one of {', '.join(sorted(OBJECTIVES))}")
    return name


def link_of(objective: str, version: tuple[int, ...]) -> Link:
    """Return how a base score in a file by this version becomes a margin (see the table in `ensemble`)."""
    if version < (1, 0):
        return "identity"
    if objective == "binary:logitraw" and version < (1, 3):
        return "logit"
    return OBJECTIVES[objective].link


def margin(score: NDArray[np.float32], link: Link) -> NDArray[np.float32]:
    """Return the margins of base scores, in float32 as XGBoost does; not finite where there is none."""
    one = np.float32(1)
    with np.errstate(all="ignore"):  # what is not finite is refused by who asks
        if link == "logit":
            return np.array([-_LOGF(float(one / each - one)) for each in score], np.float32)
        if link == "log":
            return np.array([_LOGF(float(each)) for each in score], np.float32)
    return score

"""Margins to predictions: what each objective does with the sum of a row.

Rule: the same operations in the same precision and order as XGBoost, so that no bit differs. XGBoost calls
the C library's `expf`; NumPy's own exponential rounds some values differently, so the same C function is
called here, and by the kernels.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

IDENTITY, SIGMOID, EXPONENTIAL, HINGE, LABEL, PROBABILITIES = range(6)

KNOWN: Mapping[str, int] = {
    "binary:hinge": HINGE,
    "binary:logistic": SIGMOID,
    "binary:logitraw": IDENTITY,
    "count:poisson": EXPONENTIAL,
    "multi:softmax": LABEL,
    "multi:softprob": PROBABILITIES,
    "rank:map": IDENTITY,
    "rank:ndcg": IDENTITY,
    "rank:pairwise": IDENTITY,
    "reg:absoluteerror": IDENTITY,
    "reg:gamma": EXPONENTIAL,
    "reg:logistic": SIGMOID,
    "reg:pseudohubererror": IDENTITY,
    "reg:squarederror": IDENTITY,
    "reg:squaredlogerror": IDENTITY,
    "reg:tweedie": EXPONENTIAL,
    "survival:aft": EXPONENTIAL,
    "survival:cox": EXPONENTIAL,
}
"""The transform of every objective that can be scored."""

HIGHEST = np.float32(88.7)
"""The sigmoid's exponent is cut here, before `expf` would overflow."""


class UnknownObjective(ValueError):  # noqa: N818 - it says what is wrong
    """An objective whose transform is not known; predictions of it would be a guess."""


def transform_of(objective: str) -> int:
    """Return the transform of an objective; raise `UnknownObjective`."""
    try:
        return KNOWN[objective]
    except KeyError:
        known = ", ".join(KNOWN)
        raise UnknownObjective(
            f"Objective {objective[:80]!r} is not known; the model can be one of: {known}."
        ) from None


def transformed(margins: Floats, transform: int) -> Floats:
    """Return the predictions of margins (rows x groups): rows x groups, or rows x 1 of `LABEL`."""
    if transform == SIGMOID:
        exponent = np.minimum(-margins, HIGHEST)
        sigmoid: Floats = np.float32(1) / (_expf(exponent) + np.float32(1))
        return sigmoid
    if transform == EXPONENTIAL:
        return _expf(margins)
    if transform == HINGE:
        return (margins > 0).astype(np.float32)
    if transform == LABEL:
        return _highest(margins).astype(np.float32)[:, None]
    if transform == PROBABILITIES:
        return _softmax(margins)
    return margins


def _softmax(margins: Floats) -> Floats:
    """Exponentials of the distance from the row's maximum over their sum, which is of double precision."""
    highest: Floats = np.fmax.reduce(margins, axis=1, keepdims=True)
    powers = _expf(margins - highest)
    total = np.add.accumulate(powers, axis=1, dtype=np.float64)[:, -1:].astype(np.float32)
    shares: Floats = np.divide(powers, total)
    return shares


def _highest(margins: Floats) -> NDArray[np.intp]:
    """The first group of the highest margin; one that is not a number is not higher than any."""
    best = np.zeros(len(margins), np.intp)
    rows = np.arange(len(margins))
    for group in range(1, margins.shape[1]):
        best = np.where(margins[:, group] > margins[rows, best], group, best)
    return best


# None: the symbols of the process itself, which on macOS include the mathematical functions.
_C_EXPF = ctypes.CDLL("libm.so.6" if sys.platform == "linux" else None).expf
_C_EXPF.argtypes = [ctypes.c_float]
_C_EXPF.restype = ctypes.c_float


def _expf(values: Floats) -> Floats:
    """Call the C library's `expf` on every value."""
    found = map(_C_EXPF, values.ravel().tolist())
    return np.fromiter(found, np.float32, values.size).reshape(values.shape)

"""Margins to predictions: what each objective does with the sum of a row.

Rule: the same operations in the same precision and order as XGBoost, so that no bit differs. XGBoost calls
the C library's `expf`, and for survival:aft alone `exp` in double precision; NumPy's own exponential rounds
some values differently, so the same C functions are called here, and by the kernels.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

IDENTITY, SIGMOID, EXPONENTIAL, DOUBLE_EXPONENTIAL, HINGE, LABEL, PROBABILITIES = range(7)

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
    "survival:aft": DOUBLE_EXPONENTIAL,
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
    functions: dict[int, Callable[[Floats], Floats]] = {
        SIGMOID: _sigmoid,
        EXPONENTIAL: _expf,
        DOUBLE_EXPONENTIAL: _exp,
        HINGE: _hinge,
        LABEL: _label,
        PROBABILITIES: _softmax,
    }
    return margins if transform == IDENTITY else functions[transform](margins)


def _sigmoid(margins: Floats) -> Floats:
    found: Floats = np.float32(1) / (_expf(np.minimum(-margins, HIGHEST)) + np.float32(1))
    return found


def _hinge(margins: Floats) -> Floats:
    return (margins > 0).astype(np.float32)


def _softmax(margins: Floats) -> Floats:
    """Exponentials of the distance from the row's maximum over their sum, which is of double precision."""
    highest: Floats = np.fmax.reduce(margins, axis=1, keepdims=True)
    powers = _expf(margins - highest)
    total = np.add.accumulate(powers, axis=1, dtype=np.float64)[:, -1:].astype(np.float32)
    shares: Floats = np.divide(powers, total)
    return shares


def _label(margins: Floats) -> Floats:
    """The first group of the highest margin; one that is not a number is not higher than any."""
    best = np.zeros(len(margins), np.intp)
    rows = np.arange(len(margins))
    for group in range(1, margins.shape[1]):
        best = np.where(margins[:, group] > margins[rows, best], group, best)
    return best.astype(np.float32)[:, None]


# None: the symbols of the process itself, which on macOS include the mathematical functions.
_MATHEMATICS = ctypes.CDLL("libm.so.6" if sys.platform == "linux" else None)
_C_EXPF = _MATHEMATICS.expf
_C_EXPF.argtypes = [ctypes.c_float]
_C_EXPF.restype = ctypes.c_float
_C_EXP = _MATHEMATICS.exp
_C_EXP.argtypes = [ctypes.c_double]
_C_EXP.restype = ctypes.c_double


def _expf(values: Floats) -> Floats:
    return _of_each(_C_EXPF, values)


def _exp(values: Floats) -> Floats:
    return _of_each(_C_EXP, values)


def _of_each(function: Callable[[float], float], values: Floats) -> Floats:
    """Call a C function on every value, and round what it returns to float32."""
    found = np.fromiter(map(function, values.ravel().tolist()), np.float64, values.size)
    return found.astype(np.float32).reshape(values.shape)

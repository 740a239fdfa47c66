"""How long an answer will take, told from its request before any of it is read.

Rule: an estimate costs a few microseconds at most, and errs on the side of too much: what is told to be short
may run where nothing else can run meanwhile.
"""

from __future__ import annotations

import struct

from sagestead.algorithms.xgboost.recordio import MAGIC
from sagestead.forest.compiling import kernels
from sagestead.worker.contract import Invocation

_SECONDS_A_CALL = 10e-6
_SECONDS_A_BYTE = 15e-9
_SECONDS_A_STEP = 3e-9
_SECONDS_A_ROW = 1e-6
_TWIN_SECONDS_A_CALL = 100e-6
_TWIN_SECONDS_A_STEP = 50e-9
_COUNTED = 1 << 16
"""Longer bodies are not looked at: reading them takes long whatever is in them."""
_FRAME = struct.pack("<I", MAGIC)


def seconds(invocation: Invocation, steps: int) -> float:
    """Return about how long a request takes with trees of `steps` steps a row."""
    body = invocation.body
    size = len(body)
    rows = size // 2 if size > _COUNTED else max(body.count(b"\n") + 1, body.count(_FRAME))
    if kernels() is None:
        call, step = _TWIN_SECONDS_A_CALL, _TWIN_SECONDS_A_STEP
    else:
        call, step = _SECONDS_A_CALL, _SECONDS_A_STEP
    return call + size * _SECONDS_A_BYTE + rows * (_SECONDS_A_ROW + steps * step)

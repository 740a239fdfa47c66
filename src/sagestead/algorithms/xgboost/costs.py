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
_SECONDS_A_BYTE = 12e-9  # what Python takes for a body that is not plain is twice that
_SECONDS_A_STEP = 2e-9
_SECONDS_A_ROW = 0.5e-6
_SECONDS_A_RECORD = 20e-6
_SECONDS_A_SELECTED_ROW = 10e-6
_TWIN_SECONDS_A_CALL = 100e-6
_TWIN_SECONDS_A_STEP = 50e-9
_COUNTED = 1 << 14
"""Longer bodies are not looked at: reading them takes long whatever is in them."""
_ROW_BYTES = 16
"""Of the shortest rows that are worth telling apart from none in a body that is not looked at."""
_FRAME = struct.pack("<I", MAGIC)


def seconds(invocation: Invocation, steps: int, *, selects: bool) -> float:
    """Return about how long a request takes.

    Args:
        invocation: the request.
        steps: that a row takes through the trees of all models.
        selects: whether the answer is selectable output.
    """
    body = invocation.body
    size = len(body)
    kernel = kernels() is not None
    a_row = _SECONDS_A_ROW + steps * (_SECONDS_A_STEP if kernel else _TWIN_SECONDS_A_STEP)
    if selects:
        a_row += _SECONDS_A_SELECTED_ROW
    if size > _COUNTED:
        rows = size // _ROW_BYTES
    elif "recordio" in (invocation.content_type or ""):
        rows = body.count(_FRAME)
        a_row += _SECONDS_A_RECORD
    else:
        rows = body.count(b"\n") + 1
    return (_SECONDS_A_CALL if kernel else _TWIN_SECONDS_A_CALL) + size * _SECONDS_A_BYTE + rows * a_row

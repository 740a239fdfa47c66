"""How long an answer will take, told from its request before any of it is read.

Rule: an estimate costs a few microseconds at most, and rather says too much than too little: what is told to
be short may run where nothing else can run meanwhile.
"""

from __future__ import annotations

import struct

from sagestead.algorithms.xgboost.recordio import MAGIC
from sagestead.forest.compiling import kernels
from sagestead.worker.contract import Invocation

_SECONDS_A_CALL = 5e-6
_SECONDS_A_BYTE = 1.5e-9
_SECONDS_A_STEP = 1.5e-9
_SECONDS_A_ROW = 0.2e-6
_PYTHON_SECONDS_A_BYTE = 25e-9
_TWIN_SECONDS_A_CALL = 100e-6
_TWIN_SECONDS_A_STEP = 50e-9
_SECONDS_A_RECORD = 20e-6
_SECONDS_A_SELECTED_ROW = 10e-6
_COUNTED = 1 << 16
"""Longer bodies are not looked at: reading them takes long whatever is in them."""
_ROW_BYTES = 16
"""A row of a body that is not looked at has at least so many."""
_PLAIN = b"0123456789.,+-eE\n\r \t;:naNA"
_LOOKED_AT = 256
"""Bytes that tell whether a kernel will read the body."""
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
    call, a_byte, a_step = _SECONDS_A_CALL, _SECONDS_A_BYTE, _SECONDS_A_STEP
    if kernels() is None:
        call, a_byte, a_step = _TWIN_SECONDS_A_CALL, _PYTHON_SECONDS_A_BYTE, _TWIN_SECONDS_A_STEP
    a_row = _SECONDS_A_ROW + steps * a_step + (_SECONDS_A_SELECTED_ROW if selects else 0)
    if size > _COUNTED:
        rows = size // _ROW_BYTES
    elif "recordio" in (invocation.content_type or ""):
        rows = body.count(_FRAME)
        a_row += _SECONDS_A_RECORD
    else:
        rows = body.count(b"\n") + 1
        if body[:_LOOKED_AT].translate(None, _PLAIN):
            a_byte = _PYTHON_SECONDS_A_BYTE
    return call + size * a_byte + rows * a_row

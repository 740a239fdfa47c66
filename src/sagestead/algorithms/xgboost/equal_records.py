"""RecordIO of equal dense records, which is what clients send, read at once.

Rule: as `recordio` reads it, or not at all. The first record is read by it; when it is written as we write a
dense tensor and nothing else, and all others have the same bytes around their values, they are read alike.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagestead.algorithms.xgboost.recordio import MAGIC, MalformedRecord, Record, parse_record, write_record

_FRAME = struct.Struct("<II")


def equal_dense_records(body: bytes) -> NDArray[np.float32] | None:
    """Return a row of values for each record; None when they are not equal, or not dense floats."""
    if len(body) < _FRAME.size:
        return None
    magic, size = _FRAME.unpack_from(body)
    whole = _FRAME.size + size + -size % 4
    if magic != MAGIC or len(body) % whole:
        return None
    values = _only_values(body[_FRAME.size : _FRAME.size + size])
    if values is None:
        return None
    records = np.frombuffer(body, np.uint8).reshape(-1, whole)
    end = _FRAME.size + size
    begin = end - values.nbytes
    if (records[1:, :begin] != records[0, :begin]).any():
        return None
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(records[:, begin:end]).view(values.dtype).astype(np.float32)


def _only_values(content: bytes) -> NDArray[Any] | None:
    """Return the values of a record that ends with them and holds nothing else."""
    try:
        tensor = parse_record(content).features.get("values")
    except MalformedRecord:
        return None
    if tensor is None or tensor.values.dtype == np.int32 or not tensor.values.size:
        return None
    if tensor.keys is not None or tensor.shape:
        return None
    return tensor.values if write_record(Record({"values": tensor})) == content else None

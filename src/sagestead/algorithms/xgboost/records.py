"""RecordIO-protobuf as training data: label `values`, features `values` dense or sparse.

Rule: all records are of one width; if any is sparse, all are taken as sparse (spec: xgboost-builtin.md 2.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from sagestead.algorithms.xgboost.examples import Examples, Floats, Unreadable, as_float32
from sagestead.algorithms.xgboost.faults import UserFault
from sagestead.algorithms.xgboost.recordio import MalformedRecord, Tensor, parse_record, read_recordio

NO_LABELS = (
    "Got input data without labels. Please check the input data set. If training job is running on multiple "
    "instances, please switch to using single instance if number of records in the data set is less than "
    "number of workers (16 * number of instance) in the cluster."
)


def read_records(files: Sequence[Path]) -> Examples:
    """Read all files as one matrix; raise `UserFault` for records without label, `Unreadable` otherwise."""
    tensors: list[Tensor] = []
    labels: list[Any] = []
    for tensor, label in _examples(files):
        tensors.append(tensor)
        labels.append(label)
    features = _sparse(tensors) if any(t.keys is not None for t in tensors) else _dense(tensors)
    return Examples(features, as_float32(np.array(labels, np.float64)))


def _examples(files: Sequence[Path]) -> Iterator[tuple[Tensor, Any]]:
    for file in files:
        number = 0
        with file.open("rb") as stream:
            try:
                for number, message in enumerate(read_recordio(stream), 1):
                    record = parse_record(message)
                    if "values" not in record.label or not record.label["values"].values.size:
                        raise UserFault(NO_LABELS)
                    if "values" not in record.features:
                        raise Unreadable(f"{file.name}, record {number}: it has no feature tensor 'values'.")
                    yield record.features["values"], record.label["values"].values[0]
            except MalformedRecord as fault:
                raise Unreadable(f"{file.name}, after record {number}: {fault}") from None


def _dense(tensors: list[Tensor]) -> Floats:
    if not tensors:
        raise Unreadable("the channel has no records.")
    width = tensors[0].values.size
    for number, tensor in enumerate(tensors, 1):
        if tensor.values.size != width:
            raise Unreadable(f"record {number} has {tensor.values.size} values, the first one {width}.")
    features = np.empty((len(tensors), width), np.float32)
    for row, tensor in zip(features, tensors, strict=True):
        row[:] = as_float32(tensor.values)
    return features


def _sparse(tensors: list[Tensor]) -> csr_matrix:
    keys = [np.arange(t.values.size) if t.keys is None else t.keys.astype(np.int64) for t in tensors]
    widths = {t.shape[-1] for t in tensors if t.shape}
    indices: NDArray[Any] = np.concatenate(keys)
    width = max(widths) if widths else int(indices.max(initial=-1)) + 1
    if indices.size and (indices.min() < 0 or indices.max() >= width):
        raise Unreadable(f"a record has a key outside its width of {width} columns.")
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum([key.size for key in keys])])
    values = np.concatenate([as_float32(t.values) for t in tensors])
    return csr_matrix((values, indices, starts), shape=(len(tensors), width))

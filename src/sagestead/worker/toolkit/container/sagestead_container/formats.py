"""Arrays as bytes and texts, the way that AWS's toolkits read and write them (JSON, CSV, NPY).

Rule: nothing is unpickled.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
OCTET_STREAM, ANY = "application/octet-stream", "*/*"
UTF8_TYPES = [JSON, CSV]
LIBSVM, X_LIBSVM, X_PARQUET = "text/libsvm", "text/x-libsvm", "application/x-parquet"
X_RECORDIO_PROTOBUF = "application/x-recordio-protobuf"


class ClientError(Exception):
    """What was sent cannot be used."""


class UserError(Exception):
    """What the user has given cannot be used."""


class UnsupportedFormatError(Exception):
    """A content type that is not read or written here."""

    def __init__(self, content_type: str, **_more: object) -> None:
        super().__init__(f"Content type {content_type} is not supported by this framework.")
        self.content_type = content_type


def decode(content: Any, content_type: str) -> Any:  # noqa: ANN401 - text or bytes; an array of any type
    """Return what the content says as an array; raise `UnsupportedFormatError`."""
    readers: dict[str, Callable[[Any], Any]] = {JSON: json_to_numpy, CSV: csv_to_numpy, NPY: npy_to_numpy}
    if content_type not in readers:
        raise UnsupportedFormatError(content_type)
    return readers[content_type](content)


def encode(array: Any, content_type: str) -> Any:  # noqa: ANN401 - whatever a model predicts; text or bytes
    """Return an array, or what is like one, as a content type has it; raise `UnsupportedFormatError`."""
    writers: dict[str, Callable[[Any], Any]] = {JSON: array_to_json, CSV: array_to_csv, NPY: array_to_npy}
    if content_type not in writers:
        raise UnsupportedFormatError(content_type)
    return writers[content_type](array)


def json_to_numpy(text: str | bytes, dtype: Any = None) -> Any:  # noqa: ANN401 - arrays have no type in 3.7
    """Read JSON."""
    return np.array(json.loads(text), dtype=dtype)


def array_to_json(array: object) -> str:
    """Write JSON."""
    return json.dumps(array, default=as_list)


def as_list(value: Any) -> object:  # noqa: ANN401 - whatever a model predicts
    """Return an array's values, for JSON."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def csv_to_numpy(text: str | bytes, dtype: Any = None) -> Any:  # noqa: ANN401 - arrays have no type in 3.7
    """Read CSV: numbers, or texts where there are any; one row or one column becomes one-dimensional."""
    lines = text.decode("utf-8") if isinstance(text, bytes) else text
    array = np.array([row for row in csv.reader(io.StringIO(lines), strict=True) if row]).squeeze()
    try:
        return array.astype(dtype or float)
    except ValueError as error:
        if dtype is None:
            return array
        raise ClientError(f"The CSV cannot be read as {dtype}: {error}") from error


def array_to_csv(array: object) -> str:
    """Write CSV: one line for a row, or for each value of what has one dimension."""
    rows = np.array(array)
    rows = rows.reshape(-1, 1) if rows.ndim < 2 else rows  # noqa: PLR2004 - a table
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def npy_to_numpy(content: bytes) -> Any:  # noqa: ANN401 - arrays have no type in 3.7
    """Read NumPy's own format; objects in it are refused."""
    return np.load(io.BytesIO(content), allow_pickle=False)


def array_to_npy(array: object) -> bytes:
    """Write NumPy's own format; objects are refused."""
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array), allow_pickle=False)
    return buffer.getvalue()

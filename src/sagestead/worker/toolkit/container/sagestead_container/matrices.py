"""DMatrix of what a script is sent or trains with: CSV, libsvm, RecordIO-protobuf, Parquet.

Rule: requests have no labels; files of training have them first.
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import formats, recordio

FIRST_WITH_FORMAT = (1, 6)
"""From this XGBoost on, a file's format is written behind its name."""

_KINDS = {
    "csv": ("csv", formats.CSV),
    "libsvm": ("libsvm", formats.LIBSVM, formats.X_LIBSVM),
    "parquet": ("parquet", formats.X_PARQUET),
    "recordio-protobuf": ("recordio-protobuf", formats.X_RECORDIO_PROTOBUF),
}


def decode(content: Any, content_type: str) -> Any:  # noqa: ANN401 - text or bytes; a DMatrix
    """Return the matrix of a request; raise `UnsupportedFormatError`."""
    kind = content_type.partition(";")[0].strip()
    readers: dict[str, Callable[[Any], Any]] = {
        formats.CSV: csv_to_dmatrix,
        formats.LIBSVM: libsvm_to_dmatrix,
        formats.X_LIBSVM: libsvm_to_dmatrix,
        formats.X_RECORDIO_PROTOBUF: recordio_protobuf_to_dmatrix,
    }
    if kind not in readers:
        raise formats.UnsupportedFormatError(kind)
    return readers[kind](content)


def csv_to_dmatrix(content: str | bytes, dtype: Any = None) -> Any:  # noqa: ANN401 - a DMatrix
    """Read CSV, or what is like it with another delimiter; an empty cell is missing."""
    text = content.decode("utf-8") if isinstance(content, (bytes, bytearray)) else content
    return _xgboost().DMatrix(_table(text, dtype))


def libsvm_to_dmatrix(content: str | bytes) -> Any:  # noqa: ANN401 - a DMatrix
    """Read libsvm text, the way XGBoost itself reads a file of it."""
    return _libsvm([content.encode("utf-8") if isinstance(content, str) else bytes(content)])


def recordio_protobuf_to_dmatrix(content: bytes) -> Any:  # noqa: ANN401 - a DMatrix
    """Read RecordIO frames with a protobuf record in each, dense or sparse; labels where all have one."""
    rows, labels = recordio.read(bytes(content))
    return _of_records(rows, labels)


def get_content_type(content_type: str | None) -> str:
    """Return which of csv, libsvm, parquet and recordio-protobuf a channel's content type means."""
    if content_type is None:
        return "libsvm"
    name, _, parameters = content_type.lower().partition(";")
    for kind, names in _KINDS.items():
        if name.strip() in names:
            sizes = [one.split("=")[1].strip() for one in parameters.split(";") if "label_size=" in one]
            if kind == "csv" and sizes not in ([], ["1"]):
                raise formats.UserError(
                    f"{content_type} is not an accepted csv ContentType. "
                    "Optional parameter label_size must be equal to 1"
                )
            return kind
    known = ", ".join(one for names in _KINDS.values() for one in names)
    raise formats.UserError(f"{content_type} is not an accepted ContentType: {known}.")


def get_dmatrix(
    data_path: str | None,
    content_type: str | None,
    csv_weights: int = 0,
    is_pipe: bool = False,  # noqa: FBT001, FBT002 - the signature that scripts know
    combine_train_val: bool = False,  # noqa: FBT001, FBT002 - the same
) -> Any:  # noqa: ANN401 - a DMatrix
    """Return the matrix of a file, or of a channel's folder; None when there is nothing.

    The first column is the label; with `csv_weights` 1, the second of a CSV is the weight.
    """
    if is_pipe or combine_train_val:
        raise formats.UserError(
            "get_dmatrix reads one channel of files here: leave is_pipe and combine_train_val out."
        )
    kind = get_content_type(content_type)
    files = _files(data_path) if data_path else []
    if not files:
        return None
    if kind == "csv":
        return _labelled(np.vstack([_table(path.read_text(encoding="utf-8")) for path in files]), csv_weights)
    if kind == "libsvm":
        return _libsvm([path.read_bytes() for path in files])
    if kind == "parquet":
        return _labelled(np.vstack([_parquet_table(path) for path in files]), 0)
    return recordio_protobuf_to_dmatrix(b"".join(path.read_bytes() for path in files))


def _xgboost() -> Any:  # noqa: ANN401 - only the runtimes of XGBoost have it
    import xgboost  # noqa: PLC0415 - the same

    return xgboost


def _files(path: str) -> list[Path]:
    if Path(path).is_file():
        return [Path(path)]
    return [
        Path(folder, name)
        for folder, _, names in sorted(os.walk(path))
        for name in sorted(names)
        if not name.startswith((".", "_"))
    ]


def _libsvm(parts: list[bytes]) -> Any:  # noqa: ANN401 - a DMatrix
    xgboost = _xgboost()
    with tempfile.NamedTemporaryFile("wb", suffix=".libsvm") as file:
        for part in parts:
            file.write(part.rstrip(b"\n") + b"\n")
        file.flush()
        release = tuple(int(part) for part in xgboost.__version__.split(".")[:2])
        return xgboost.DMatrix(file.name + ("?format=libsvm" if release >= FIRST_WITH_FORMAT else ""))


def _table(text: str, dtype: Any = None) -> Any:  # noqa: ANN401 - an array
    """Return the cells of a CSV, whatever delimits them."""
    rows = [line for line in text.strip().split("\n") if line]
    delimiter = csv.Sniffer().sniff(rows[0][:512]).delimiter if rows and "," not in rows[0] else ","
    if delimiter.isalnum() or delimiter in "+-.":
        delimiter = ","
    values = [[float(cell.strip().strip("\"'") or "nan") for cell in row.split(delimiter)] for row in rows]
    return np.array(values, dtype=dtype)


def _parquet_table(path: Path) -> Any:  # noqa: ANN401 - an array
    import pandas as pd  # noqa: PLC0415 - slow to import

    return pd.read_parquet(path).to_numpy(dtype=float)


def _labelled(table: Any, weights: int) -> Any:  # noqa: ANN401 - an array; a DMatrix
    if weights == 1:
        return _xgboost().DMatrix(table[:, 2:], label=table[:, 0], weight=table[:, 1])
    return _xgboost().DMatrix(table[:, 1:], label=table[:, 0])


def _of_records(rows: Any, labels: Any) -> Any:  # noqa: ANN401 - recordio's; a DMatrix
    from scipy.sparse import csr_matrix  # noqa: PLC0415 - slow to import

    columns, label = recordio.width(rows), labels or None
    if all(keys is None and len(values) == columns for values, keys, _ in rows):
        return _xgboost().DMatrix(np.array([values for values, _, _ in rows]), label=label)
    starts = np.cumsum([0, *[len(values) for values, _, _ in rows]])
    places = [range(len(values)) if keys is None else keys for values, keys, _ in rows]
    found = csr_matrix(
        (np.concatenate([values for values, _, _ in rows]), [key for keys in places for key in keys], starts),
        shape=(len(rows), columns),
    )
    return _xgboost().DMatrix(found, label=label)

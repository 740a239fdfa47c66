"""Request bodies to rows, as AWS's container reads them.

Rule: the same text gives the same float32 numbers whatever the size of the request, and refused bodies get
the container's own sentence. Plain bodies are read by kernels (`forest.compiling`), large plain CSV by Arrow
where there are none, and RecordIO of equal dense records at once by NumPy. They read the same numbers as the
Python below, to the bit, or leave a body to it: it alone says what is refused.
"""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sagestead.algorithms.xgboost.equal_records import equal_dense_records
from sagestead.algorithms.xgboost.formats import CONTENT_TYPES, Format
from sagestead.algorithms.xgboost.recordio import MalformedRecord, Tensor, parse_record, read_recordio
from sagestead.domain.images import BuiltInImage
from sagestead.forest.compiling import kernels

Matrix: TypeAlias = "NDArray[np.float32] | scipy.sparse.csr_matrix"
_PREFERRED_DELIMITERS = ",\t; :"
_SNIFFED = 512
_CELLS_AT_ONCE = 1 << 16
_PLAIN = b"0123456789.,+-eE\n"
_WORTH_ARROW = 1 << 16
_ARROW_COLUMNS = 2048
_LARGEST_COLUMN = 1 << 31
_DENSE_CELLS = 1 << 16
_DENSE_CELLS_A_BYTE = 4
"""A libsvm body of more cells becomes a sparse matrix."""


class Undecodable(Exception):  # noqa: N818 - it is the text of an answer
    """The body cannot be read; the text is the container's answer."""

    status = 415


@dataclass(frozen=True, slots=True)
class Rows:
    """A decoded body: rows x columns of float32; NaN and (sparse) absent entries are missing values."""

    kind: Format
    matrix: Matrix


def kind_of(content_type: str | None) -> Format:
    """Return what a Content-Type announces; none at all is libsvm.

    Parameters are not looked at, but for `label_size` of CSV. Raises `Undecodable`.
    """
    if content_type is None:
        return "libsvm"
    media, *parameters = (part.strip() for part in content_type.lower().split(";"))
    kind = CONTENT_TYPES.get(media)
    if kind is None:
        raise Undecodable(f"{content_type} is not an accepted ContentType: {', '.join(CONTENT_TYPES)}.")
    sizes = [part.partition("=")[2].strip('"') for part in parameters if part.startswith("label_size=")]
    if kind == "csv" and any(size != "1" for size in sizes):
        raise Undecodable(
            f"{content_type} is not an accepted csv ContentType. "
            "Optional parameter label_size must be equal to 1"
        )
    return kind


def decode(body: bytes, content_type: str | None, image: BuiltInImage) -> Rows:
    """Return the rows of a body that is not empty; raise `Undecodable`."""
    kind = kind_of(content_type)
    if kind == "parquet":
        raise Undecodable(f"Content-type {content_type} is not supported.")
    plain = _plain(kind, body, image)
    if plain is not None:
        return Rows(kind, plain)
    read: Callable[[bytes, BuiltInImage], Matrix] = {"csv": _csv, "libsvm": _libsvm}.get(kind, _recordio)
    try:
        return Rows(kind, _finite(read(body, image)))
    except (ValueError, KeyError, OverflowError, csv.Error) as error:
        gap = " " if kind == "recordio-protobuf" else "\n "
        raise Undecodable(
            f"Loading {kind} data failed with Exception, please ensure data is in {kind} format:"
            f"{gap}{_type_of(error)}{gap}{error}"
        ) from None


def _plain(kind: Format, body: bytes, image: BuiltInImage) -> Matrix | None:
    """Return the finite rows of a body that a kernel reads, None of any other."""
    if kind == "recordio-protobuf":
        matrix = equal_dense_records(body)
        return matrix if matrix is not None and np.isfinite(matrix).all() else None
    ready = kernels()
    if ready is None:
        return None
    if kind == "csv":
        rows, matrix = ready.read_csv(body)
        return matrix if rows else None
    cells = max(_DENSE_CELLS, _DENSE_CELLS_A_BYTE * len(body))
    rows, width, matrix, *entries = ready.read_libsvm(body, image.at_least("3.0-5"), cells)
    if matrix.size or not rows:
        return matrix if rows else None
    return scipy.sparse.csr_matrix(tuple(entries), shape=(rows, width))


def delimiter_of(line: str) -> str:
    """Return the delimiter of a CSV line as Python's sniffer finds it; letters and digits mean a comma.

    Raises:
        csv.Error: the sniffer finds none.
    """
    sample = line[:_SNIFFED]
    if '"' not in sample and "'" not in sample:
        # Without quotes the sniffer only counts characters, and these come first in this order.
        for delimiter in _PREFERRED_DELIMITERS:
            if delimiter in sample:
                return delimiter
    found = csv.Sniffer().sniff(sample).delimiter
    return "," if found.isalnum() else found


def _csv(body: bytes, image: BuiltInImage) -> Matrix:
    stripped = body.strip()
    first = stripped[: stripped.find(b"\n")]
    if len(stripped) >= _WORTH_ARROW and b"," in first[:_SNIFFED] and not stripped.translate(None, _PLAIN):
        matrix = _plain_csv(stripped)
        if matrix is not None:
            return matrix
    text = stripped.decode()
    lines = text.split("\n")
    delimiter = delimiter_of(lines[0])
    width = lines[0].count(delimiter) + 1
    if any(line.count(delimiter) + 1 != width for line in lines):
        raise ValueError(_ragged(len(lines), image))
    matrix = np.empty((len(lines), width), np.float32)
    with np.errstate(over="ignore"):
        step = max(1, _CELLS_AT_ONCE // width)
        for start in range(0, len(lines), step):
            cells = delimiter.join(lines[start : start + step]).split(delimiter)
            numbers = np.fromiter((float(cell) if cell else np.nan for cell in cells), np.float64, len(cells))
            matrix[start : start + step] = numbers.reshape(-1, width)
    return matrix


def _plain_csv(body: bytes) -> Matrix | None:
    """Read CSV of digits, signs, points, exponents and commas only; None when Arrow will not."""
    import pyarrow as pa  # noqa: PLC0415 - 40 MB that small requests never need
    from pyarrow import csv as arrow  # noqa: PLC0415 - the same

    width = body.partition(b"\n")[0].count(b",") + 1
    if width > _ARROW_COLUMNS:
        return None
    names = [str(column) for column in range(width)]
    try:
        table = arrow.read_csv(
            pa.py_buffer(body),
            read_options=arrow.ReadOptions(column_names=names, use_threads=False),
            parse_options=arrow.ParseOptions(quote_char=False, ignore_empty_lines=False),
            convert_options=arrow.ConvertOptions(
                column_types=dict.fromkeys(names, pa.float64()), null_values=[""]
            ),
        )
    except pa.ArrowInvalid:
        return None
    matrix = np.empty((table.num_rows, width), np.float32)
    with np.errstate(over="ignore"):
        for column, values in enumerate(table.columns):
            matrix[:, column] = values.to_numpy()
    return matrix


def _ragged(rows: int, image: BuiltInImage) -> str:
    """Return what the image's NumPy says of rows of different lengths."""
    if image.at_least("3.0-5"):
        return (
            "setting an array element with a sequence. The requested array has an inhomogeneous shape "
            f"after 1 dimensions. The detected shape was ({rows},) + inhomogeneous part."
        )
    return "setting an array element with a sequence."


def _libsvm(body: bytes, image: BuiltInImage) -> Matrix:
    """Read `index:value` tokens; tokens without a colon are labels and ignored.

    Every line is a row, also when no entry is in it (the container loses such rows at the end of a body).
    From 3.0-5 on, indices that all begin at 1 or more are counted from 1.
    """
    lines = body.strip().decode().split("\n")
    rows, columns, values = array("q"), array("q"), array("d")
    for number, line in enumerate(lines):
        for token in line.split(" "):
            if ":" in token:
                index, value = token.split(":")[:2]
                rows.append(number)
                columns.append(int(index))
                values.append(float(value))
    if not columns:
        raise ValueError("cannot infer dimensions from zero sized index arrays")
    indices = np.frombuffer(columns, np.int64)
    lowest, highest = int(indices.min()), int(indices.max())
    if lowest < 0:
        raise ValueError("negative column index found")
    shift = 1 if lowest >= 1 and image.at_least("3.0-5") else 0
    return _sparse(
        np.frombuffer(values, np.float64),
        np.frombuffer(rows, np.int64),
        indices - shift,
        (len(lines), highest + 1 - shift),
    )


def _recordio(body: bytes, _image: BuiltInImage) -> Matrix:
    tensors = [parse_record(record).features["values"] for record in read_recordio(io.BytesIO(body))]
    if not tensors:
        raise ValueError("the body holds no record")
    if tensors[0].keys is None:
        if any(tensor.keys is not None for tensor in tensors):
            raise ValueError("dense and sparse records are mixed")
        with np.errstate(over="ignore"):
            return np.vstack([tensor.values for tensor in tensors]).astype(np.float32)
    return _sparse_records(tensors)


def _sparse_records(tensors: list[Tensor]) -> Matrix:
    keys = []
    for tensor in tensors:
        if tensor.keys is None and tensor.values.size:
            raise ValueError("dense and sparse records are mixed")
        keys.append(np.zeros(0, np.uint64) if tensor.keys is None else tensor.keys)
    columns = np.concatenate(keys)
    rows = np.repeat(np.arange(len(tensors)), [len(each) for each in keys])
    stated = max((tensor.shape[0] for tensor in tensors if tensor.shape), default=0)
    width = max(stated, int(columns.max()) + 1 if len(columns) else 1)
    if width > _LARGEST_COLUMN:
        raise ValueError(f"column {width - 1} is out of range")
    return _sparse(
        np.concatenate([tensor.values for tensor in tensors]),
        rows,
        columns.astype(np.int64),
        (len(tensors), width),
    )


def _sparse(
    values: NDArray[Any],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    shape: tuple[int, int],
) -> Matrix:
    """Make a sparse matrix; a column that a row names twice holds the sum, as SciPy has it."""
    if shape[1] > _LARGEST_COLUMN:
        raise ValueError(f"column {shape[1] - 1} is out of range")
    matrix = scipy.sparse.csr_matrix((np.asarray(values, np.float64), (rows, columns)), shape=shape)
    with np.errstate(over="ignore"):
        return matrix.astype(np.float32)


def _finite(matrix: Matrix) -> Matrix:
    numbers = matrix.data if scipy.sparse.issparse(matrix) else matrix
    if np.isinf(numbers).any():
        raise ValueError(
            "Check failed: valid: Input data contains `inf` or a value too large, "
            "while `missing` is not set to `inf`"
        )
    return matrix


def _type_of(error: Exception) -> str:
    """Return the type as Python prints it; types of our own are a ValueError to the outside."""
    shown = ValueError if isinstance(error, MalformedRecord) else type(error)
    return str(shown)

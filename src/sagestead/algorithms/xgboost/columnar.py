"""Parquet: the first column is the label, the others are features (spec: xgboost-builtin.md section 2.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from sagestead.algorithms.xgboost.examples import Examples, Floats, Unreadable, as_float32, joined

_ROWS_AT_ONCE = 1 << 16


def read_parquet(files: Sequence[Path]) -> Examples:
    """Read all files as one table; null is missing; raise `Unreadable`. A pandas index is not a column."""
    data = [file for file in files if not file.name.startswith("_")]
    if not data:
        raise Unreadable("the channel has no Parquet file; names that begin with '_' are not read.")
    blocks: list[Floats] = []
    for file in data:
        try:
            blocks += _blocks(file)
        except (pa.ArrowException, OSError, ValueError) as fault:
            raise Unreadable(f"{file.name}: {fault}") from None
    if len({block.shape[1] for block in blocks}) > 1:
        raise Unreadable("the files have different numbers of columns.")
    if not blocks or blocks[0].shape[1] < 2:  # noqa: PLR2004 - a label and a feature
        raise Unreadable(f"{data[0].name}: rows with a label and features are needed.")
    return Examples(joined([block[:, 1:] for block in blocks]), joined([block[:, 0] for block in blocks]))


def _blocks(file: Path) -> Iterator[Floats]:
    with parquet.ParquetFile(file, page_checksum_verification=True) as table:
        columns = _columns(table.schema_arrow)
        for batch in table.iter_batches(_ROWS_AT_ONCE, columns=columns):
            block = np.empty((batch.num_rows, len(columns)), np.float32)
            for number, name in enumerate(columns):
                block[:, number] = _numbers(file, name, batch.column(name))
            yield block


def _columns(schema: Any) -> list[str]:  # noqa: ANN401 - pyarrow ships no types
    """Return the names of the columns that are data."""
    pandas = schema.pandas_metadata or {}
    index = [name for name in pandas.get("index_columns", []) if isinstance(name, str)]
    names = [name for name in schema.names if name not in index]
    if len(set(names)) < len(names):
        raise Unreadable("two columns have the same name.")
    return names


def _numbers(file: Path, name: str, column: Any) -> Floats:  # noqa: ANN401 - the same
    kind = column.type
    if not (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    ):
        raise Unreadable(f"{file.name}: column '{name}' has type {kind}; numbers are needed.")
    if pa.types.is_boolean(kind):
        column = column.cast(pa.uint8())
    return as_float32(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))

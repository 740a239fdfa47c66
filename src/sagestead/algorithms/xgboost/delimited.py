"""CSV without a header: label first, then an optional weight, then features (spec: xgboost-builtin.md 2.2).

Rule: Arrow reads in blocks what it can read; a file that it refuses, or that has very many columns, is read
by Python, cell by cell, which accepts what float() accepts or names the cell that it does not. Both give the
same bits.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow

from sagestead.algorithms.xgboost.examples import (
    Examples,
    Floats,
    Unreadable,
    as_float32,
    first_line,
    is_checked,
    joined,
)
from sagestead.algorithms.xgboost.faults import UserFault

_BLOCK = 4 << 20
_CELLS_AT_ONCE = 1 << 20
_ARROW_COLUMNS = 1 << 15  # each column costs Arrow some kilobytes
_SNIFFED = 2048  # with quotes, the sniffer needs the square of the length
_NO_DELIMITERS = set('0123456789.+-eE_"\0\r\n')


def read_csv(files: Sequence[Path], *, weights: bool) -> Examples:
    """Read all files as one table; raise `UserFault` for the delimiter, `Unreadable` for cells and widths."""
    for file in filter(is_checked, files):
        _delimiter(first_line(file))
    delimiter = _delimiter(first_line(files[0]))
    width = first_line(files[0]).count(delimiter) + 1
    columns = 2 if weights else 1
    if width <= columns:
        raise Unreadable(
            f"{files[0].name} has {width} columns; a label{', a weight' * weights} and features are needed."
        )
    blocks = [block for file in files for block in _blocks(file, delimiter, width)]
    return Examples(
        features=joined([block[:, columns:] for block in blocks]),
        labels=joined([block[:, 0] for block in blocks]),
        weights=joined([block[:, 1] for block in blocks]) if weights else None,
    )


def _delimiter(line: str) -> str:
    """Return the delimiter that Python's sniffer sees in a line; raise `UserFault`."""
    try:
        found = csv.Sniffer().sniff(line[:_SNIFFED]).delimiter
    except csv.Error as fault:
        raise UserFault(f"Could not determine delimiter on line {line[:50]}:\n{fault}") from None
    if not found.isascii() or not found or found in _NO_DELIMITERS:
        raise UserFault(f"Could not determine delimiter on line {line[:50]}:\n{found!r} is none")
    return found


def _blocks(file: Path, delimiter: str, width: int) -> list[Floats]:
    """Return a file's rows in blocks of float32."""
    if width <= _ARROW_COLUMNS:
        with suppress(pa.ArrowInvalid):
            return list(_by_arrow(file, delimiter, width))
    return list(_by_python(file, delimiter, width))


def _by_arrow(file: Path, delimiter: str, width: int) -> Iterator[Floats]:
    names = [str(number) for number in range(width)]
    longest = len(first_line(file).encode())
    with arrow.open_csv(
        file,
        read_options=arrow.ReadOptions(
            column_names=names, block_size=max(_BLOCK, 4 * longest), use_threads=False
        ),
        parse_options=arrow.ParseOptions(delimiter=delimiter, quote_char=False),
        convert_options=arrow.ConvertOptions(
            column_types=dict.fromkeys(names, pa.float64()), null_values=[""], strings_can_be_null=True
        ),
    ) as reader:
        for batch in reader:
            block = np.empty((batch.num_rows, width), np.float32)
            for number, column in enumerate(batch.columns):
                block[:, number] = as_float32(column.to_numpy(zero_copy_only=False))
            yield block


def _by_python(file: Path, delimiter: str, width: int) -> Iterator[Floats]:
    with file.open("rb") as stream:
        lines = enumerate(stream, 1)
        while chunk := list(islice(lines, max(1, _CELLS_AT_ONCE // width))):
            rows = [
                _row(file, number, line, delimiter, width) for number, line in chunk if line.strip(b"\r\n")
            ]
            if rows:
                yield as_float32(np.array(rows, np.float64))


def _row(file: Path, number: int, line: bytes, delimiter: str, width: int) -> list[float]:
    text = line.decode("utf-8-sig" if number == 1 else "utf-8", "replace").rstrip("\r\n")
    cells = text.split(delimiter)
    if len(cells) != width:
        raise Unreadable(f"{file.name}, line {number}: {len(cells)} columns instead of {width}.")
    return [_cell(file, number, cell) for cell in cells]


def _cell(file: Path, number: int, cell: str) -> float:
    try:
        return float(cell) if cell.strip() else float("nan")
    except ValueError:
        hint = " The data must have no header row." if number == 1 else ""
        raise Unreadable(f"{file.name}, line {number}: '{cell[:50]}' is not a number.{hint}") from None

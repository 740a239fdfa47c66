"""Training data in memory, and the one entrance to its readers.

Rule: a cell is the number that Python's float() reads, rounded to float32; an empty cell is missing. What is
no number fails with file and line instead of training on something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Unreadable(Exception):  # noqa: N818 - it names the place in the data
    """The data cannot be read; the text names file and line."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows to train on.

    Attributes:
        features: float32, rows x columns: a dense array (missing: NaN) or SciPy CSR matrix (missing: absent).
        labels: float32, one a row.
        weights: float32, one a row, or None.
        groups: query ids (uint32), one a row in blocks, or None.
    """

    features: Any
    labels: Floats
    weights: Floats | None = None
    groups: NDArray[np.uint32] | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.features.shape[0])

    @property
    def columns(self) -> int:
        """Number of features."""
        return int(self.features.shape[1])

    @property
    def cells(self) -> int:
        """Number of cells that are kept: of sparse data those that are there."""
        return int(self.features.size)


def as_float32(numbers: NDArray[Any]) -> Floats:
    """Round to float32; what is too large becomes infinite, which the library refuses."""
    with np.errstate(over="ignore"):
        return numbers.astype(np.float32)


def first_line(file: Path, limit: int = 1 << 24) -> str:
    """Return the first line without its line end; bytes that are not UTF-8 become replacement characters."""
    with file.open("rb") as stream:
        return stream.readline(limit).decode("utf-8-sig", "replace").rstrip("\r\n")


def is_checked(file: Path) -> bool:
    """Say whether the container checks the form of this file before it reads it."""
    return not file.name.startswith("_")


def joined(blocks: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return the blocks as one array."""
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

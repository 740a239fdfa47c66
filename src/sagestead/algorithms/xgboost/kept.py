"""What trials of a tuning job read, kept for the next ones, which train on the same data.

Rule: an entry is named by the SHA-256 of everything that its numbers follow from, so it is the same bits or
not there. It is on the disk before it has its name. The entries together are bounded; the longest unused go
first. Control removes what nobody has used for long (control/training_staging.py).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa

from sagestead.algorithms.xgboost.examples import Examples, Floats

LARGEST = 1 << 30
"""Bytes that all entries take together at most."""

_READER = f"csv-1 {pa.__version__}"
"""Another version of the reader reads anew."""


def read_kept(
    folder: Path, files: Sequence[Path], read: Callable[[], Examples], *, weights: bool
) -> Examples:
    """Return what `read` makes of CSV files, from `folder` if it is kept there; keep it else."""
    place = folder / f"{_name(files, weights=weights)}.npy"
    table = _opened(place)
    if table is None:
        data = read()
        _keep(place, data)
        return data
    columns = 2 if weights else 1
    return Examples(table[:, columns:], table[:, 0], table[:, 1] if weights else None)


def _name(files: Sequence[Path], *, weights: bool) -> str:
    digest = hashlib.sha256(f"{_READER} {weights}".encode())
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _opened(place: Path) -> Floats | None:
    """Map an entry; None when there is none, or something else in its place."""
    try:
        table = np.load(place, mmap_mode="r", allow_pickle=False)
        os.utime(place)
    except (OSError, ValueError, EOFError):
        return None
    is_table = isinstance(table, np.ndarray) and table.dtype == np.float32 and table.ndim == 2  # noqa: PLR2004 - rows and columns
    return table if is_table else None


def _keep(place: Path, data: Examples) -> None:
    """Keep what was read, if there is room for it."""
    weights = [] if data.weights is None else [data.weights]
    size = 4 * data.rows * (1 + len(weights) + data.columns)
    if size > LARGEST // 2:
        return
    draft = place.with_name(f"{place.name}.{os.getpid()}")
    with suppress(OSError):  # a full disk keeps nobody from training
        try:
            with draft.open("wb") as file:
                np.save(file, np.column_stack([data.labels, *weights, data.features]))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(place)
        finally:
            draft.unlink(missing_ok=True)
        _make_room(place.parent)


def _make_room(folder: Path) -> None:
    """Remove the entries that were longest unused, until the others are within bounds."""
    found = sorted(((path.stat().st_mtime, path) for path in folder.iterdir()), reverse=True)
    taken = 0
    for _, path in found:
        taken += path.stat().st_size
        if taken > LARGEST:
            path.unlink()

"""From a channel's files to examples, with the container's words for what cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sagestead.algorithms.xgboost.columnar import read_parquet
from sagestead.algorithms.xgboost.delimited import read_csv
from sagestead.algorithms.xgboost.examples import Examples, Unreadable
from sagestead.algorithms.xgboost.faults import UserFault
from sagestead.algorithms.xgboost.formats import Format
from sagestead.algorithms.xgboost.kept import read_kept
from sagestead.algorithms.xgboost.libsvm import read_libsvm
from sagestead.algorithms.xgboost.records import read_records


def read_examples(
    files: Sequence[Path], data_format: Format, *, weights: bool, kept: Path | None = None
) -> Examples:
    """Read all files of a channel; raise `UserFault`.

    `weights`: the second column of CSV holds weights. `kept`: where what is read of CSV is kept for others.
    """
    try:
        if data_format == "csv" and kept is not None:
            return read_kept(kept, files, lambda: read_csv(files, weights=weights), weights=weights)
        if data_format == "csv":
            return read_csv(files, weights=weights)
        if data_format == "libsvm":
            return read_libsvm(files)
        return read_parquet(files) if data_format == "parquet" else read_records(files)
    except Unreadable as fault:
        raise UserFault(f"Failed to load {data_format} data with exception:\n{fault}") from None

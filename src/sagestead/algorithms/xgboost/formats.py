"""The formats of data, and the content types that name them, for training and inference alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Format = Literal["csv", "libsvm", "parquet", "recordio-protobuf"]

CONTENT_TYPES: Mapping[str, Format] = {
    "csv": "csv",
    "libsvm": "libsvm",
    "parquet": "parquet",
    "recordio-protobuf": "recordio-protobuf",
    "text/csv": "csv",
    "text/libsvm": "libsvm",
    "text/x-libsvm": "libsvm",
    "application/x-parquet": "parquet",
    "application/x-recordio-protobuf": "recordio-protobuf",
}
"""In the order in which the container's message lists them."""

"""Channels of a training job: which are allowed, and which files they have.

Rule: what inputdataconfig.json says is compared literally with what the container supports, before any file
is opened (spec: xgboost-builtin.md section 2.1).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sagestead.algorithms.xgboost.faults import UserFault
from sagestead.algorithms.xgboost.formats import CONTENT_TYPES, Format
from sagestead.algorithms.xgboost.report import say
from sagestead.domain.images import BuiltInImage
from sagestead.worker.layout import Layout

_DEFAULT_CONTENT_TYPE = "text/libsvm"
_DISTRIBUTIONS = ("FullyReplicated", "ShardedByS3Key")
_TITLES = {"csv": "CSV", "parquet": "Parquet", "recordio-protobuf": "RecordIO-Protobuf"}
_DEEPEST = 3
_CHUNK = 1 << 20


def check_channels(channels: Mapping[str, Mapping[str, Any]], image: BuiltInImage) -> Format:
    """Return the format of the data (that of `train` counts for both channels); raise `UserFault`."""
    if "train" not in channels:
        raise UserFault("Missing required channel: train")
    for name, channel in channels.items():
        if name == "code":
            raise UserFault(
                "Channel 'code' belongs to script mode; leave it out to train with the algorithm."
            )
        if name not in ("train", "validation"):
            raise UserFault(f"Extraneous channel found: {name}")
        _check_channel(name, channel, image)
    return CONTENT_TYPES[channels["train"].get("ContentType", _DEFAULT_CONTENT_TYPE)]


def _check_channel(name: str, channel: Mapping[str, Any], image: BuiltInImage) -> None:
    """Raise `UserFault` unless content type, mode and distribution go together."""
    data_format = CONTENT_TYPES.get(channel.get("ContentType", _DEFAULT_CONTENT_TYPE))
    mode = channel.get("TrainingInputMode", "File")
    supported = (
        data_format is not None
        and channel.get("S3DistributionType", "FullyReplicated") in _DISTRIBUTIONS
        and (mode in ("File", "FastFile") or (mode == "Pipe" and data_format != "libsvm"))
    )
    if not supported or data_format is None:
        raise UserFault(f"Channel configuration for '{name}' channel is not supported: {dict(channel)}")
    if mode == "Pipe" and image.at_least("3.0-5"):
        raise UserFault(
            f"Pipe mode for {_TITLES[data_format]} is no longer supported. "
            "Please use Fast File mode (default) instead. "
            "Set input_mode='File' in your SageMaker Estimator or TrainingInput."
        )


def container_path(name: str) -> str:
    """Return the channel's folder as messages name it."""
    return f"/opt/ml/input/data/{name}"


def channel_files(layout: Layout, name: str) -> list[Path]:
    """Return the data files of a channel by relative path, without empty ones and XGBoost's cache files.

    Raises `UserFault` for a hidden file at any depth. Files deeper than three sub-folders are not read; the
    log says so.
    """
    root = layout.channel(name)
    found = sorted(path for path in root.rglob("*") if path.is_file())
    if any(path.name.startswith(".") for path in found):
        raise UserFault("Hidden file found in the data path! Remove that before training.")
    files = []
    for path in found:
        relative = path.relative_to(root)
        if len(relative.parts) - 1 > _DEEPEST:
            say(f"File {relative} of channel {name} is not read: it lies deeper than {_DEEPEST} folders.")
        elif path.stat().st_size and not _is_cache(path.name):
            files.append(path)
    return files


@contextmanager
def piped_files(layout: Layout, name: str) -> Iterator[list[Path]]:
    """Yield a file with the first epoch of a channel in input mode Pipe; none when it is empty."""
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=layout.root / "input") as folder:
        spool = Path(folder, f"{name}_0")
        with layout.channel(spool.name).open("rb") as stream, spool.open("wb") as file:
            shutil.copyfileobj(stream, file, _CHUNK)
        yield [spool] if spool.stat().st_size else []


def no_data(name: str) -> UserFault:
    """Return the fault of a channel without data."""
    purpose = {"train": "training"}.get(name, name)
    return UserFault(f"No data in {purpose} channel path {container_path(name)}")


def _is_cache(name: str) -> bool:
    return ".cache" in name and ("dtrain" in name or "dval" in name)

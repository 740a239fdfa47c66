"""What a training job is told: files of `/opt/ml/input/config` (spec: container-contract.md section 1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sagestead.algorithms.xgboost.faults import UserFault
from sagestead.worker.layout import Layout

_ROOT = PurePosixPath("/opt/ml")


@dataclass(frozen=True, slots=True)
class Job:
    """One job's configuration.

    Attributes:
        hyperparameters: name -> text, as the client sent them.
        channels: name -> its members in inputdataconfig.json.
        hosts: names of all hosts.
        host: this one's.
        instance_type: nominal type of this host.
        checkpoints: folder that is kept in step with CheckpointConfig.S3Uri; None without one.
    """

    hyperparameters: Mapping[str, str]
    channels: Mapping[str, Mapping[str, Any]]
    hosts: tuple[str, ...]
    host: str
    instance_type: str
    checkpoints: Path | None


def read_job(layout: Layout) -> Job:
    """Read the configuration; absent files say nothing. Raises `UserFault` for a foreign LocalPath."""
    resources = _read(layout, "resourceconfig")
    checkpointing = _read(layout, "checkpointconfig")
    hosts = tuple(resources.get("hosts", ["algo-1"]))
    return Job(
        hyperparameters=_read(layout, "hyperparameters"),
        channels=_read(layout, "inputdataconfig"),
        hosts=hosts,
        host=resources.get("current_host", hosts[0]),
        instance_type=resources.get("current_instance_type", "local"),
        checkpoints=_inside(layout, checkpointing.get("LocalPath")) if checkpointing else None,
    )


def _read(layout: Layout, name: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((layout.config / f"{name}.json").read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return content


def _inside(layout: Layout, local_path: str | None) -> Path:
    """Return the folder that stands for a path of the container."""
    if not local_path:
        return layout.checkpoints
    path = PurePosixPath(local_path)
    if not path.is_relative_to(_ROOT) or ".." in path.parts or path == _ROOT:
        raise UserFault(
            f"CheckpointConfig.LocalPath {local_path} is not below {_ROOT}; use {_ROOT}/checkpoints."
        )
    return layout.root / path.relative_to(_ROOT)

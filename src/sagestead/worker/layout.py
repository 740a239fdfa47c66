"""The /opt/ml tree of a job or instance, under any root (spec: container-contract.md section 1.2)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of the tree; `root` stands for /opt/ml."""

    root: Path

    @property
    def config(self) -> Path:
        """hyperparameters.json, inputdataconfig.json, resourceconfig.json, checkpointconfig.json."""
        return self.root / "input" / "config"

    def channel(self, name: str) -> Path:
        """Folder with a channel's files."""
        return self.root / "input" / "data" / name

    @property
    def model(self) -> Path:
        """Model files: read when serving, written when training."""
        return self.root / "model"

    @property
    def output_data(self) -> Path:
        """Other artifacts of a training job."""
        return self.root / "output" / "data"

    @property
    def failure(self) -> Path:
        """Why the job failed: the first 1,024 characters reach FailureReason."""
        return self.root / "output" / "failure"

    @property
    def message(self) -> Path:
        """What a processing job says at its end: ExitMessage."""
        return self.root / "output" / "message"

    @property
    def checkpoints(self) -> Path:
        """Default place of checkpoints."""
        return self.root / "checkpoints"

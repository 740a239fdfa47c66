"""What a training script is told, as an object: `training_env()` and its kin.

Rule: it says what the variable SM_TRAINING_ENV says.
"""

from __future__ import annotations

import json
import logging
import os
from typing import Any


class TrainingEnv:
    """The training environment: `hyperparameters`, `model_dir`, `channel_input_dirs`, `hosts` and so on."""

    def __init__(self, **_given: object) -> None:
        self._values = json.loads(os.environ.get("SM_TRAINING_ENV", "{}"))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever was written
        if name.startswith("_") or name not in self._values:
            raise AttributeError(
                f"The training environment has no '{name}': {', '.join(sorted(self._values))}."
            )
        return self._values[name]


def training_env(**_given: object) -> TrainingEnv:
    """Return the training environment."""
    return TrainingEnv()


def read_hyperparameters() -> Any:  # noqa: ANN401 - whatever was written
    """Return the script's hyperparameters."""
    return json.loads(os.environ.get("SM_HPS", "{}"))


def read_resource_config() -> Any:  # noqa: ANN401 - whatever was written
    """Return resourceconfig.json."""
    return json.loads(os.environ.get("SM_RESOURCE_CONFIG", "{}"))


def read_input_data_config() -> Any:  # noqa: ANN401 - whatever was written
    """Return inputdataconfig.json."""
    return json.loads(os.environ.get("SM_INPUT_DATA_CONFIG", "{}"))


def get_logger() -> logging.Logger:
    """Return the logger of the toolkits."""
    return logging.getLogger("sagemaker-training-toolkit")

"""Files that a training job leaves: models and checkpoints.

Rule: a file appears whole or not at all; that it outlasts a power cut is the object store's task. Models are
written as UBJSON without an extension, whatever the image (docs/decisions/0004).
"""

from __future__ import annotations

import re
from pathlib import Path

from xgboost import Booster
from xgboost.core import XGBoostError

from sagestead.algorithms.xgboost.report import say
from sagestead.algorithms.xgboost.structure import check
from sagestead.forest.documents import Malformed
from sagestead.forest.ubjson import read_ubjson

MODEL_NAME = "xgboost-model"
KEPT_CHECKPOINTS = 5

_UNFINISHED = ".sagemaker-ignore"
_CHECKPOINT = re.compile(r"xgboost-checkpoint\.(\d+)")
_TRIES = 5


def write_model(booster: Booster, path: Path) -> None:
    """Write the model; a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + _UNFINISHED)
    try:
        unfinished.write_bytes(booster.save_raw("ubj"))
        unfinished.replace(path)
    except BaseException:  # a stop, too, leaves no half of a file
        unfinished.unlink(missing_ok=True)
        raise


def keep_models_only(folder: Path) -> None:
    """Delete everything from the model folder but finished models; a stopped job keeps what it has."""
    for path in folder.iterdir():
        if path.is_file() and (not path.name.startswith(MODEL_NAME) or path.name.endswith(_UNFINISHED)):
            path.unlink()


def write_checkpoint(booster: Booster, folder: Path, iteration: int) -> None:
    """Write `xgboost-checkpoint.<iteration>` and delete the one that is no longer among the newest five."""
    write_model(booster, folder / f"xgboost-checkpoint.{iteration}")
    (folder / f"xgboost-checkpoint.{iteration - KEPT_CHECKPOINTS}").unlink(missing_ok=True)


def newest_checkpoint(folder: Path) -> tuple[Booster | None, int]:
    """Return the newest checkpoint that can be read and the rounds it has; (None, 0) without one."""
    if not folder.is_dir():
        return None, 0
    found = {int(match[1]): path for path in folder.iterdir() if (match := _CHECKPOINT.fullmatch(path.name))}
    for iteration in sorted(found, reverse=True)[:_TRIES]:
        try:
            content = found[iteration].read_bytes()
            check(read_ubjson(content))
            return Booster(model_file=bytearray(content)), iteration + 1
        except (Malformed, XGBoostError) as refused:
            name = found[iteration].name
            say(f"Checkpoint {name} is damaged: {refused}. The checkpoint before it is tried.")
    return None, 0

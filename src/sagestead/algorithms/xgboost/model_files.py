"""The files of a model: which ones count, and their way into `forest`, which reads every format as data.

Rule: nothing in a file is executed, a pickle's instructions neither, and no native loader sees its bytes.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from sagestead.forest.ensemble import Ensemble
from sagestead.forest.files import LARGEST
from sagestead.forest.files import read as forest_read
from sagestead.worker.contract import ModelRefused

_NAME = re.compile(r"xgboost-model(?:-\d+)?\Z")
_LOG = logging.getLogger("sagestead.xgboost")


def find(model_dir: Path) -> list[Path]:
    """Return the model files by name: `xgboost-model`, `xgboost-model-0`..., or a single other file.

    Raises:
        ModelRefused: there is none, or it cannot be told which of several it is.
    """
    files = sorted(path for path in model_dir.iterdir() if path.is_file() and not path.is_symlink())
    for path in files:
        if path.name.startswith("."):
            _LOG.warning("Ignoring hidden file %r in the model folder.", path.name)
    visible = [path for path in files if not path.name.startswith(".")]
    named = sorted((path for path in visible if _NAME.match(path.name)), key=_number)
    if named:
        for path in visible:
            if path not in named:
                _LOG.warning("Ignoring %r in the model folder: it is not named xgboost-model.", path.name)
        return named
    if not visible:
        raise ModelRefused("The model archive holds no model file; it must hold xgboost-model at its root.")
    if len(visible) > 1:
        names = ", ".join(path.name for path in visible[:5])
        raise ModelRefused(f"The model archive holds several files ({names}); name the model xgboost-model.")
    return visible


def read(path: Path) -> Ensemble:
    """Read and check one model file; raise `ModelRefused`."""
    if path.stat().st_size > LARGEST:
        raise ModelRefused(f"Model file {path.name} is larger than {LARGEST} bytes.")
    return forest_read(path.read_bytes(), path.name)


def _number(path: Path) -> int:
    _, _, number = path.name.partition("xgboost-model-")
    return int(number[:18]) if number else -1

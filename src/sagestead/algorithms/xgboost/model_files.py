"""The files of a model: which ones count, which formats are read, and what is refused.

Rule: only formats that are data are read (JSON and UBJSON), and only after our own parser and structural
check; a pickle is never loaded. A file by an XGBoost newer than the installed one is refused by name.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from sagestead.algorithms.xgboost.structure import Facts, check
from sagestead.forest.documents import Malformed, read_json, read_ubjson
from sagestead.worker.contract import ModelRefused

LARGEST = 2 << 30
_OLDEST_LINEAR = (1, 7)

_NAME = re.compile(r"xgboost-model(?:-\d+)?\Z")
_LOG = logging.getLogger("sagestead.xgboost")
_REMEDY = 'save it again with XGBoost 1.6 or later: `booster.save_model("xgboost-model.ubj")`'


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A checked model file."""

    name: str
    content: bytes
    facts: Facts


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


def read(path: Path, installed: str) -> ModelFile:
    """Read and check one model file for the installed version of XGBoost; raise `ModelRefused`."""
    name = path.name
    if path.stat().st_size > LARGEST:
        raise ModelRefused(f"Model file {name} is larger than {LARGEST} bytes.")
    content = path.read_bytes()
    try:
        facts = check(_document(name, content))
    except Malformed as error:
        raise ModelRefused(f"Model file {name} is damaged: {error}.") from None
    _check_version(name, facts, installed)
    return ModelFile(name, content, facts)


def _document(name: str, content: bytes) -> object:
    """Parse by what the first bytes say, as XGBoost does."""
    if content[:1] == b"{" and content[1:2] in (b'"', b"\n", b" ", b"\r", b"\t"):
        return read_json(content)
    if content[:1] == b"{":
        return read_ubjson(content)
    if content[:1] == b"\x80" or content[:2] in (b"cc", b"cx", b"(c"):
        raise ModelRefused(
            f"Model file {name} is a Python pickle, which can run code, and is not loaded; {_REMEDY}."
        )
    raise ModelRefused(
        f"Model file {name} is in XGBoost's legacy binary format or not a model, and is not read; {_REMEDY}."
    )


def _check_version(name: str, facts: Facts, installed: str) -> None:
    written = ".".join(map(str, facts.version))
    newest = tuple(int(part) for part in installed.split(".")[:2])
    if facts.version[:2] > newest:
        raise ModelRefused(
            f"Model file {name} was written by XGBoost {written}; this server runs {installed} and reads "
            "models up to its own version."
        )
    if facts.version[0] < 1:
        raise ModelRefused(
            f"Model file {name} was written by XGBoost {written}, which is too old; {_REMEDY}."
        )
    if facts.booster == "gblinear" and facts.version[:2] < _OLDEST_LINEAR:
        # XGBoost 3 reads it without complaint and predicts other numbers (measured on files by 1.3.3).
        raise ModelRefused(
            f"Model file {name} is a gblinear model of XGBoost {written}, which newer versions read wrongly; "
            "load it with XGBoost 1.7 and save it again."
        )
    if facts.objective == "binary:logitraw" and facts.version[:2] <= (1, 2):
        # Its base score was stored in another form; newer versions read it wrongly without saying so.
        raise ModelRefused(
            f"Model file {name} is a binary:logitraw model of XGBoost {written}; train it again."
        )


def _number(path: Path) -> int:
    _, _, number = path.name.partition("xgboost-model-")
    return int(number[:18]) if number else -1

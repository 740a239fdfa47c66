"""A model prepared once and then only mapped (contracts: worker.contract.Prepare, Open).

Rule: `prepare` reads and checks the model's files; `open_prepared` never does, nor executes anything: it maps
what `prepare` left after it has seen that every byte is there.

    model.json   layout, image, environment, models: [{objective, classes, words, sha256}]
    plan-N       the plan of model N (`forest.layout`), as the machine's own 32-bit words
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from sagestead.algorithms.xgboost.predicting import Booster, plan_of
from sagestead.algorithms.xgboost.serving import (
    ENVIRONMENT,
    Settings,
    XgboostModel,
    ensembles_of,
    settings_of,
)
from sagestead.forest import layout
from sagestead.forest.mapping import map_words
from sagestead.forest.objectives import OBJECTIVES
from sagestead.forest.schema import CLASSES
from sagestead.forest.version import VERSION
from sagestead.worker.contract import InlineModel, Mapped, ModelRefused

_LAYOUT = f"{VERSION} {sys.byteorder}"
_FACTS = "model.json"
_LARGEST_FACTS = 1 << 20
_MODELS = 1 << 12
_SHA256 = re.compile(r"[0-9a-f]{64}")


def prepare(model_dir: Path, image: str, environment: Mapping[str, str], prepared: Path) -> None:
    """Read the model files of a folder and leave them ready to be mapped in the empty folder `prepared`.

    Raises:
        ModelRefused: the image is no built-in, or the model cannot be read.
    """
    settings_of(image, environment)
    models = []
    for number, ensemble in enumerate(ensembles_of(model_dir, environment)):
        words = plan_of(ensemble)
        content = words.data.cast("B")
        (prepared / f"plan-{number}").write_bytes(content)
        models.append(
            {
                "objective": ensemble.objective,
                "classes": ensemble.classes,
                "words": len(words),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        )
    kept = {name: environment[name] for name in ENVIRONMENT if name in environment}
    facts = {"layout": _LAYOUT, "image": image, "environment": kept, "models": models}
    (prepared / _FACTS).write_bytes(json.dumps(facts, indent=1).encode())


def open_prepared(prepared: Path) -> InlineModel:
    """Return the model that `prepare` left in a folder, its plans mapped and shared with every other process.

    Raises:
        ModelRefused: the folder is not whole, or of another version of this program.
    """
    facts = _facts(prepared)
    try:
        settings = _shared(facts["image"], tuple(sorted(facts["environment"].items())))
        boosters = [
            _mapped(prepared / f"plan-{number}", model, settings.threads)
            for number, model in enumerate(facts["models"])
        ]
        if len({booster.scorer.groups for booster in boosters}) != 1 or len(boosters) > _MODELS:
            raise _Damaged("its models do not belong together")
        return XgboostModel(boosters, settings)
    except (KeyError, TypeError, AttributeError, ValueError, OSError) as error:
        raise _refused(prepared, error) from None


mapped = Mapped(prepare, open_prepared)


class _Damaged(ValueError):  # noqa: N818 - it says what is damaged
    """What is wrong with a prepared folder."""


def _refused(prepared: Path, error: Exception) -> ModelRefused:
    why = str(error) if isinstance(error, _Damaged | OSError) else "its facts are not those of a model"
    return ModelRefused(f"The prepared model in {prepared} cannot be used: {why}. Prepare it again.")


def _facts(prepared: Path) -> dict[str, Any]:
    try:
        with (prepared / _FACTS).open("rb") as file:
            content = file.read(_LARGEST_FACTS + 1)
        if len(content) > _LARGEST_FACTS:
            raise _Damaged(f"{_FACTS} is larger than {_LARGEST_FACTS} bytes")
        facts = json.loads(content)
        if not isinstance(facts, dict) or facts.get("layout") != _LAYOUT:
            raise _Damaged("another version of this program has written it")
    except (ValueError, RecursionError, OSError) as error:
        raise _refused(prepared, error) from None
    return facts


def _mapped(path: Path, model: dict[str, Any], threads: int) -> Booster:
    objective, classes, words, digest = (model[key] for key in ("objective", "classes", "words", "sha256"))
    if objective not in OBJECTIVES or type(classes) is not int or not 0 <= classes <= CLASSES:
        raise _Damaged(f"the facts of {path.name} are not those of a model")
    if type(words) is not int or words < layout.HEADER or not _SHA256.fullmatch(digest):
        raise _Damaged(f"the size or digest of {path.name} is none")
    plan = map_words(path, words)
    if hashlib.sha256(plan.data).hexdigest() != digest:
        raise _Damaged(f"{path.name} is not what was written")
    if int(plan[layout.GROUPS]) != max(1, classes):
        raise _Damaged(f"{path.name} has another number of classes")
    return Booster(plan, sys.intern(objective), classes, threads)


@lru_cache(maxsize=1024)
def _shared(image: str, environment: tuple[tuple[str, str], ...]) -> Settings:
    return settings_of(image, dict(environment))

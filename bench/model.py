"""The models and rows of the benchmarks, and the answers that are right.

Everything is deterministic. Models are kept under `.bench/models/`, so that a second run trains nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xgboost
from numpy.typing import NDArray

COLUMNS = 41
CACHE = Path(__file__).resolve().parent.parent / ".bench"
TRAINED_ON = 20_000

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Forest:
    """A model by its size: binary:logistic, 41 columns."""

    name: str
    trees: int
    depth: int

    def file(self) -> Path:
        """Return the model's file (UBJSON), trained once."""
        path = CACHE / "models" / f"{self.name}.ubj"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f"unfinished-{path.name}")
            self._train().save_model(temporary)
            temporary.rename(path)
        return path

    def another(self, number: int) -> bytes:
        """Return a model (UBJSON) that differs from all others of its size by its base score."""
        document = json.loads(xgboost.Booster(model_file=str(self.file())).save_raw("json"))
        document["learner"]["learner_model_param"]["base_score"] = f"{0.25 + number / 2**16:.8f}"
        changed = xgboost.Booster(model_file=bytearray(json.dumps(document).encode()))
        return bytes(changed.save_raw("ubj"))

    def _train(self) -> xgboost.Booster:
        """Train on noise around a rule, so that the trees are full."""
        random = np.random.default_rng(7)
        rows = random.normal(size=(TRAINED_ON, COLUMNS)).astype(np.float32)
        labels = rows[:, 0] * rows[:, 1] + rows[:, 2] + random.normal(size=len(rows)) > 0
        parameters = {"objective": "binary:logistic", "max_depth": self.depth, "eta": 0.05}
        return xgboost.train(parameters, xgboost.DMatrix(rows, labels), self.trees)


SMALL = Forest("m100", 100, 6)
LARGE = Forest("m500", 500, 8)


@dataclass(frozen=True, slots=True)
class Question:
    """One request's rows as text/csv, as numbers, and what XGBoost itself predicts for them."""

    csv: bytes
    rows: Floats
    predictions: Floats

    @property
    def answer(self) -> bytes:
        """Return AWS's answer: one widened double a line, printed by its shortest round trip."""
        return "".join(f"{float(value)!r}\n" for value in self.predictions).encode()


def questions(forest: Forest, rows: int, count: int) -> list[Question]:
    """Return `count` different requests of `rows` rows each, with four decimals a cell as data often has."""
    booster = xgboost.Booster(model_file=str(forest.file()))
    cells = np.random.default_rng(rows).normal(size=(count * rows, COLUMNS)).round(4)
    lines = [",".join(map(repr, row)) for row in cells.tolist()]
    numbers = cells.astype(np.float32)
    predictions = booster.predict(xgboost.DMatrix(numbers))
    return [
        Question(
            "\n".join(lines[at : at + rows]).encode(), numbers[at : at + rows], predictions[at : at + rows]
        )
        for at in range(0, count * rows, rows)
    ]

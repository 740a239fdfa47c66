"""Selectable output: what `SAGEMAKER_INFERENCE_OUTPUT` asks for (spec: xgboost-builtin.md 6.4).

Rule: a key that the objective cannot give is NaN and stands behind those that it can.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from sagestead.algorithms.xgboost.encoding import CSV, JSON, JSON_LINES, RECORDIO, Predictions
from sagestead.algorithms.xgboost.recordio import Record, Tensor, frame, write_record
from sagestead.domain.images import BuiltInImage

Value = float | list[float] | list[int]
Selected = dict[str, Value]

# In which the container writes the keys of a JSON object.
_ORDER = (
    "predicted_label",
    "labels",
    "probability",
    "probabilities",
    "raw_score",
    "raw_scores",
    "predicted_score",
)
_AT_ONCE = 256
"""Rows that are written without coming back to the interpreter, which gives others their turn."""
_SCORE = ("predicted_score",)
_LABEL_AND_SCORES = ("predicted_label", "labels", "raw_score", "raw_scores")
_ALL = _ORDER[:-1]
_VALID: dict[str, tuple[str, ...]] = {
    "reg:squarederror": _SCORE,
    "reg:logistic": _SCORE,
    "reg:gamma": _SCORE,
    "reg:tweedie": _SCORE,
    "binary:logistic": _ALL,
    "multi:softprob": _ALL,
    "binary:logitraw": _LABEL_AND_SCORES,
    "binary:hinge": _LABEL_AND_SCORES,
    "multi:softmax": _LABEL_AND_SCORES,
}


class NotSelectable(Exception):  # noqa: N818 - it is the text of an answer
    """The objective or Accept type has no selectable output; the text is the container's answer."""

    status = 500


def keys_of(setting: str) -> list[str]:
    """Return the keys that the environment asks for, in order."""
    return setting.replace(" ", "").lower().split(",")


def select(
    predictions: Predictions, keys: Sequence[str], objective: str, classes: int, image: BuiltInImage
) -> list[Selected]:
    """Return key -> value for each row; raise `NotSelectable` for an objective without selectable output."""
    valid = _VALID.get(objective)
    if objective == "reg:absoluteerror" and image.at_least("1.7-1"):
        valid = _SCORE
    if valid is None:
        raise NotSelectable(f"Objective `{objective}` unsupported for selectable inference predictions.")
    labels = list(range(classes)) if objective.startswith("multi:") else [0, 1]
    wanted = [key for key in _ORDER if key in keys and key in valid]
    missing = dict.fromkeys((key for key in keys if key not in valid), float("nan"))
    return [
        {key: labels if key == "labels" else _value(key, objective, row) for key in wanted} | missing
        for row in predictions.tolist()
    ]


def encode(selected: list[Selected], keys: Sequence[str], accept: str, *, batch: bool) -> bytes:
    """Return the body; raise `NotSelectable` for an Accept type without encoder."""
    if accept == JSON:
        some = (selected[at : at + _AT_ONCE] for at in range(0, len(selected), _AT_ONCE))
        return f'{{"predictions": [{", ".join(json.dumps(rows)[1:-1] for rows in some)}]}}'.encode()
    if accept == JSON_LINES:
        return "".join(json.dumps(row) + "\n" for row in selected).encode()
    if accept == RECORDIO:
        return b"".join(frame(write_record(Record(label=_tensors(row)))) for row in selected)
    if accept == CSV:
        lines = "\n".join(",".join(_cell(row[key]) for key in keys) for row in selected)
        return (lines + "\n" if batch else lines).encode()
    raise NotSelectable(f"Cannot encode selected predictions into accept type '{accept}'.")


def _value(key: str, objective: str, row: float | list[float]) -> Value:
    """Return what one key says of one row's prediction."""
    if key in ("probabilities", "raw_scores"):
        return row if isinstance(row, list) else [1.0 - row, row]
    if key != "predicted_label":
        return max(row) if isinstance(row, list) else row
    if isinstance(row, list):
        return row.index(max(row))
    if objective == "binary:logistic":
        return int(row > 0.5)  # noqa: PLR2004 - the middle of a probability
    return int(row > 0) if objective == "binary:logitraw" else row


def _cell(value: Value) -> str:
    return f'"{value}"' if isinstance(value, list) else str(value)


def _tensors(row: Selected) -> dict[str, Tensor]:
    return {
        key: Tensor(np.array(value if isinstance(value, list) else [value], np.float32))
        for key, value in row.items()
    }

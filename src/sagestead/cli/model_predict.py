"""`sagestead model predict`: what model files say of rows, one JSON line a file.

Rule: every file gets its line, predictions or the sentence that refuses it, whatever the other files are; the
numbers are those an endpoint would answer. The command fails only when there is no file of rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sagestead.cli.terminal import refuse
from sagestead.domain.images import XGBOOST_TAGS, BuiltInImage
from sagestead.domain.refused_model import ModelRefused

if TYPE_CHECKING:
    from sagestead.forest.scoring import Floats

_WORTH_KERNELS = 10_000


def predict(
    files: Annotated[list[Path], typer.Argument(help="Model files of any format of XGBoost.")],
    rows: Annotated[Path, typer.Option("--csv", help="Rows of numbers as a client sends them: no header.")],
) -> None:
    """Print what each model FILE predicts for the rows of a CSV file: one JSON line a file.

    A line is {"file": ..., "predictions": [...]}, or {"file": ..., "refused": sentence} when the file is not
    read exactly or the rows do not fit it. Nothing in a file is executed.
    """
    from sagestead.algorithms.xgboost.decoding import Undecodable, decode  # noqa: PLC0415 - `up` starts faster

    try:
        content = rows.read_bytes()
    except OSError as error:
        refuse(f"The rows of {rows} cannot be read: {error.strerror}.")
    answers: Iterator[dict[str, Any]]
    try:
        matrix: Any = decode(content, "text/csv", BuiltInImage("xgboost", XGBOOST_TAGS[-1])).matrix
    except Undecodable as error:
        why = str(error).splitlines()[-1].strip()
        refused = {"refused": f"The rows of {rows} cannot be read: {why}."}
        answers = (refused for _ in files)
    else:
        _kernels_for(matrix)
        answers = (_said(file, matrix) for file in files)
    for file, answer in zip(files, answers, strict=True):
        typer.echo(json.dumps({"file": str(file)} | answer))


def _kernels_for(matrix: Floats) -> None:
    """Load the compiled kernels when they save more than the second it takes."""
    from sagestead.forest import compiling  # noqa: PLC0415 - `up` starts faster

    if len(matrix) >= _WORTH_KERNELS and compiling.available() and compiling.is_cached():
        compiling.load()


def _said(file: Path, matrix: Floats) -> dict[str, Any]:
    from sagestead.forest.files import LARGEST, read  # noqa: PLC0415 - `up` starts faster
    from sagestead.forest.scoring import Scorer, Unscorable  # noqa: PLC0415 - the same
    from sagestead.forest.transforms import UnknownObjective  # noqa: PLC0415 - the same

    try:
        if file.stat().st_size > LARGEST:
            return {"refused": f"Model file {file} is larger than {LARGEST} bytes."}
        ensemble = read(file.read_bytes(), str(file))
        scorer = Scorer.of(ensemble, range(ensemble.trees_used))
        return {"predictions": scorer.score(matrix).tolist()}
    except OSError as error:
        return {"refused": f"Model file {file} cannot be opened: {error.strerror}."}
    except (ModelRefused, UnknownObjective, Unscorable) as error:
        return {"refused": str(error)}

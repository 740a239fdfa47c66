"""`sagestead model`: look into model files and rewrite them, without executing anything in them."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sagestead.cli.model_predict import predict
from sagestead.cli.terminal import console, refuse

if TYPE_CHECKING:
    from sagestead.forest.ensemble import Ensemble

model = typer.Typer(
    help="Model files of XGBoost, of any version: look into them, predict, convert.", no_args_is_help=True
)
model.command()(predict)

FileArgument = Annotated[Path, typer.Argument(help="A model file in any format of XGBoost.")]


@model.command()
def inspect(
    file: FileArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,  # noqa: FBT002 - typer's way to declare a flag
) -> None:
    """Say what a model file holds: format, writing version, booster, objective, columns, classes, trees."""
    facts = _facts(_read(file))
    if as_json:
        typer.echo(json.dumps(facts))
        return
    table = Table("Model", escape(_shown(str(file))))
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), Text(_shown(value)))
    console.print(table)


@model.command()
def convert(
    file: FileArgument,
    out: Annotated[Path, typer.Argument(help="The file to write; it must not exist yet.")],
) -> None:
    """Rewrite a model file as UBJSON, today's format, which predicts the same.

    What training noted for importances and contributions (gain, cover) is not kept.
    """
    from sagestead.domain.refused_model import ModelRefused  # noqa: PLC0415 - only when it is needed: `up` starts faster
    from sagestead.forest.writing import oldest_reader, write  # noqa: PLC0415 - the same

    ensemble = _read(file)
    try:
        content = write(ensemble)
    except ModelRefused as error:
        refuse(f"{file}: {error}")
    _save(content, out)
    console.print(
        f"{escape(str(out))}: {len(content)} bytes of UBJSON for XGBoost {oldest_reader(ensemble)}",
        f"and later, from {ensemble.format} ({ensemble.version_text})",
        soft_wrap=True,
    )


def _read(file: Path) -> Ensemble:
    from sagestead.domain.refused_model import ModelRefused  # noqa: PLC0415 - only when it is needed: `up` starts faster
    from sagestead.forest.files import LARGEST, read  # noqa: PLC0415 - the same

    try:
        if file.stat().st_size > LARGEST:
            refuse(f"Model file {file} is larger than {LARGEST} bytes.")
        return read(file.read_bytes(), str(file))
    except OSError as error:
        refuse(f"Model file {file} cannot be opened: {error.strerror}.")
    except ModelRefused as error:
        refuse(str(error))


def _facts(ensemble: Ensemble) -> dict[str, Any]:
    """Return what is printed, by name; None where the file does not tell."""
    return {
        "format": ensemble.format,
        "version": ensemble.version_text,
        "booster": ensemble.booster,
        "objective": ensemble.objective,
        "features": ensemble.features,
        "classes": ensemble.classes,
        "trees": ensemble.trees,
        "trees_used": ensemble.trees_used,
        "nodes": len(ensemble.feature),
        "categorical_splits": int(ensemble.categorical.sum()),
        "best_iteration": ensemble.best_iteration,
        "base_margin": sorted(set(map(float, ensemble.base_margin))),
        "feature_names": list(ensemble.feature_names),
        "feature_types": list(ensemble.feature_types),
    }


def _shown(value: Any) -> str:  # noqa: ANN401 - any fact
    if value is None or value == []:
        return "not recorded"
    texts = map(str, value if isinstance(value, list) else [value])
    return ", ".join(text if text.isprintable() else ascii(text) for text in texts)


def _save(content: bytes, out: Path) -> None:
    """Write a new file: whole, or not at all."""
    try:
        with tempfile.NamedTemporaryFile(dir=out.parent, prefix=f".{out.name[:40]}.") as file:
            file.write(content)
            file.flush()
            os.link(file.name, out)
        out.chmod(0o644)
    except FileExistsError:
        refuse(f"{out} exists already; name a file that does not.")
    except OSError as error:
        refuse(f"{out} cannot be written: {error.strerror}.")

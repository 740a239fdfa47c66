"""`sagestead runtime`: the Python environments of framework images. Works with or without a server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from sagestead.cli.terminal import DataOption, console, refuse
from sagestead.domain.runtimes import RUNTIMES, Runtime
from sagestead.settings import data_folder
from sagestead.worker.surroundings import installers
from sagestead.worker.toolkit import interpreters
from sagestead.worker.toolkit.environments import CannotBuild, Environments
from sagestead.worker.toolkit.interpreters import Interpreter

runtime = typer.Typer(
    help="The Python environments in which scripts of users run, one for each framework image.",
    no_args_is_help=True,
)

NameArgument = Annotated[str, typer.Argument(help="Framework and tag, for example sklearn:1.2-1.")]


@runtime.command("list")
def list_runtimes(data: DataOption = None) -> None:
    """List every runtime: whether it is built, and which Python of this machine it has or would have."""
    environments = _environments(data)
    pythons = interpreters.find(environments.variables)
    table = Table(Column("Runtime", no_wrap=True), "Python", "State", "Packages of scripts")
    for one in RUNTIMES.values():
        built = environments.find(one)
        layers = [layer for layer in environments.built() if layer.name == one.name and layer.base]
        python = built.version if built else _python_for(one, pythons)
        table.add_row(one.name, python, "built" if built else "not built", str(len(layers) or ""))
    console.print(table)


@runtime.command()
def build(name: NameArgument, data: DataOption = None) -> None:
    """Build a runtime now, so that no job or endpoint has to wait for it, or needs the package index."""
    _known(name)
    try:
        built = _environments(data).provide(name)
    except CannotBuild as refused:
        refuse(str(refused))
    typer.echo(f"{name} has Python {built.version}, in {built.path}")


@runtime.command()
def remove(name: NameArgument, data: DataOption = None) -> None:
    """Remove a runtime and the packages laid upon it; it is built again when it is needed."""
    _known(name)
    removed = _environments(data).remove(name)
    if not removed:
        refuse(f"The runtime {name} is not built; 'sagestead runtime list' shows those that are.")
    console.print(f"{name} is removed.")


def _environments(data: Path | None) -> Environments:
    return Environments(data_folder(data).runtimes, installers(os.environ), typer.echo)


def _known(name: str) -> None:
    if name not in RUNTIMES:
        refuse(f"There is no runtime {name}. There are {', '.join(RUNTIMES)}.")


def _python_for(one: Runtime, pythons: dict[str, Interpreter]) -> str:
    """Say which Python a runtime would be built with, or which it lacks."""
    for python in one.pythons:
        if python in pythons:
            return pythons[python].version
    return f"needs {' or '.join(one.pythons)}"

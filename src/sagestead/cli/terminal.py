"""What commands share: the terminal, the data folder option, and the way to say no."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from sagestead.settings import Folder, Server, data_folder

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Data folder; else $SAGESTEAD_DATA, else ~/.sagestead.", show_default=False),
]


def refuse(sentence: str) -> NoReturn:
    """Say why the command cannot do it, and exit with 1."""
    errors.print(f"[red]{sentence}[/red]", soft_wrap=True)
    raise typer.Exit(1)


def running_server(data: Path | None) -> tuple[Folder, Server]:
    """Return the folder and the server that runs on it; exits with a sentence when there is none."""
    folder = data_folder(data)
    server = Server.read(folder)
    if server is None:
        refuse(f"No server runs on {folder.root}. Start one with 'sagestead up'.")
    return folder, server

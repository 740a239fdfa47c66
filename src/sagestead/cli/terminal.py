"""What commands share: the terminal, the data folder option, and the way to say no."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from sagestead.settings import Folder, Server, data_folder

console = Console(highlight=False, markup=False)
errors = Console(stderr=True, highlight=False, markup=False)

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Data folder; else $SAGESTEAD_DATA, else ~/.sagestead.", show_default=False),
]


def refuse(sentence: str) -> NoReturn:
    """Say why the command cannot do it, and exit with 1."""
    errors.print(Text(sentence, style="red"), soft_wrap=True)
    raise typer.Exit(1)


def running_server(data: Path | None) -> tuple[Folder, Server]:
    """Return the folder and the server that runs on it; exits with a sentence when there is none."""
    folder = data_folder(data)
    server = Server.read(folder) if is_held(folder) else None
    if server is None:
        refuse(f"No server runs on {folder.root}. Start one with 'sagestead up'.")
    return folder, server


def is_held(folder: Folder) -> bool:
    """True while a supervisor holds the data folder."""
    try:
        handle = os.open(folder.lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False

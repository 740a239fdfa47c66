"""`sagestead down`: ask the running server to drain and stop."""

from __future__ import annotations

import os
import signal
import time
from typing import Annotated

import typer

from sagestead.cli.terminal import DataOption, console, is_held, refuse, running_server


def down(
    data: DataOption = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the end.", min=0)] = 40.0,
) -> None:
    """Stop the server of the data folder; everything is kept."""
    folder, server = running_server(data)
    try:
        os.kill(server.pid, signal.SIGTERM)
    except ProcessLookupError:
        pass  # it is ending by itself
    except PermissionError:
        refuse(f"Process {server.pid} belongs to another user, who must stop it.")
    deadline = time.monotonic() + wait
    while is_held(folder):
        if time.monotonic() > deadline:
            refuse(f"Process {server.pid} has not stopped after {wait:g} s; it may still be draining.")
        time.sleep(0.05)
    console.print("Stopped.")

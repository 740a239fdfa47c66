"""`sagestead down`: ask the running server to drain and stop."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from typing import Annotated

import typer

from sagestead.cli.terminal import DataOption, console, refuse, running_server
from sagestead.settings import Folder


def down(
    data: DataOption = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the end.", min=0)] = 40.0,
) -> None:
    """Stop the server of the data folder; everything is kept."""
    folder, server = running_server(data)
    if not is_held(folder):
        folder.server.unlink(missing_ok=True)
        refuse(f"No server runs on {folder.root} any more; its last one did not end in order.")
    os.kill(server.pid, signal.SIGTERM)
    deadline = time.monotonic() + wait
    while is_held(folder):
        if time.monotonic() > deadline:
            refuse(f"Process {server.pid} has not stopped after {wait:g} s; it may still be draining.")
        time.sleep(0.05)
    console.print("Stopped.")


def is_held(folder: Folder) -> bool:
    """True while a supervisor holds the data folder."""
    try:
        handle = os.open(folder.lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False

"""`sagestead demo`: the whole tutorial, on a server of its own, with the unmodified SageMaker SDK."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from types import FrameType
from typing import IO, Annotated, NoReturn

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from sagestead.cli.env import choose_key, variables
from sagestead.cli.terminal import console, refuse
from sagestead.settings import Folder, Server, data_folder

SDK = ("sagemaker==2.257.7", "jsonschema<4.18", "numpy<2", "pandas<3", "matplotlib>=3.8,<4")
"""The SDK has its configuration checked at every turn, some seventy times in the demo; jsonschema before 4.18
does so in two fifths of the time."""

PLOTS = ("objective.png", "search-space.png")
START_LIMIT = 30.0


def demo(
    python: Annotated[
        Path | None,
        typer.Option(help="Python of an environment that has the SageMaker SDK 2.x and matplotlib."),
    ] = None,
    plots: Annotated[Path, typer.Option(help="Folder in which the plots are kept.")] = Path("demo-output"),
) -> None:
    """Train, tune, draw, register, transform, deploy, predict, compare and delete, on real data."""
    begun = time.perf_counter()
    signal.signal(signal.SIGTERM, _end)
    interpreter = python or sdk_environment()
    with tempfile.TemporaryDirectory(prefix="sagestead-demo-") as place:
        work = Path(place) / "work"
        work.mkdir()
        with server(Folder(Path(place) / "data")) as (folder, running):
            console.print(f"Server at {running.url}; client: the SageMaker Python SDK in {interpreter}")
            key = choose_key(folder, running, None)
            code = tutorial(interpreter, work, variables(folder, running, key, running.region))
        if code == 0:
            keep(work, plots)
    if code != 0:
        refuse(f"The tutorial ended with code {code}; its messages are above.")
    seconds = time.perf_counter() - begun
    left = f" in {seconds:.1f} s; the plots are in {plots}, nothing else is left behind."
    console.print(Text.assemble(("Done", "bold green"), left), soft_wrap=True)


def keep(work: Path, plots: Path) -> None:
    """Copy the pictures from the tutorial's folder to the user's."""
    plots.mkdir(parents=True, exist_ok=True)
    for name in PLOTS:
        shutil.copyfile(work / name, plots / name)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """Leave by way of every `finally`, so that the server ends too."""
    del frame
    raise SystemExit(128 + number)


def sdk_environment() -> Path:
    """Return the Python of an environment with the SDK; made once, beside the data folder's contents."""
    place = data_folder(None).root / "demo-sdk"
    python = place / "bin" / "python"
    marker = place / "complete"
    if marker.exists():
        return python
    console.print(f"Installing {SDK[0]} into {place} (once)")
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)  # noqa: S603 - our own words
        subprocess.run([python, "-m", "pip", "install", "--quiet", *SDK], check=True)  # noqa: S603 - the same
    except subprocess.CalledProcessError as error:
        refuse(f"The SageMaker SDK could not be installed ({error}); name an environment with --python.")
    marker.touch()
    return python


@contextmanager
def server(folder: Folder) -> Iterator[tuple[Folder, Server]]:
    """Run a server on a free port for the length of the block."""
    command = [sys.executable, "-m", "sagestead", "up", "--port", "0", "--data", str(folder.root)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program
    try:
        deadline = time.monotonic() + START_LIMIT
        while (running := Server.read(folder)) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                refuse("The server did not start; its reason is above.")
            time.sleep(0.02)
        yield folder, running
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def tutorial(python: Path, work: Path, environment: dict[str, str]) -> int:
    """Run the tutorial as an ordinary client and show its progress; returns its exit code."""
    package = files("sagestead.demo")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAGEMAKER_"))}
    with (
        as_file(package) as place,
        (work / "errors").open("w") as errors,
    ):
        process = subprocess.Popen(  # noqa: S603 - our own script
            [python, "-W", "ignore", place / "tutorial.py", place / "hotels.csv", work],
            env={**clean, **environment, "SAGEMAKER_SUPPRESS_V2_WARNING": "1"},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            assert process.stdout is not None  # noqa: S101 - a pipe, as asked for
            show(process.stdout)
        finally:
            if sys.exc_info()[0] is not None:
                process.terminate()
            code = process.wait()
    if code != 0:
        console.print((work / "errors").read_text(), soft_wrap=True)
    return code


def show(lines: IO[str]) -> None:
    """Show the events: a bar of steps, a bar of trials, a line for each finished step, the table."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<32}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)
        trials = progress.add_task("  trials", total=None, visible=False)
        for line in lines:
            event = json.loads(line)
            if "steps" in event:
                progress.update(task, total=len(event["steps"]))
            elif "table" in event:
                progress.console.print(comparison(event["table"]))
            elif "part" in event:
                progress.update(trials, completed=event["part"], total=event["parts"], visible=True)
            elif event["state"] == "start":
                progress.update(task, description=event["name"])
            else:
                line_of = f"  {event['seconds']:6.1f} s  {event['name']:<32} {event['detail']}"
                progress.console.print(line_of, soft_wrap=True)
                progress.update(trials, visible=False)
                progress.advance(task)


def comparison(pairs: list[list[str]]) -> Table:
    """Return the table of real-time and batch predictions."""
    table = Table("row", "real-time prediction", "batch prediction", title="The same row, asked twice")
    for number, (online, batch) in enumerate(pairs, start=1):
        table.add_row(str(number), online, batch)
    return table

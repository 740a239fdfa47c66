"""The list of commands."""

from __future__ import annotations

import io
import sys

import typer

from sagestead.cli.demo import demo
from sagestead.cli.deploy import deploy
from sagestead.cli.doctor import doctor
from sagestead.cli.down import down
from sagestead.cli.env import env
from sagestead.cli.interrupt import interrupt
from sagestead.cli.jobs import jobs
from sagestead.cli.keys import keys
from sagestead.cli.model import model
from sagestead.cli.runtime import runtime
from sagestead.cli.status import status
from sagestead.cli.up import up

app = typer.Typer(
    name="sagestead",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def begin() -> None:
    """Amazon SageMaker's API on your own machine."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a letter shows another


app.command()(up)
app.command()(env)
app.command()(status)
app.command()(jobs)
app.command()(deploy)
app.command()(demo)
app.command()(doctor)
app.command()(down)
app.command()(interrupt)
app.add_typer(keys, name="keys")
app.add_typer(model, name="model")
app.add_typer(runtime, name="runtime")

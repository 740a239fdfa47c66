"""`sagestead up`: run the service in the foreground."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.text import Text

from sagestead.cli.terminal import DataOption, console, refuse
from sagestead.settings import DEFAULT_ACCOUNT, DEFAULT_PORT, DEFAULT_REGION, Settings, data_folder
from sagestead.telemetry import start_logging


def up(  # noqa: PLR0913, PLR0917 - one parameter an option
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0: any free one.", min=0, max=65535)
    ] = DEFAULT_PORT,
    data: DataOption = None,
    front_doors: Annotated[int, typer.Option(help="Processes that share the port.", min=1, max=64)] = 1,
    hosting: Annotated[
        Literal["inline", "worker"],
        typer.Option(
            help="Who serves models without code of yours: the front doors, or a process an instance."
        ),
    ] = "inline",
    account: Annotated[str, typer.Option(help="Account made at the first start.")] = DEFAULT_ACCOUNT,
    region: Annotated[str, typer.Option(help="Region that 'sagestead env' names.")] = DEFAULT_REGION,
    tls: Annotated[  # noqa: FBT002 - an option of the command line
        bool, typer.Option("--tls", help="Serve HTTPS with a certificate made here; 'env' exports its CA.")
    ] = False,
    tls_cert: Annotated[Path | None, typer.Option(help="Your own certificate chain.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The private key of --tls-cert.")] = None,
) -> None:
    """Run the service until Ctrl-C or SIGTERM."""
    if not re.fullmatch(r"\d{12}", account):
        refuse(f"--account {account!r} must be twelve digits.")
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", region):
        refuse(f"--region {region!r} must look like 'us-east-1'.")
    if (tls_cert is None) != (tls_key is None):
        refuse("--tls-cert and --tls-key go together; give both or neither.")
    if tls and tls_cert is not None:
        refuse("--tls makes a certificate; give it alone, or --tls-cert with --tls-key.")
    for file in (tls_cert, tls_key):
        if file is not None and not file.is_file():
            refuse(f"The file {file} does not exist.")
    folder = data_folder(data)
    settings = Settings(
        data=str(folder.root),
        host=host,
        port=port,
        front_doors=front_doors,
        hosting=hosting,
        account=account,
        region=region,
        tls_cert=str(folder.certificate) if tls else str(tls_cert.absolute()) if tls_cert else None,
        tls_key=str(tls_key.absolute()) if tls_key else None,
        tls_ca=str(folder.bundle) if tls else None,
    )
    _run(settings)


def _run(settings: Settings) -> None:
    from sagestead.service.supervisor import CannotStart, run_service  # noqa: PLC0415 - other commands start faster

    try:
        settings.folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        start_logging("supervisor", settings.folder.log)
        run_service(settings, _announce)
    except CannotStart as reason:
        refuse(str(reason))
    except OSError as error:
        refuse(
            f"{error.filename or settings.data} cannot be used ({error.strerror}); "
            "name another data folder with --data."
        )
    console.print("Stopped; everything is kept. 'sagestead up' continues.")


def _announce(settings: Settings) -> None:
    named = "" if settings.folder == data_folder(None) else f" --data {shlex.quote(settings.data)}"
    text = Text.assemble(
        ("Sagestead is ready", "bold green"),
        " at ",
        (settings.url, "bold"),
        f"\n  account {settings.account}, region {settings.region}, data in {settings.data}",
        "\n  Point a client at it, in another terminal: ",
        (f'eval "$(sagestead env{named})"', "bold"),
        "\n  Stop with Ctrl-C.",
    )
    console.print(text, soft_wrap=True)

"""`sagestead keys`: key pairs, and with them accounts. Works on the data folder, with or without a server."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from sagestead.cli.env import open_folder
from sagestead.cli.terminal import DataOption, console, refuse
from sagestead.control.accounts import new_key, open_account
from sagestead.settings import DEFAULT_ACCOUNT, data_folder

if TYPE_CHECKING:
    from sagestead.service.adapters import Adapters

keys = typer.Typer(help="Key pairs; the account of a request comes from its key.", no_args_is_help=True)


@contextmanager
def opened(data: Path | None) -> Iterator[Adapters]:
    """Open the data folder; exits with a sentence when there is none yet."""
    folder = data_folder(data)
    if not (folder.root / "store.db").is_file():
        refuse(f"There is no data folder {folder.root} yet; run 'sagestead up' once.")
    adapters = open_folder(folder)
    try:
        yield adapters
    finally:
        adapters.database.close()


@keys.command()
def create(
    account: Annotated[str, typer.Option(help="Twelve digits; a new account is made.")] = DEFAULT_ACCOUNT,
    data: DataOption = None,
) -> None:
    """Make a key pair. The secret is shown once, here."""
    if not re.fullmatch(r"\d{12}", account):
        refuse(f"--account {account!r} must be twelve digits.")
    with opened(data) as adapters:
        credentials = adapters.credentials
        stored = credentials.keys()
        if any(key.account == account for key in stored):
            key = new_key(credentials, account)
        else:
            key = open_account(adapters.resources, credentials, account, round(time.time(), 3))
    typer.echo(f"AWS_ACCESS_KEY_ID={key.access_key_id}\nAWS_SECRET_ACCESS_KEY={key.secret}")


@keys.command("list")
def list_keys(data: DataOption = None) -> None:
    """List the key pairs, without their secrets."""
    table = Table(
        Column("Access key id", no_wrap=True, overflow="fold"),
        Column("Account", overflow="fold"),
        Column("Principal", overflow="fold"),
        Column("State", overflow="fold"),
    )
    with opened(data) as adapters:
        stored = adapters.credentials.keys()
        for key in stored:
            table.add_row(key.access_key_id, key.account, key.arn, "enabled" if key.enabled else "disabled")
    console.print(table)


@keys.command()
def disable(
    access_key_id: Annotated[str, typer.Argument(help="The key to refuse from now on.")],
    data: DataOption = None,
) -> None:
    """Disable a key pair: its requests are refused from now on."""
    with opened(data) as adapters:
        if not adapters.credentials.disable(access_key_id):
            refuse(f"There is no key {access_key_id}; 'sagestead keys list' shows those there are.")
    console.print(f"{access_key_id} is disabled.")

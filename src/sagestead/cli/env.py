"""`sagestead env`: what a client must have in its environment, in the words of its shell."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sagestead.cli.terminal import DataOption, refuse, running_server
from sagestead.control.accounts import EXECUTION_ROLE
from sagestead.domain.identity import Credential
from sagestead.settings import Folder, Server, Settings

if TYPE_CHECKING:
    from sagestead.service.adapters import Adapters


MISLEADING = frozenset(
    {
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    }
)


class Shell(StrEnum):
    """Whose syntax is printed."""

    BASH = "bash"
    FISH = "fish"
    POWERSHELL = "powershell"
    R = "r"
    JSON = "json"


def env(
    shell: Annotated[Shell, typer.Option(help="Whose syntax to print.")] = Shell.BASH,
    data: DataOption = None,
    key: Annotated[
        str | None, typer.Option(help="Access key id to export; else the account's first key.")
    ] = None,
    region: Annotated[str | None, typer.Option(help="Region to export; else the server's.")] = None,
    shim: Annotated[  # noqa: FBT002 - an option of the command line
        bool, typer.Option("--shim", help="Also route the SDK's hard-coded STS address here (PYTHONPATH).")
    ] = False,
) -> None:
    """Print the variables that point AWS clients at the server; use it as eval "$(sagestead env)"."""
    folder, server = running_server(data)
    credential = choose_key(folder, server, key)
    values = variables(folder, server, credential, region or server.region)
    if shim:
        values["PYTHONPATH"] = str(write_shim(folder))
    typer.echo(render(shell, values, conflicting(os.environ)))


def open_folder(folder: Folder) -> Adapters:
    """Open the data folder; exits with a sentence when that is impossible."""
    from sagestead.service.adapters import Unusable, open_adapters  # noqa: PLC0415 - only when it is needed: `up` starts faster

    try:
        return open_adapters(Settings(str(folder.root)))
    except Unusable as reason:
        refuse(str(reason))


def choose_key(folder: Folder, server: Server, wanted: str | None) -> Credential:
    """Return the key to export; exits with a sentence when there is none."""
    adapters = open_folder(folder)
    try:
        stored = adapters.credentials.keys()
    finally:
        adapters.database.close()
    for credential in stored:
        fits = credential.access_key_id == wanted if wanted else credential.account == server.account
        if fits and credential.enabled:
            return credential
    return refuse(
        f"There is no enabled key {wanted or 'of account ' + server.account}; "
        "make one with 'sagestead keys create'."
    )


def variables(folder: Folder, server: Server, credential: Credential, region: str) -> dict[str, str]:
    """Return the variables that AWS's clients and SDKs read."""
    trust = {} if server.ca is None else {"AWS_CA_BUNDLE": server.ca}
    return {
        "AWS_ENDPOINT_URL": server.url,
        **trust,
        "AWS_ACCESS_KEY_ID": credential.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credential.secret,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "SAGEMAKER_ROLE_ARN": f"arn:aws:iam::{credential.account}:role/{EXECUTION_ROLE}",
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(write_sdk_config(folder, credential.account, region)),
    }


def write_sdk_config(folder: Folder, account: str, region: str) -> Path:
    """Write the SageMaker SDK's configuration: no telemetry, and a default bucket without asking STS."""
    folder.client.mkdir(mode=0o700, exist_ok=True)
    file = folder.client / f"sagemaker-{region}-{account}.yaml"
    _write(
        file,
        "SchemaVersion: '1.0'\n"
        "SageMaker:\n"
        "  PythonSDK:\n"
        "    Modules:\n"
        "      TelemetryOptOut: true\n"
        "      Session:\n"
        f"        DefaultS3Bucket: sagemaker-{region}-{account}\n",
    )
    return file


def write_shim(folder: Folder) -> Path:
    """Write the STS shim where Python finds it by itself; returns the folder for PYTHONPATH."""
    place = folder.client / "shim"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(place / "sitecustomize.py", files("sagestead.cli").joinpath("sts_shim.py").read_text())
    return place


def _write(file: Path, text: str) -> None:
    """Replace the file whole, so that clients that start meanwhile read the old or the new one."""
    temporary = file.with_name(file.name + ".new")
    temporary.write_text(text)
    temporary.replace(file)


def conflicting(environment: Mapping[str, str]) -> list[str]:
    """Return the variables, set now, that would lead clients past what is exported.

    A session token of another account makes every request invalid, a profile may not exist, and an address of
    one service goes before the general one (source: botocore's configuration chain).
    """
    return [
        name for name in sorted(environment) if name in MISLEADING or name.startswith("AWS_ENDPOINT_URL_")
    ]


def render(shell: Shell, values: dict[str, str], unset: Sequence[str] = ()) -> str:
    """Return the assignments in the shell's syntax, after removing the variables of `unset` (not in JSON)."""
    if shell is Shell.JSON:
        return json.dumps(values, indent=2)
    if shell is Shell.R:
        pairs = ",\n  ".join(f"{name} = {json.dumps(value)}" for name, value in values.items())
        return "\n".join([*(f'Sys.unsetenv("{name}")' for name in unset), f"Sys.setenv(\n  {pairs}\n)"])
    if shell is Shell.POWERSHELL:
        removed = [f"Remove-Item Env:{name}" for name in unset]
        quoted = {name: value.replace("'", "''") for name, value in values.items()}
        return "\n".join([*removed, *(f"$env:{name} = '{value}'" for name, value in quoted.items())])
    fish = shell is Shell.FISH
    removed = [f"set -e {name};" if fish else f"unset {name}" for name in unset]
    template = "set -gx {} {};" if fish else "export {}={}"
    return "\n".join(
        [*removed, *(template.format(name, shlex.quote(value)) for name, value in values.items())]
    )

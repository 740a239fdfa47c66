"""`sagestead doctor`: check what can be wrong, and say how to mend it."""

from __future__ import annotations

import importlib
import os
import shutil
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import typer
from rich.text import Text

from sagestead.cli.client import client
from sagestead.cli.terminal import DataOption, console, is_held
from sagestead.settings import DEFAULT_PORT, Folder, Server, data_folder

NEEDED = (
    "numpy",
    "scipy",
    "xgboost",
    "optuna",
    "regex",
    "pyarrow",
    "sqlalchemy",
    "uvloop",
    "httptools",
    "botocore",
    "awscrt",
    "cryptography",
)
LITTLE_DISK = 1 << 30
CLOCK_LIMIT = 60.0
FEW_DAYS = 14
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was found, and the remedy when it is bad."""

    good: bool
    what: str
    remedy: str = ""


def doctor(data: DataOption = None) -> None:
    """Check the installation, the data folder and the running server; exit with 1 if something is wrong."""
    folder = data_folder(data)
    findings = [*installation(), *data_checks(folder), *certificate_checks(folder), *server_checks(folder)]
    for finding in findings:
        mark = ("ok  ", "green") if finding.good else ("bad ", "red")
        console.print(Text.assemble(mark, f" {finding.what}"), soft_wrap=True)
        if not finding.good:
            console.print(f"     remedy: {finding.remedy}", soft_wrap=True)
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


def installation() -> Iterator[Finding]:
    """Check Python and the libraries."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding(sys.version_info >= (3, 11), f"Python {version}", "install Python 3.11, 3.12 or 3.13")
    for name in NEEDED:
        try:
            module = importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever stops it is the finding
            yield Finding(
                good=False, what=f"{name} cannot be imported: {error}", remedy="pip install sagestead"
            )
        else:
            yield Finding(good=True, what=f"{name} {getattr(module, '__version__', '')}".strip())


def data_checks(folder: Folder) -> Iterator[Finding]:
    """Check that the data folder can be used and is private, and that there is room."""
    place = folder.root
    while not place.exists():
        place = place.parent
    writable = place.is_dir() and os.access(place, os.W_OK)
    yield Finding(writable, f"data folder {folder.root}", "name a folder that you may write with --data")
    if not writable:
        return
    if folder.root.exists():
        mode = folder.root.stat().st_mode & 0o077
        yield Finding(mode == 0, "the data folder is private", f"chmod 700 {folder.root}")
    free = shutil.disk_usage(place).free
    yield Finding(free > LITTLE_DISK, f"{free / (1 << 30):.1f} GiB free on its disk", "make room on the disk")
    yield sockets(folder)


def sockets(folder: Folder) -> Finding:
    """Check that a Unix socket can be made where instances will listen."""
    place = folder.root if folder.root.exists() else Path(tempfile.gettempdir())
    name = place / f".doctor-{os.getpid()}"
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.bind(str(name))
    except OSError as error:
        remedy = "use a data folder on a local disk with a shorter path"
        return Finding(good=False, what=f"no Unix socket can be made in {place}: {error}", remedy=remedy)
    finally:
        name.unlink(missing_ok=True)
    return Finding(good=True, what="Unix sockets work there")


def certificate_checks(folder: Folder) -> Iterator[Finding]:
    """Check the certificate of the running server as a client does, and that its keys are private."""
    server = Server.read(folder)
    if server is None or not is_held(folder) or not server.url.startswith("https:"):
        return
    address = urlsplit(server.url)
    host, renew = address.hostname or "", f"look into {folder.log} for why it was not renewed"
    try:
        with (
            socket.create_connection((host, address.port or 443), timeout=3) as plain,
            trust(server).wrap_socket(plain, server_hostname=host) as secured,
        ):
            found = secured.getpeercert() or {}
    except OSError as error:
        remedy = f"export AWS_CA_BUNDLE={server.ca or 'the file of the authority that signed it'}"
        yield Finding(
            good=False, what=f"the certificate at {server.url} is not trusted: {error}", remedy=remedy
        )
        return
    days = (ssl.cert_time_to_seconds(str(found["notAfter"])) - time.time()) / DAY
    shown = [str(name[1]).replace("0:0:0:0:0:0:0:1", "::1") for name in found["subjectAltName"]]
    remedy = renew if server.ca else "renew the files of --tls-cert and --tls-key; they are loaded at once"
    yield Finding(
        days > FEW_DAYS, f"the certificate of {', '.join(shown)} is good for {days:.0f} days", remedy
    )
    if server.ca is not None:
        keys = [file for file in (folder.authority, folder.certificate) if file.is_file()]
        private = all(file.stat().st_mode & 0o077 == 0 for file in keys)
        yield Finding(private, "its keys are private", f"chmod 600 {folder.authority} {folder.certificate}")


def trust(server: Server) -> ssl.SSLContext:
    """Return what clients trust: the server's authority, else $AWS_CA_BUNDLE, else the system's."""
    return ssl.create_default_context(cafile=server.ca or os.environ.get("AWS_CA_BUNDLE"))


def server_checks(folder: Folder) -> Iterator[Finding]:
    """Check the running server: it answers, its clock agrees, a signed request passes."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - only when it is needed: `up` starts faster

    server = Server.read(folder)
    if server is None or not is_held(folder):
        free = port_is_free(DEFAULT_PORT)
        yield Finding(good=True, what="no server runs on this data folder ('sagestead up' starts one)")
        yield Finding(free, f"port {DEFAULT_PORT} is free", "start with another port: sagestead up --port 0")
        return
    remedy = f"look into {folder.log}, then 'sagestead down' and 'sagestead up'"
    try:
        with urlopen(f"{server.url}/-/health", timeout=3, context=trust(server)) as answer:  # noqa: S310 - our own address
            skew = abs(parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time())
    except (URLError, OSError) as error:
        yield Finding(good=False, what=f"the server at {server.url} does not answer: {error}", remedy=remedy)
        return
    yield Finding(good=True, what=f"the server at {server.url} answers")
    yield Finding(
        skew < CLOCK_LIMIT, f"its clock is {skew:.0f} s off", "set both clocks; signatures depend on them"
    )
    try:
        identity = client(folder, server, "sts").get_caller_identity()["Arn"]
        yield Finding(good=True, what=f"a signed request passes, as {identity}")
    except (BotoCoreError, ClientError) as error:
        yield Finding(good=False, what=f"a signed request is refused: {error}", remedy=remedy)


def port_is_free(port: int) -> bool:
    """True when the port can be bound on the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

"""Where things are kept and how the program was told to run.

Rule: one data folder holds everything; the supervisor writes what other commands need to know into
`server.json` there, and nothing else is looked for anywhere.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

DEFAULT_PORT = 8750
DEFAULT_ACCOUNT = "123456789012"
DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Folder:
    """The data folder and the names inside it."""

    root: Path

    @property
    def objects(self) -> Path:
        """Blobs and their index."""
        return self.root / "objects"

    @property
    def runs(self) -> Path:
        """A folder for every run."""
        return self.root / "runs"

    @property
    def runtimes(self) -> Path:
        """Python environments of framework images; see worker/toolkit/environments.py."""
        return self.root / "runtimes"

    @property
    def layouts(self) -> Path:
        """In which layouts the prepared models of all endpoints are; see service/control.py."""
        return self.root / "layouts.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor while it lives."""
        return self.root / "lock"

    @property
    def server(self) -> Path:
        """What is running: see `Server`."""
        return self.root / "server.json"

    @property
    def log(self) -> Path:
        """The service's own log."""
        return self.root / "sagestead.log"

    @property
    def client(self) -> Path:
        """Files that clients are pointed to: the SageMaker SDK's configuration, the STS shim."""
        return self.root / "client"

    @property
    def tls(self) -> Path:
        """The certificate authority of `up --tls` and the server's certificate; see service/authority.py."""
        return self.root / "tls"

    @property
    def authority(self) -> Path:
        """Key and certificate of the authority."""
        return self.tls / "authority.pem"

    @property
    def bundle(self) -> Path:
        """The authority's certificate, for clients to trust."""
        return self.tls / "ca.pem"

    @property
    def certificate(self) -> Path:
        """Key and certificate of the server."""
        return self.tls / "server.pem"


def data_folder(given: Path | None) -> Folder:
    """Return the data folder: the option, else `$SAGESTEAD_DATA`, else `~/.sagestead`."""
    if given is not None:
        return Folder(given.expanduser().absolute())
    named = os.environ.get("SAGESTEAD_DATA")
    return Folder(Path(named).expanduser().absolute() if named else Path.home() / ".sagestead")


@dataclass(frozen=True, slots=True)
class Settings:
    """How the service runs; handed to its processes as JSON.

    Attributes:
        data: the data folder.
        host: address to listen on.
        port: port to listen on; 0 lets the system choose.
        front_doors: how many processes share the port.
        account: the account made at the first start.
        region: the region of requests that name none (signature version 2), and of `sagestead env`.
        hold_seconds: how long a Describe of a resource in transition waits for its next change.
        drain_seconds: how long answers under way may take after SIGTERM.
        tls_cert: certificate chain file, with `tls_key`: HTTPS instead of HTTP.
        tls_key: private key file.
        tls_ca: the authority that clients must trust; None when the certificate was not made by `up --tls`.
        hosting: how models without user code are served: by the front doors, or by a process an instance.
    """

    data: str
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    front_doors: int = 1
    account: str = DEFAULT_ACCOUNT
    region: str = DEFAULT_REGION
    hold_seconds: float = 5.0
    drain_seconds: float = 20.0
    tls_cert: str | None = None
    tls_key: str | None = None
    tls_ca: str | None = None
    hosting: Literal["inline", "worker"] = "inline"

    @property
    def folder(self) -> Folder:
        """The data folder."""
        return Folder(Path(self.data))

    @property
    def loopback(self) -> bool:
        """True when only this machine can connect."""
        return self.host in {"127.0.0.1", "::1", "localhost"}

    @property
    def url(self) -> str:
        """The address that clients are given."""
        scheme = "https" if self.tls_cert else "http"
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def to_json(self) -> str:
        """Return the form handed to child processes."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Read the form handed to child processes."""
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class Server:
    """A running server, as other commands find it.

    `started_at`: seconds since the epoch. `ca`: file of the authority that its clients must trust; None when
    they know it already.
    """

    pid: int
    url: str
    account: str
    region: str
    started_at: float
    ca: str | None = None

    def write(self, folder: Folder) -> None:
        """Record the running server, whole or not at all."""
        temporary = folder.server.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(self)))
        temporary.replace(folder.server)

    @classmethod
    def read(cls, folder: Folder) -> Server | None:
        """Return what was recorded last; None when nothing readable is there."""
        try:
            return cls(**json.loads(folder.server.read_text()))
        except (OSError, ValueError, TypeError):
            return None

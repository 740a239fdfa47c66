"""The place in which a run's programs of users live: what they see, who they are, and what they may not.

Rules: where the machine allows it, they see the run's folder as /opt/ml, nothing of the service's data, and
are a user that owns nothing else; they keep none of our descriptors and none of our environment. What the
machine does not allow is said in the log, and paths below /opt/ml are written as they are.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sagestead.domain.refused_model import ModelRefused
from sagestead.worker.run_folder import RunFolder

OPT_ML = "/opt/ml"
_LAUNCHER = Path(__file__).with_name("confine.py")
_FIRST_USER, _USERS = 700_000_000, 1 << 20
_NOBODY = 65534
_SMALL = 1 << 16
"""A file of so many bytes is copied in less time than a program takes to start."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to start.

    Attributes:
        command: the program and its arguments, in which /opt/ml means the run's folder.
        environment: the whole of it; the same holds for its values.
        folder: where it starts, below /opt/ml.
        needs: folders outside of /opt/ml that it reads: its runtime.
        writes: folders outside of /opt/ml that it writes.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    needs: Sequence[Path] = ()
    writes: Sequence[Path] = ()


class Enclosure:
    """Where the programs of one run live.

    Args:
        run: the run; its `opt-ml` folder is theirs.
        isolated: they reach no network.
        has_own_files: small files that the object store shares with them become copies of their own, which
            they may change or make programs of, as in a container; the others they can only read.

    Raises:
        ModelRefused: they should be isolated, and this machine cannot do that.
    """

    def __init__(self, run: RunFolder, *, isolated: bool, has_own_files: bool = False) -> None:
        self._run = run
        self._isolated = isolated
        self._has_own_files = has_own_files
        self._can_mount = _allowed(mounts=True, isolated=isolated)
        if isolated and not self._can_mount and not _allowed(mounts=False, isolated=True):
            raise ModelRefused(
                "EnableNetworkIsolation cannot be had: this machine lets the service make no "
                "network namespaces. Allow unprivileged user namespaces, or set it to false."
            )
        self._is_handed_over = False
        self._user = self._choose_user()
        run.layout.root.mkdir(exist_ok=True)

    @property
    def opt_ml(self) -> str:
        """How the programs see the run's `opt-ml` folder."""
        return OPT_ML if self._can_mount else str(self._run.layout.root)

    def seen(self, text: str) -> str:
        """Return a text (an argument, a value) in which /opt/ml is what the programs see."""
        return text if self._can_mount else text.replace(OPT_ML, self.opt_ml)

    def start(self, program: Program, **options: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401 - as Popen's
        """Start a program; it is killed when we end. `options` are those of `subprocess.Popen`."""
        if not self._can_mount:
            print(f"{OPT_ML} is {self.opt_ml} here: this machine allows no mounts.", flush=True)  # noqa: T201 - the run's log
        if not self._is_handed_over:
            self._hand_over(self._run.layout.root)
            self._is_handed_over = True
        order = {
            "root": str(self._run.layout.root) if self._can_mount else None,
            "closed": [str(self._run.path.parent.parent)],
            "needs": [str(path) for path in _whole(program.needs)],
            "writes": [str(path) for path in program.writes],
            "user": self._user,
            "isolated": self._isolated,
            "folder": self.seen(program.folder),
            "command": [self.seen(word) for word in program.command],
        }
        environment = {name: self.seen(value) for name, value in program.environment.items()}
        return subprocess.Popen(_launch(order), env=environment, stdin=subprocess.DEVNULL, **options)  # noqa: S603 - our own module

    def _choose_user(self) -> int | None:
        """Return whom the programs become; None when we are no root, or they could reach nothing then."""
        if os.geteuid() != 0:
            return None
        own = _FIRST_USER + zlib.crc32(os.fsencode(self._run.path.name)) % _USERS
        if not self._can_mount and not _is_open(self._run.layout.root):
            why = f"this machine allows no mounts, and another user could not reach {self._run.layout.root}"
        elif (user := next(filter(_is_mapped, (own, _NOBODY)), None)) is not None:
            return user
        else:
            why = "there is no other here"
        print(f"The program runs as the service's own user: {why}.", flush=True)  # noqa: T201 - the run's log
        return None

    def lend(self, folder: Path) -> None:
        """Give a folder outside of `opt-ml` to the programs' user, for a while."""
        self._hand_over(folder)

    def take_back(self, folder: Path) -> None:
        """Own a lent folder again, all that was put into it included; nobody else can write there then."""
        if self._user is None:
            return
        for path in _below(folder):
            os.chown(path, os.geteuid(), os.getegid(), follow_symlinks=False)
            if not stat.S_ISLNK((found := os.lstat(path)).st_mode):
                is_program = stat.S_ISDIR(found.st_mode) or found.st_mode & stat.S_IXUSR
                os.chmod(path, 0o755 if is_program else 0o644)  # noqa: PTH101 - one of thousands

    def _hand_over(self, folder: Path) -> None:
        """Give what lies below a folder to the programs' user; files shared with the object store to read."""
        if self._user is None and not self._has_own_files:
            return
        for path in _below(folder):
            found = os.lstat(path)
            is_shared = stat.S_ISREG(found.st_mode) and found.st_nlink > 1
            if is_shared and self._has_own_files and found.st_size <= _SMALL:
                _own_copy(path)
                is_shared = False
            if self._user is None:
                continue
            if is_shared:
                os.chmod(path, 0o444)  # noqa: PTH101 - one of thousands
            elif os.lstat(path).st_uid != self._user:
                os.chown(path, self._user, self._user, follow_symlinks=False)


def ending_with_us(command: Sequence[str]) -> list[str]:
    """Return a command that is killed when the process that starts it ends, however that ends."""
    if sys.platform != "linux":
        return list(command)
    order: dict[str, object] = {
        "root": None,
        "closed": [],
        "needs": [],
        "writes": [],
        "user": None,
        "isolated": False,
    }
    return _launch({**order, "folder": "/", "command": list(command)})


def can_mount() -> bool:
    """Say whether programs see their run's folder as /opt/ml here."""
    return _allowed(mounts=True, isolated=False)


def _own_copy(path: str) -> None:
    """Replace a name of a shared file by a file of its own."""
    draft = f"{path}.{os.getpid()}"
    shutil.copyfile(path, draft)
    os.replace(draft, path)  # noqa: PTH105 - one of thousands


def _below(folder: Path) -> Iterator[str]:
    """Yield a folder and everything below it; a channel may hold a million files."""
    yield str(folder)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield f"{parent}/{name}"


def _launch(order: Mapping[str, object]) -> list[str]:
    return [sys.executable, "-I", "-S", str(_LAUNCHER), json.dumps(order)]


@cache
def _allowed(*, mounts: bool, isolated: bool) -> bool:
    """Ask the machine: a process tries it."""
    if sys.platform != "linux":
        return False
    order: dict[str, object] = {
        "root": "/" if mounts else None,
        "closed": [],
        "needs": [],
        "writes": [],
        "user": None,
    }
    command = _launch({**order, "isolated": isolated, "folder": "/", "command": None})
    with suppress(OSError):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603 - our own module
    return False


def _whole(needs: Iterable[Path]) -> list[Path]:
    """Return real paths, none below another."""
    real = sorted({path.resolve() for path in needs})
    return [path for path in real if not any(path != other and path.is_relative_to(other) for other in real)]


def _is_open(path: Path) -> bool:
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)


def _is_mapped(user: int) -> bool:
    """Say whether the namespace of users that we live in knows a user."""
    try:
        lines = Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    return any(int(first) <= user < int(first) + int(count) for first, _, count in map(str.split, lines))

"""The process tree of a running service, as the system shows it (Linux: /proc)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from sagestead.engines.process.places import Places
from sagestead.settings import Folder, Server

T = TypeVar("T")

START_LIMIT = 60.0
INDEXES = ("contents", "owners")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Tree:
    """`sagestead up` on a folder and everything below it."""

    data: Path
    port: int = field(default_factory=free_port)
    hosting: str = "inline"
    supervisor: subprocess.Popen[bytes] | None = None
    _pause: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        folder = Folder(self.data)
        folder.server.unlink(missing_ok=True)
        words = ["-m", "sagestead", "up", "--port", str(self.port), "--data", str(self.data)]
        words += ["--hosting", self.hosting]
        supervisor = self.supervisor = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL)
        self.until(lambda: Server.read(folder) or supervisor.poll() is not None, "a start", START_LIMIT)
        assert supervisor.poll() is None, "the server ended before it was ready"

    def until(self, look: Callable[[], T | None], what: str, limit: float) -> T:
        deadline = time.monotonic() + limit
        while not (found := look()):
            assert time.monotonic() < deadline, f"not in time: {what}"
            self._pause.wait(0.02)
        return found

    def end(self, number: signal.Signals) -> None:
        assert self.supervisor is not None
        self.supervisor.send_signal(number)
        self.supervisor.wait(60)

    def workers(self) -> list[int]:
        """Processes that work in a run's folder."""
        runs = str(self.data / "runs")
        return [pid for pid in processes() if runs in _link(pid, "cwd")]

    def part(self, word: str) -> list[int]:
        """Children of the supervisor, and theirs, whose command holds a word."""
        return [pid for pid in self._descendants() if word in _command(pid) and pid not in self.workers()]

    def leavings(self) -> dict[str, int]:
        """How many processes, folders, and sockets with their pages there are of runs."""
        folders = [path for path in (self.data / "runs").iterdir() if path.name not in INDEXES]
        sockets = [
            path for path in Places.prepare(self.data / "runs").sockets.iterdir() if path.name != "notices"
        ]
        return {"workers": len(self.workers()), "folders": len(folders), "sockets": len(sockets)}

    def told(self) -> str:
        """What is in every run's folder, for whoever has to find out why it is there."""
        folders = [path for path in (self.data / "runs").iterdir() if path.name not in INDEXES]
        return "\n".join(
            f"{path.name}: {sorted(entry.name for entry in path.iterdir())} {_end_of(path / 'spec.json')!r}"
            for path in folders
        )

    def indexes(self) -> list[Path]:
        """The folders in which runs are noted by what they belong to."""
        return [self.data / "runs" / name for name in INDEXES]

    def left(self) -> list[int]:
        """Every process that works for this folder, parents first: who is left does not see others killed."""
        data = str(self.data)
        named = [pid for pid in processes() if data in _link(pid, "cwd") or data in _command(pid)]
        return sorted({*named, *self._descendants()}, key=_began)  # zygotes name no folder

    def _descendants(self) -> list[int]:
        assert self.supervisor is not None
        found, front = [], [self.supervisor.pid]
        while front:
            front = [pid for parent in front for pid in _children(parent)]
            found += front
        return found


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _began(pid: int) -> int:
    """Return when a process began, in ticks since the machine did; ids are reused, and say nothing of it."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return 0


def _end_of(path: Path) -> bytes:
    with suppress(OSError):
        return path.read_bytes()[-500:]
    return b""


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _children(pid: int) -> list[int]:
    with suppress(FileNotFoundError, ProcessLookupError):
        return [
            int(word) for task in Path(f"/proc/{pid}/task").iterdir() for word in _text(task / "children")
        ]
    return []


def _text(path: Path) -> list[str]:
    with suppress(FileNotFoundError, ProcessLookupError):
        return path.read_text().split()
    return []


def _command(pid: int) -> str:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    return ""


def _link(pid: int, name: str) -> str:
    with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        return str(Path(f"/proc/{pid}/{name}").readlink())
    return ""

"""Servers under measurement: started, watched through /proc (Linux), ended with their whole process tree."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from load import LoadError
from model import CACHE

TICKS = os.sysconf("SC_CLK_TCK")
GRACE = 10.0
PARENT, SESSION, TIMES, BIRTH = 1, 3, slice(11, 15), 19


def end_in_order() -> None:
    """Let SIGTERM end this program as Ctrl-C does, so that it ends every server that it has started."""

    def leave(number: int, _: object) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of a process tree: its share of what it shares with others, and what only it has."""

    proportional: int
    private: int
    processes: int

    def megabytes(self) -> dict[str, float]:
        """Return the figures as reports show them."""
        return {
            "pss_mb": round(self.proportional / 1e6, 1),
            "uss_mb": round(self.private / 1e6, 1),
            "processes": self.processes,
        }


@dataclass
class Running:
    """A server's process tree; a context manager that starts and ends it."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    process: subprocess.Popen[bytes] | None = None
    _log: IO[bytes] | None = None
    _births: dict[int, str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._log = self.log.open("wb")
        self.process = subprocess.Popen(  # noqa: S603 - our own words, no shell
            self.command,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=self.folder,
            env={**os.environ, **self.environment},
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.dismiss()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(GRACE)
            for pid, birth in (self._births | self._alive()).items():
                with suppress(OSError, IndexError):
                    if _fields(pid)[BIRTH] == birth:
                        os.kill(pid, signal.SIGKILL)
            self.process.wait(GRACE)
        if self._log is not None:
            self._log.close()

    @property
    def log(self) -> Path:
        """Return the file of what the server says."""
        folder = CACHE / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{self.name}.log"

    def dismiss(self) -> None:
        """Ask the server to end without waiting for it, so that several end at once."""
        if self.process is not None:
            self._births |= self._alive()
            self._signal(signal.SIGCONT)
            self.process.terminate()

    def halt(self) -> None:
        """Stop every process of the tree where it is."""
        self._signal(signal.SIGSTOP)

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Let a halted tree go on for the length of the block."""
        self._signal(signal.SIGCONT)
        try:
            yield
        finally:
            self.halt()

    def _signal(self, number: int) -> None:
        for pid in self.pids():
            with suppress(OSError):
                os.kill(pid, number)

    def _alive(self) -> dict[int, str]:
        """Return the tree's processes with the moment of their birth, so that no later namesake is killed."""
        found = {}
        for pid in self.pids():
            with suppress(OSError, IndexError):
                found[pid] = _fields(pid)[BIRTH]
        return found

    def alive(self) -> None:
        """Raise when the server has ended, with its last words."""
        if self.process is None or self.process.poll() is None:
            return
        lines = self.log.read_text(errors="replace").strip().splitlines()
        raise LoadError(
            f"ended with {self.process.returncode}: {lines[-1][:200] if lines else 'without a word'}"
        )

    def pids(self) -> list[int]:
        """Return the living processes of the tree, and of the session, which orphans keep."""
        if self.process is None:
            return []
        children: dict[int, list[int]] = {}
        found = []
        for pid in _everyone():
            with suppress(OSError, IndexError):
                fields = _fields(pid)
                children.setdefault(int(fields[PARENT]), []).append(pid)
                if int(fields[SESSION]) == self.process.pid:
                    found.append(pid)
        for pid in found:
            found.extend(child for child in children.get(pid, ()) if child not in found)
        return found

    def cpu(self) -> float:
        """Return processor seconds that the tree has used, ended and awaited children included."""
        used = 0
        for pid in self.pids():
            with suppress(OSError, IndexError):
                used += sum(map(int, _fields(pid)[TIMES]))
        return used / TICKS

    def memory(self) -> Memory:
        """Return the memory of the whole tree."""
        proportional = private = processes = 0
        for pid in self.pids():
            with suppress(OSError):
                parts = memory_of(pid)
                proportional, private = proportional + parts[0], private + parts[1]
                processes += 1
        return Memory(proportional, private, processes)


def memory_of(pid: int) -> tuple[int, int]:
    """Return a process's proportional and private bytes."""
    kilobytes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value = line.split()[:2]
        kilobytes[name.rstrip(":")] = int(value)
    return kilobytes["Pss"] * 1024, (kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]) * 1024


def idle_share(servers: Sequence[Running], seconds: float) -> dict[str, float]:
    """Return each server's use of one core while nobody asks it anything."""
    before = [server.cpu() for server in servers]
    time.sleep(seconds)
    return {
        server.name: round((server.cpu() - used) / seconds, 3)
        for server, used in zip(servers, before, strict=True)
    }


def _everyone() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _fields(pid: int) -> list[str]:
    """Return the fields of a process's status line from its state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()

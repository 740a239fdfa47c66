"""A child process of the supervisor: started, told to go on, listened to, ended.

Rule: a child waits for one line on its standard input before it opens the data folder, and says on its
standard output how far it is. What clients keep in the environment, their keys among it, is not handed on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from sagestead.service import lifeline

log = logging.getLogger(__name__)

CLIENTS_OWN = ("AWS_", "SAGEMAKER_", "SAGESTEAD_")
"""Beginnings of the names of clients' variables."""


@dataclass(slots=True)
class Child:
    """A child process and how often it had to be replaced lately."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    failures: int = 0
    ready: bool = False

    def spawn(self, end_of_service: int) -> None:
        """Start it, instead of its predecessor if it had one; `end_of_service`: see `lifeline.py`."""
        self.close()
        own = {name: value for name, value in os.environ.items() if not name.startswith(CLIENTS_OWN)}
        self.process = subprocess.Popen(  # noqa: S603 - our own modules
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # what is waited for with a selector must not be read ahead
            env={**own, lifeline.VARIABLE: str(end_of_service)},
            pass_fds=[end_of_service],
            start_new_session=True,
        )
        self.started_at = time.monotonic()
        self.ready = False

    @property
    def lives(self) -> bool:
        """True while its process has not ended."""
        return self.process is not None and self.process.poll() is None

    @property
    def code(self) -> int | None:
        """How its process ended; None while it lives."""
        return None if self.process is None else self.process.poll()

    @property
    def output(self) -> IO[bytes]:
        """What it says."""
        assert self.process is not None  # noqa: S101 - it was spawned
        assert self.process.stdout is not None  # noqa: S101 - a pipe, as asked for
        return self.process.stdout

    def tell(self, line: bytes) -> None:
        """Let it go on; it gets no further word."""
        if self.process is not None and self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.write(line)
                self.process.stdin.flush()
            self.hang_up()

    def close(self) -> None:
        """Let go of the pipes."""
        self.hang_up()
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()

    def hang_up(self) -> None:
        """Say that no word will come."""
        if self.process is not None and self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
            self.process.stdin = None


def end_all(children: Sequence[Child], limit: float) -> None:
    """Ask children to end, and kill those that have not after `limit` seconds."""
    living = [child.process for child in children if child.process is not None and child.lives]
    for process in living:
        process.send_signal(signal.SIGTERM)
    for child in children:
        child.hang_up()
    deadline = time.monotonic() + limit
    for process in living:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("process %s did not end in time and is killed", process.pid)
            process.kill()
            process.wait()
    for child in children:
        child.close()

"""The engine's end of the zygote: start it, ask it for processes, start another when it is gone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from sagestead.worker.run_folder import RunFolder
from sagestead.worker.surroundings import LIFELINE, installers

START_SECONDS = 60.0
RESTART_SECONDS = 1.0
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "XDG_CACHE_HOME", "PYTHONPATH", "VIRTUAL_ENV")

# Libraries that would start threads when they are imported, which a fork would lose: BLAS and Arrow's
# allocator. Workers are told their own number of threads.
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "PYTHONUTF8": "1",
}


class ZygoteLost(Exception):  # noqa: N818 - an event
    """The zygote ended before it answered."""


class Nursery:
    """One zygote at a time. Not for several threads at once: the engine calls it under its mutex.

    Args:
        kind: which libraries the zygote has loaded (`zygote.PRELOADED`).
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._started = 0.0

    @property
    def process_id(self) -> int | None:
        """The zygote's process id."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start a zygote; returns before it has loaded its libraries."""
        ours, theirs = socket.socketpair()
        ours.settimeout(START_SECONDS)
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        environment |= installers(os.environ) | _ENVIRONMENT
        passed = [theirs.fileno()]
        if lifeline := os.environ.get(LIFELINE):
            environment[LIFELINE] = lifeline
            passed.append(int(lifeline))
        module = "sagestead.engines.process.zygote"
        command = [sys.executable, "-P", "-m", module, str(theirs.fileno()), self._kind]
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=environment,
            cwd="/",
            pass_fds=passed,
            start_new_session=True,
        )
        theirs.close()
        self._socket = ours
        self._started = time.monotonic()

    def needs_another(self) -> bool:
        """True when the zygote has ended by itself; one that cannot live is replaced once a second only."""
        if self._process is None or self._process.poll() is None:
            return False
        return time.monotonic() - self._started >= RESTART_SECONDS

    def fork(self, run: RunFolder, address: Path, notices: Path, lock: int) -> int:
        """Start the process of a run, which keeps the held `lock`; returns its id.

        Raises:
            ZygoteLost: it is not known whether the process was started; its lock tells.
        """
        if self._socket is None:
            raise ZygoteLost
        order = {"folder": str(run.path), "address": str(address), "notices": str(notices)}
        try:
            socket.send_fds(self._socket, [json.dumps(order).encode()], [lock])
            answer = self._socket.recv(4096)
        except OSError as error:
            raise ZygoteLost from error
        if not answer:
            raise ZygoteLost
        return int(json.loads(answer)["process_id"])

    def close(self) -> None:
        """Hang up, so that the zygote ends; its workers go on."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

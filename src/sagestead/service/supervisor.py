"""The supervisor: owns the data folder, starts the children, replaces the dead, drains and ends them.

Rule: one supervisor a data folder (an advisory lock says so); whatever way it ends, its children end with it
(`lifeline.py`). All children begin to load at once; the front doors open the data folder when control has
prepared it. Nothing heavy is imported here: what the supervisor loads, a start waits for.
"""

from __future__ import annotations

import fcntl
import logging
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from types import FrameType

from sagestead.service.child import Child, end_all
from sagestead.service.renewal import Renewal, Unusable
from sagestead.settings import Server, Settings

log = logging.getLogger(__name__)

START_LIMIT = 30.0
RESTART_PAUSES = (0.0, 0.5, 1.0, 2.0, 5.0)
HEALTHY_AFTER = 30.0


class CannotStart(Exception):  # noqa: N818 - it says why, in one sentence for the terminal
    """The service cannot start; the text is one sentence with the remedy."""


class Supervisor:
    """One service on one data folder."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.children: list[Child] = []
        self.stopping = False
        self._renewal = Renewal(settings)
        self._lock: int | None = None
        self._lifeline: tuple[int, int] | None = None
        self._reserved: socket.socket | None = None
        self._wake = socket.socketpair()

    # -- before anything runs

    def listen(self) -> None:
        """Hear SIGTERM, SIGINT and the ends of children from now on, also while starting."""
        for end in self._wake:
            end.setblocking(False)  # noqa: FBT003 - the signature is socket's
        signal.set_wakeup_fd(self._wake[1].fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        signal.signal(signal.SIGCHLD, _ignore)

    def prepare(self) -> None:
        """Take the data folder and reserve the port.

        Raises:
            CannotStart: another instance uses the folder, the folder cannot be written, the port is taken,
                the certificate cannot be used.
        """
        self._take_folder()
        self.settings.folder.server.unlink(missing_ok=True)  # of a server that did not end in order
        self._check_certificate()
        self._reserve_port()

    def _take_folder(self) -> None:
        folder = self.settings.folder
        try:
            folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(folder.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CannotStart(
                f"The data folder {folder.root} cannot be used ({error.strerror}); name another with --data."
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            running = Server.read(folder)
            where = f" at {running.url} (process {running.pid})" if running else ""
            raise CannotStart(
                f"Another Sagestead uses the data folder {folder.root}{where}; "
                "stop it with 'sagestead down', or name another folder with --data."
            ) from None

    def _check_certificate(self) -> None:
        if self.settings.tls_cert is None:
            return
        from sagestead.service.tls import tls_context  # noqa: PLC0415 - starts without TLS are quicker

        try:
            self._renewal.prepare(time.time())
            tls_context(self.settings)
        except Unusable as reason:
            raise CannotStart(str(reason)) from reason
        except OSError as error:
            raise CannotStart(
                f"Certificate {self.settings.tls_cert} and key {self.settings.tls_key} cannot be used "
                f"({error.strerror or error}); both must be PEM files that belong together."
            ) from error

    def _reserve_port(self) -> None:
        """Hold the address without listening, so that the children can share it and nobody else takes it."""
        family = socket.AF_INET6 if ":" in self.settings.host else socket.AF_INET
        address = (self.settings.host, self.settings.port)
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
            self._reserved = socket.socket(family)
            self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._reserved.bind(address)
        except (OSError, OverflowError) as error:
            raise CannotStart(
                f"Cannot listen on {address[0]} port {address[1]} ({error}); "
                "choose another with --port or --host."
            ) from error
        self.settings = replace(self.settings, port=self._reserved.getsockname()[1])

    # -- running

    def start(self) -> bool:
        """Start the children and wait until all are ready; False when asked to stop meanwhile.

        Raises:
            CannotStart: a child ended or was not ready in time.
        """
        self._lifeline = os.pipe()
        handed = self.settings.to_json()
        self.children = [Child("control", [sys.executable, "-m", "sagestead.service.control", handed])]
        self.children += [
            Child(f"front-{n}", [sys.executable, "-m", "sagestead.service.front", handed, f"front-{n}"])
            for n in range(self.settings.front_doors)
        ]
        control, *doors = self.children
        for child in self.children:
            child.spawn(self._lifeline[0])
        control.tell(b"prepare\n")
        deadline = time.monotonic() + START_LIMIT
        if not self._await(control, b"prepared", deadline):
            return False
        for door in doors:
            door.tell(b"serve\n")
        if not all(self._await(child, b"ready", deadline) for child in self.children):
            return False
        for child in self.children:
            child.ready = True
        settings = self.settings
        server = Server(
            os.getpid(), settings.url, settings.account, settings.region, time.time(), settings.tls_ca
        )
        server.write(settings.folder)
        return True

    def _await(self, child: Child, word: bytes, deadline: float) -> bool:
        """Wait until a child says the word; False when the service is asked to stop."""
        output = child.output
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            selector.register(self._wake[0], selectors.EVENT_READ)
            while not self.stopping:
                ready = [key.fileobj for key, _ in selector.select(max(0.0, deadline - time.monotonic()))]
                if self._wake[0] in ready:
                    self._wake[0].recv(4096)
                if output in ready or not ready:
                    said = output.readline().rstrip(b"\n") if ready else b""
                    self._check_word(child, said, word)
                    return True
        return False

    def _check_word(self, child: Child, said: bytes, wanted: bytes) -> None:
        if said == wanted:
            return
        if said.startswith(b"cannot "):
            raise CannotStart(said.removeprefix(b"cannot ").decode())
        raise CannotStart(
            f"The {child.name} process did not start; its reason is in {self.settings.folder.log}."
        )

    def run(self) -> None:
        """Replace children that end, and a certificate that is about to, until SIGTERM or SIGINT."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake[0], selectors.EVENT_READ)
            while not self.stopping:
                pause = self._replace_dead()
                self._renewal.look(time.time())
                if selector.select(pause):
                    self._wake[0].recv(4096)

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.stopping = True

    def _replace_dead(self) -> float:
        """Start children again that ended; returns the seconds until the next look."""
        assert self._lifeline is not None  # noqa: S101 - set by start
        pause = 5.0
        now = time.monotonic()
        for child in self.children:
            if child.lives:
                continue
            if child.ready:
                log.warning("%s ended with code %s", child.name, child.code)
                child.ready = False
                healthy = now - child.started_at > HEALTHY_AFTER
                child.failures = 0 if healthy else child.failures + 1
            wait = child.started_at + RESTART_PAUSES[min(child.failures, len(RESTART_PAUSES) - 1)] - now
            if wait > 0:
                pause = min(pause, wait)
                continue
            child.spawn(self._lifeline[0])
            child.tell(b"continue\n")
            child.ready = True
        return pause

    def stop(self) -> None:
        """Drain the front doors, then end control; the instances end with the lifeline."""
        limit = self.settings.drain_seconds + 5.0
        end_all([child for child in self.children if child.name != "control"], limit)
        end_all([child for child in self.children if child.name == "control"], 10.0)
        self.settings.folder.server.unlink(missing_ok=True)
        if self._lifeline is not None:
            for number in self._lifeline:
                os.close(number)
            self._lifeline = None

    def close(self) -> None:
        """Let go of the folder and the port."""
        signal.set_wakeup_fd(-1)
        for end in self._wake:
            end.close()
        if self._reserved is not None:
            self._reserved.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _ignore(number: int, frame: FrameType | None) -> None:
    """Be woken by a child's end; the loop looks for itself."""
    del number, frame


def run_service(settings: Settings, ready: Callable[[Settings], None]) -> None:
    """Run the whole service in the foreground; `ready` is called once it answers.

    Raises:
        CannotStart: with the sentence for the terminal.
    """
    supervisor = Supervisor(settings)
    supervisor.listen()
    try:
        supervisor.prepare()
        try:
            if supervisor.start():
                ready(supervisor.settings)
                supervisor.run()
        finally:
            supervisor.stop()
    finally:
        supervisor.close()

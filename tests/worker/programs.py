"""Entry points for runs in tests: small programs that do as their environment says."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xgboost

from sagestead.worker.contract import Answer, Invocation, ModelRefused
from sagestead.worker.layout import Layout


class Echo:
    """Answers what it was asked; the body may ask for something else."""

    def __init__(self, greeting: bytes) -> None:
        self.greeting = greeting

    def invoke(self, invocation: Invocation) -> Answer:  # noqa: C901 - a line for each wish
        body = invocation.body
        if body == b"die":
            os.kill(os.getpid(), signal.SIGKILL)
        if body == b"hang":
            threading.Event().wait()
        if body.startswith(b"wait "):
            threading.Event().wait(float(body[5:]))
        if body.startswith(b"touch "):
            Path(os.fsdecode(body[6:])).touch()
        if body == b"raise":
            raise ValueError("inside the model")
        if body == b"pid":
            return Answer(200, "text/plain", str(os.getpid()).encode())
        if body == b"environment":
            return Answer(200, "text/plain", repr(sorted(os.environ)).encode())
        if body.startswith(b"status "):
            return Answer(int(body[7:]), "text/plain", b"as you wish")
        if body == b"header":
            return Answer(200, "text/plain\r\nX-Evil: 1", b"")
        if body == b"large":
            return Answer(200, "text/plain", bytes(7_000_000))
        return Answer(
            200, invocation.content_type or "none", self.greeting + body, invocation.custom_attributes
        )


class EchoMany(Echo):
    """The same, for several requests at a time."""

    def invoke_many(self, invocations: Sequence[Invocation]) -> list[Answer]:
        return [self.invoke(invocation) for invocation in invocations]


def load(model_dir: Path, image: str, environment: Mapping[str, str]) -> Echo:
    sys.stdout.write(f"loading for {image}\n")
    if "REFUSE" in environment:
        raise ModelRefused(environment["REFUSE"])
    if "BREAK" in environment:
        raise RuntimeError(environment["BREAK"])
    if "LOAD_SECONDS" in environment:
        threading.Event().wait(float(environment["LOAD_SECONDS"]))
    if "DIE" in environment:
        os.kill(os.getpid(), signal.SIGKILL)
    greeting = model_dir / "greeting"
    return Echo(greeting.read_bytes() if greeting.exists() else b"")


def load_many(model_dir: Path, image: str, environment: Mapping[str, str]) -> EchoMany:
    return EchoMany(load(model_dir, image, environment).greeting)


def train(layout: Layout, image: str, threads: int) -> int:
    sys.stdout.write(f"training {image} with {threads} threads\n")
    script = os.environ.get("SCRIPT", "")
    (layout.model / "weights").write_text("1")
    if script == "count threads":
        data = xgboost.DMatrix(np.eye(64), np.arange(64))
        xgboost.train({}, data, 2)
        sys.stdout.write(f"used {len(list(Path('/proc/self/task').iterdir()))} threads\n")
    if script == "fail":
        layout.failure.write_text("no label column")
        return 3
    if script == "raise":
        raise KeyError("objective")
    if script == "exit":
        sys.exit(7)
    if script == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if script in ("stubborn", "endless"):
        (layout.root / "started").touch()
        threading.Event().wait()
    return 0

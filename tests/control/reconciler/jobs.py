"""Entry points for runs in these tests: they do as their environment and their files say."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from sagestead.worker.contract import Answer, Invocation, Model, ModelRefused
from sagestead.worker.layout import Layout


class Echo:
    def __init__(self, greeting: bytes) -> None:
        self._greeting = greeting

    def invoke(self, invocation: Invocation) -> Answer:
        if self._greeting == b"slow":
            threading.Event().wait(0.002)
        return Answer(200, invocation.content_type or "text/plain", self._greeting + invocation.body)


def load(model_dir: Path, image: str, environment: Mapping[str, str]) -> Model:  # noqa: ARG001 - the contract's
    sys.stdout.write(f"loading\tfor {image}\n")
    greeting = model_dir / "greeting"
    text = greeting.read_bytes() if greeting.exists() else b""
    if text == b"refuse":
        raise ModelRefused("Model greeting cannot be loaded: it says refuse.")
    if text == b"crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if text == b"hang":
        sys.stdout.write("waiting for nothing\n")
        threading.Event().wait()
    return Echo(text)


def prepare(
    model_dir: Path,
    image: str,  # noqa: ARG001 - the contract's
    environment: Mapping[str, str],  # noqa: ARG001 - the contract's
    prepared: Path,
) -> None:
    text = (model_dir / "greeting").read_bytes()
    sys.stdout.write("preparing\n")
    (prepared / "greeting").write_bytes(text[: len(text) // 2])
    if text == b"refuse":
        raise ModelRefused("Model greeting cannot be loaded: it says refuse.")
    if text == b"crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if text == b"once" and not Path("met").exists():
        Path("met").touch()
        threading.Event().wait()
    (prepared / "greeting").write_bytes(text)


def train(layout: Layout, image: str, threads: int) -> int:  # noqa: ARG001 - the contract's
    hyperparameters = json.loads((layout.config / "hyperparameters.json").read_text())
    script = hyperparameters.get("script", "")
    for round_ in range(3):
        sys.stdout.write(f"[{round_}]\ttrain-rmse:{0.5 - round_ / 10:.5f}\n")
    (layout.model / "weights").write_text(script)
    (layout.output_data / "report").write_text("seen: " + " ".join(_seen(layout)))
    if layout.checkpoints.exists():
        (layout.checkpoints / "step-1").write_text("1")
    if script.startswith("leave "):
        _leave(script.removeprefix("leave "), layout)
    if script == "fail":
        layout.failure.write_text("ClientError: no label column")
        return 1
    if script == "die":
        sys.stdout.write("out of memory\n")
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    if script == "endless" or (script == "once" and not (layout.root / "seen-before").exists()):
        (layout.root / "seen-before").touch()
        threading.Event().wait()
    return 0


def _leave(what: str, layout: Layout) -> None:
    """Leave something in the model's folder that is no file."""
    odd = layout.model / "odd"
    if what == "link":
        odd.symlink_to("/etc/hostname")
    if what == "pipe":
        os.mkfifo(odd)
    if what == "name":
        (layout.model / os.fsdecode(b"\xff")).write_text("x")
    if what == "folder":
        shutil.rmtree(layout.model)
        layout.model.symlink_to("/etc")
    if what == "nothing":
        shutil.rmtree(layout.model)


def _seen(layout: Layout) -> list[str]:
    data = layout.root / "input" / "data"
    return sorted(path.relative_to(data).as_posix() for path in data.rglob("*") if path.is_file())

"""A model that is a script of the user's (spec: container-contract.md section 6.2).

Rules: the script lives in a process of its own in the enclosure (`inside.py`), or in as many as it is asked
for, each of which answers one request at a time over a socket; one is started anew when it has died, and
killed when it does not answer in time. So a script can spoil its own answers, never the instance.
"""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from sagestead.domain.model_server import fault_of, timeout_of, workers_of
from sagestead.domain.refused_model import ModelRefused
from sagestead.worker.contract import Answer, Invocation
from sagestead.worker.toolkit.arguments import CODE
from sagestead.worker.toolkit.training import unpack_source
from sagestead.worker.toolkit.workshop import Workshop, say

MODEL_CODE = "/opt/ml/model/code"
LOADING_SECONDS = 3600.0
_SIZES = struct.Struct("!II")
_TORN = 1 << 20


def load(workshop: Workshop) -> ScriptModel | ScriptCrew:
    """Start the script and have it load the model.

    Raises:
        ModelRefused: there is no script, its packages cannot be installed, or it could not load the model.
    """
    program = workshop.spec.environment.get("SAGEMAKER_PROGRAM", "")
    if not program:
        raise ModelRefused(
            "The model names no program: set SAGEMAKER_PROGRAM in its Environment "
            "(with the SDK: entry_point)."
        )
    code, seen = _code_of(workshop)
    if not (code / program).is_file():
        raise ModelRefused(f"The program {program} is not in the model's code.")
    workers, timeout = workers_of(workshop.spec.environment), timeout_of(workshop.spec.environment)
    if workers is None or timeout is None:
        raise ModelRefused(fault_of(workshop.spec.environment, runs_program=True) or "")
    workshop.install(code, seen)
    living = Living(workshop)
    models = [ScriptModel(workshop, program, seen, timeout, living) for _ in range(workers)]
    models[0].start()  # alone: it hands /opt/ml over, and may say why none of them can
    if workers == 1:
        return models[0]
    crew = ScriptCrew(models)
    crew.start_others()
    return crew


class Living:
    """The living processes of one script: when one has ended, what it left is swept away, not the others."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._mutex = threading.Lock()
        self._numbers: set[int] = set()

    def start(self, *arguments: Any, **options: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401 - as Workshop.start's
        """Start one of them; the arguments are those of `Workshop.start`."""
        with self._mutex:
            process = self._workshop.start(*arguments, **options)
            self._numbers.add(process.pid)
        return process

    def sweep(self, process: subprocess.Popen[bytes]) -> None:
        """End whatever one that has ended left running."""
        with self._mutex:
            self._numbers.discard(process.pid)
            self._workshop.sweep(self._numbers)


class ScriptModel:
    """The script, as instances and transform jobs ask it (worker/contract.py)."""

    def __init__(self, workshop: Workshop, program: str, seen: str, timeout: float, living: Living) -> None:
        self._workshop = workshop
        self._living = living
        self._program = program
        self._seen = seen
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._timeout = timeout

    def start(self) -> None:
        """Start the script's process and wait until it has loaded the model; raise `ModelRefused` if not."""
        self._end()
        ours, theirs = socket.socketpair()
        variables = {
            "PYTHONPATH": f"{self._seen}:{CODE}",
            "SAGEMAKER_BASE_DIR": "/opt/ml",
            "SM_MODEL_DIR": "/opt/ml/model",
            "SM_FRAMEWORK_MODULE": f"sagemaker_{self._framework}_container.serving:main",
        }
        with theirs:
            self._process = self._living.start(
                [
                    self._workshop.environment.python,
                    "-m",
                    "sagestead_container.inside",
                    str(theirs.fileno()),
                    self._framework,
                    self._program,
                    "/opt/ml/model",
                ],
                variables,
                self._seen,
                pass_fds=[theirs.fileno()],
            )
        self._socket = ours
        ours.settimeout(LOADING_SECONDS)
        try:
            greeting, _ = _receive(ours)
        except OSError as error:
            code = self._end()
            raise ModelRefused(
                f"The script {self._program} ended with code {code} before it had loaded the model."
            ) from error
        if greeting.get("error"):
            self._end()
            raise ModelRefused(f"The script {self._program} could not load the model: {greeting['error']}")
        ours.settimeout(self._timeout)

    def invoke(self, invocation: Invocation) -> Answer:
        """Answer one request."""
        if self._socket is None:
            try:
                self.start()
            except ModelRefused as refused:
                return _failure(f"The script was restarted, but: {refused}")
        header = {
            "content_type": invocation.content_type,
            "accept": invocation.accept,
            "custom_attributes": invocation.custom_attributes,
        }
        assert self._socket is not None  # noqa: S101 - it was just started
        try:
            _send(self._socket, header, invocation.body)
            answer, body = _receive(self._socket)
        except TimeoutError:
            self._end()
            return _failure(f"The script gave no answer in {self._timeout:g} seconds and was ended.")
        except OSError:
            return _failure(f"The script's process ended with code {self._end()} while it answered.")
        return Answer(answer["status"], answer["content_type"], body)

    @property
    def _framework(self) -> str:
        return (self._workshop.spec.runtime or "").partition(":")[0]

    def _end(self) -> int | None:
        """Kill the script's process, if there is one; return its exit code."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is None:
            return None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2)
        self._process.kill()
        code = self._process.wait()
        self._living.sweep(self._process)
        self._process = None
        return code


class ScriptCrew:
    """Several processes of one script, each with the model loaded, which answer at the same time."""

    parallel = True

    def __init__(self, models: Sequence[ScriptModel]) -> None:
        self._models = models
        self._pool = ThreadPoolExecutor(len(models))
        self._idle = SimpleQueue[ScriptModel]()
        for model in models:
            self._idle.put(model)

    def start_others(self) -> None:
        """Start all but the first, at the same time; raise `ModelRefused` if one could not load the model."""
        list(self._pool.map(ScriptModel.start, self._models[1:]))

    def invoke(self, invocation: Invocation) -> Answer:
        """Answer one request, once a process is idle; may be called from several threads at a time."""
        model = self._idle.get()
        try:
            return model.invoke(invocation)
        finally:
            self._idle.put(model)

    def invoke_many(self, invocations: Sequence[Invocation]) -> list[Answer]:
        """Answer requests, in their order, as many at a time as there are processes."""
        return list(self._pool.map(self.invoke, invocations))


def _code_of(workshop: Workshop) -> tuple[Path, str]:
    """Return the folder of the script's code and how it is seen: the model's own, else the source archive."""
    layout = workshop.run.layout
    unpack_source(workshop.run, layout.root / "code")
    if not workshop.run.source.exists() and (layout.model / "code").is_dir():
        return layout.model / "code", MODEL_CODE
    return layout.root / "code", CODE


def _send(connection: socket.socket, header: dict[str, Any], body: bytes) -> None:
    head = json.dumps(header).encode()
    connection.sendall(_SIZES.pack(len(head), len(body)) + head + body)


def _receive(connection: socket.socket) -> tuple[dict[str, Any], bytes]:
    """Return (header, body); raise `OSError` when the script has gone or speaks otherwise."""
    head_size, body_size = _SIZES.unpack(_exactly(connection, _SIZES.size))
    if head_size > _TORN:
        raise ConnectionError("not a header")
    try:
        header = json.loads(_exactly(connection, head_size))
    except ValueError:
        raise ConnectionError("not a header") from None
    return header, _exactly(connection, body_size)


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(min(size - len(parts), 1 << 20))
        if not part:
            raise ConnectionError("the script has gone")
        parts += part
    return bytes(parts)


def _failure(sentence: str) -> Answer:
    say(sentence)
    return Answer(500, "text/plain", sentence.encode())

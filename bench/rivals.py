"""The servers to compare with: how each is started, asked and read."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from install import PEERS, python
from load import Exchange, LoadError, check, wait_until
from model import Forest, Question
from servers import Running, free_port

READY_LIMIT = 120.0
TOLERANCE = 1e-6

Encode = Callable[[Question], tuple[str, bytes]]
Decode = Callable[[bytes], Sequence[float]]


def as_csv(question: Question) -> tuple[str, bytes]:
    """Ask with text/csv."""
    return "text/csv", question.csv


def as_json(question: Question, member: str) -> tuple[str, bytes]:
    """Ask with one JSON member that holds the rows; the cells are written as in the CSV."""
    rows = b",".join(b"[" + line + b"]" for line in question.csv.split(b"\n"))
    return "application/json", b'{"%s":[%s]}' % (member.encode(), rows)


def as_open_inference(question: Question) -> tuple[str, bytes]:
    """Ask with the second inference protocol."""
    cells = question.csv.replace(b"\n", b",")
    shape = b"%d,%d" % question.rows.shape
    words = b'{"inputs":[{"name":"x","shape":[%s],"datatype":"FP32","data":[%s]}]}'
    return "application/json", words % (shape, cells)


def csv_scores(body: bytes) -> list[float]:
    """Read one prediction a line."""
    return [float(line) for line in body.split()]


def json_scores(body: bytes, member: str = "") -> list[float]:
    """Read a JSON list, or the list in a member."""
    value: Any = json.loads(body)
    scores: list[float] = value[member] if member else value
    return scores


def open_inference_scores(body: bytes) -> list[float]:
    """Read the first output's data."""
    scores: list[float] = json.loads(body)["outputs"][0]["data"]
    return scores


@dataclass(frozen=True, slots=True)
class Peer:
    """A server: its environment, its command after `python`, its path, and both directions of a message."""

    environment: str
    label: str
    command: tuple[str, ...]
    path: str
    encode: Encode
    decode: Decode


ROWS = partial(as_json, member="rows")
IN_PREDICTIONS = partial(json_scores, member="predictions")
GUNICORN = (
    "-m",
    "gunicorn",
    "--workers",
    "2",
    "--timeout",
    "0",
    "--bind",
    "127.0.0.1:{port}",
    "aws_like:app",
)
UVICORN = ("-m", "uvicorn", "--host", "127.0.0.1", "--port", "{port}", "--workers", "2", "--no-access-log")
BENTO = ("-m", "bentoml", "serve", "bentoml_app:Forest", "--host", "127.0.0.1", "--port", "{port}")

RIVALS = (
    Peer("aws_like", "gunicorn+Flask as AWS's container", GUNICORN, "/invocations", as_csv, csv_scores),
    Peer("fastapi", "FastAPI+uvicorn", (*UVICORN, "fastapi_app:app"), "/predict", as_csv, csv_scores),
    Peer("litserve", "LitServe", ("litserve_app.py",), "/predict", ROWS, IN_PREDICTIONS),
    Peer("bentoml", "BentoML", BENTO, "/predict", ROWS, json_scores),
    Peer(
        "mlserver",
        "MLServer",
        ("mlserver_app.py",),
        "/v2/models/forest/infer",
        as_open_inference,
        open_inference_scores,
    ),
    Peer("ray", "Ray Serve", ("ray_app.py",), "/", ROWS, json_scores),
    Peer(
        "mlflow",
        "MLflow",
        ("mlflow_app.py",),
        "/invocations",
        partial(as_json, member="inputs"),
        IN_PREDICTIONS,
    ),
    Peer(
        "kserve",
        "KServe",
        ("kserve_app.py",),
        "/v1/models/forest:predict",
        partial(as_json, member="instances"),
        IN_PREDICTIONS,
    ),
)
QUIET = {
    "BENTOML_DO_NOT_TRACK": "True",
    "RAY_USAGE_STATS_ENABLED": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONWARNINGS": "ignore",
}


class Rival(Running):
    """A peer that serves one model on a free loopback port."""

    def __init__(self, peer: Peer, forest: Forest) -> None:
        self.peer, self.port = peer, free_port()
        self.scratch = Path(tempfile.mkdtemp(prefix=f"bench-{peer.environment}-"))
        interpreter = python(peer.environment)
        variables = {
            **QUIET,
            "MODEL": str(forest.file()),
            "PORT": str(self.port),
            "PORT2": str(free_port()),
            "PORT3": str(free_port()),
            "FOLDER": str(self.scratch),
            "BENTOML_HOME": str(self.scratch),
            "PATH": f"{interpreter.parent}:/usr/local/bin:/usr/bin:/bin",
        }
        words = [str(interpreter), *(word.format(port=self.port) for word in peer.command)]
        super().__init__(peer.environment, words, variables, PEERS)

    @property
    def address(self) -> str:
        """Return host and port."""
        return f"127.0.0.1:{self.port}"

    def __exit__(self, *why: object) -> None:
        super().__exit__(*why)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def exchanges(self, asked: Sequence[Question]) -> list[Exchange]:
        """Return requests whose answers must be numerically right."""
        made = []
        for question in asked:
            kind, body = self.peer.encode(question)
            headers = {"Content-Type": kind, "Accept": "*/*"}
            made.append(Exchange(self.peer.path, headers, body, self._near(question)))
        return made

    def wait(self, asked: Sequence[Question]) -> None:
        """Return when the server answers, rightly."""
        sample = self.exchanges(asked[:1])
        last = ""

        def answers() -> bool:
            nonlocal last
            self.alive()
            try:
                return bool(check(self.address, sample))
            except (OSError, LoadError) as error:
                last = str(error)
                return False

        try:
            wait_until(answers, "an answer", READY_LIMIT)
        except LoadError as error:
            raise LoadError(f"{error}; {last}") from error

    def _near(self, question: Question) -> Callable[[bytes], bool]:
        def near(body: bytes) -> bool:
            try:
                scores = np.asarray(self.peer.decode(body), dtype=np.float64).reshape(-1)
            except (ValueError, KeyError, TypeError, IndexError):
                return False
            expected = question.predictions
            return scores.shape == expected.shape and bool(
                np.allclose(scores, expected, rtol=0, atol=TOLERANCE)
            )

        return near

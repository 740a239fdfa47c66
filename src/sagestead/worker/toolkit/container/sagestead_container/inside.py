"""The process that a serving script lives in: `python -m … FD FRAMEWORK PROGRAM MODEL`.

Rules: it loads the model, says so on the socket FD, and answers one request after the other until the socket
closes. A message is two lengths (big-endian, 32 bits), a JSON header and a body.
"""

from __future__ import annotations

import importlib
import inspect
import io
import json
import os
import socket
import struct
import sys
import traceback
from typing import Any, Callable, Dict  # noqa: UP035 - for Python 3.7

import numpy as np

from . import matrices
from .formats import CSV, JSON, LIBSVM, NPY, X_LIBSVM, X_RECORDIO_PROTOBUF, as_list

TEXTS = (JSON, CSV)
MATRICES = (CSV, LIBSVM, X_LIBSVM, X_RECORDIO_PROTOBUF)
FUNCTIONS = ("model_fn", "input_fn", "predict_fn", "output_fn", "transform_fn")
PAGE = (
    "<!doctype html>\n<title>500 Internal Server Error</title>\n<h1>Internal Server Error</h1>\n"
    "<p>The script raised an exception; the instance's log holds it.</p>\n"
)
NO_MODEL_FN = (
    "Please provide a model_fn implementation. See documentation for model_fn at "
    "https://github.com/aws/sagemaker-python-sdk"
)
SIZES = struct.Struct("!II")
Header = Dict[str, Any]  # noqa: UP006 - for Python 3.7


class Unsupported(Exception):  # noqa: N818 - the name reaches clients, as the word for what happened
    """A content type that cannot be read (415) or written (406)."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def main() -> int:
    """Load the model, then answer; returns the exit code."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    framework, program, model_dir = sys.argv[2:5]
    sys.argv = [program]
    try:
        name = program[:-3] if program.endswith(".py") else program  # noqa: FURB188 - for Python 3.7
        script = Script(importlib.import_module(name), framework)
        model = script.load(model_dir)
    except BaseException as error:  # noqa: BLE001 - whatever a script may raise is said to whoever waits
        traceback.print_exc()
        send(connection, {"error": f"{type(error).__name__}: {error}"}, b"")
        return 1
    send(connection, {}, b"")
    while True:
        message = receive(connection)
        if message is None:
            return 0
        status, content_type, answer = respond(script, model, *message)
        send(connection, {"status": status, "content_type": content_type}, answer)


def respond(script: Script, model: object, header: Header, body: bytes) -> tuple[int, str, bytes]:
    """Return (status, content type, body)."""
    try:
        content_type = (header.get("content_type") or JSON).split(";")[0].strip()
        accept = header.get("accept")
        if not accept or "*/*" in accept:
            accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", JSON)
        content = body.decode("utf-8") if content_type in TEXTS else body
        result = script.transform(model, content, content_type, accept)
        wanted, answer = written(result, accept)
    except Unsupported as error:
        traceback.print_exc()
        told = {
            "error": type(error).__name__,
            "error-message": str(error),
            "stack-trace": traceback.format_exc(),
        }
        return error.status, JSON, json.dumps(told).encode()
    except Exception:  # noqa: BLE001 - a script's defect is an answer
        traceback.print_exc()
        return 500, "text/html", PAGE.encode()
    return getattr(result, "status_code", 200), wanted, answer


def written(result: Any, accept: str) -> tuple[str, bytes]:  # noqa: ANN401 - whatever a script returns
    """Return (content type, body) of what a script's last function gave."""
    if hasattr(result, "get_data") and hasattr(result, "mimetype"):
        return result.mimetype, result.get_data()
    if isinstance(result, tuple):
        result, accept = result[0], result[1]
    if isinstance(result, (bytes, bytearray, memoryview)):
        return accept, bytes(result)
    return accept, str(result).encode("utf-8")


class Script:
    """The functions of a script, with the framework's defaults where it has none."""

    def __init__(self, module: object, framework: str) -> None:
        own = {name: getattr(module, name, None) for name in FUNCTIONS}
        mixed = [name for name in ("input_fn", "predict_fn", "output_fn") if own[name]]
        if own["transform_fn"] and mixed:
            raise ValueError(f"Cannot use transform_fn implementation with {', '.join(mixed)}")
        defaults = XGBOOST if framework == "xgboost" else SKLEARN
        self.functions = {name: own[name] or defaults.get(name) for name in FUNCTIONS}
        self.context = Context()

    def load(self, model_dir: str) -> object:
        """Return what model_fn makes of the model."""
        self.context.system_properties["model_dir"] = model_dir
        return self.call("model_fn", model_dir)

    def transform(self, model: object, content: str | bytes, content_type: str, accept: str) -> object:
        """Return what the script makes of a request."""
        if self.functions["transform_fn"]:
            return self.call("transform_fn", model, content, content_type, accept)
        data = self.call("input_fn", content, content_type)
        prediction = self.call("predict_fn", data, model)
        return self.call("output_fn", prediction, accept)

    def call(self, name: str, *arguments: object) -> object:
        """Call a function, with a context when it takes one argument more."""
        function = self.functions[name]
        if function is None:
            raise NotImplementedError(NO_MODEL_FN)
        if takes(function) == len(arguments) + 1:
            return function(*arguments, self.context)
        return function(*arguments)


class Context:
    """What a function that asks for a context gets."""

    def __init__(self) -> None:
        self.system_properties: dict[str, str | None] = {"model_dir": None, "gpu_id": None}


def takes(function: Callable[..., object]) -> int:
    """Return how many positional arguments a function needs; -1 when that cannot be known."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return -1
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(1 for one in parameters if one.kind in kinds and one.default is inspect.Parameter.empty)


def decode_array(content: Any, content_type: str) -> Any:  # noqa: ANN401 - text or bytes; an array of any type
    """Read JSON, CSV or NPY; a CSV of one row or one column becomes one-dimensional."""
    if content_type == NPY:
        return np.load(io.BytesIO(content), allow_pickle=False)
    if content_type == JSON:
        return np.array(json.loads(content))
    if content_type == CSV:
        return np.genfromtxt(io.StringIO(content), delimiter=",")
    raise Unsupported(415, f"Content type {content_type} is not supported by this framework.")


def encode_array(prediction: object, accept: str) -> tuple[str | bytes, str]:
    """Write JSON, CSV or NPY, whichever is accepted first; returns (body, content type)."""
    for wanted in [part.split(";")[0].strip() for part in accept.split(",")]:
        if wanted == JSON:
            return json.dumps(prediction, default=as_list), wanted
        if wanted == CSV:
            out = io.StringIO()
            np.savetxt(out, np.asarray(prediction), delimiter=",", fmt="%s")
            return out.getvalue(), wanted
        if wanted == NPY:
            buffer = io.BytesIO()
            np.save(buffer, np.asarray(prediction), allow_pickle=False)
            return buffer.getvalue(), wanted
    raise Unsupported(406, f"Accept type {accept} is not supported by this framework.")


def sklearn_input(content: str | bytes, content_type: str) -> object:
    """Return an array; of 32-bit floats when it was text."""
    array = decode_array(content, content_type)
    return array.astype(np.float32) if content_type in TEXTS else array


def sklearn_predict(data: object, model: Any) -> object:  # noqa: ANN401 - whatever model_fn returned
    """Return what the model predicts."""
    return model.predict(data)


def xgboost_input(content: Any, content_type: str) -> object:  # noqa: ANN401 - text or bytes
    """Return a DMatrix."""
    if content_type not in MATRICES:
        raise Unsupported(
            415, f"Content type {content_type} is not supported; give one of {', '.join(MATRICES)}."
        )
    return matrices.decode(content, content_type)


def xgboost_predict(data: object, model: Any) -> object:  # noqa: ANN401 - whatever model_fn returned
    """Return what the model predicts, whatever its features are called."""
    return model.predict(data, validate_features=False)


Defaults = Dict[str, Callable[..., Any]]  # noqa: UP006 - for Python 3.7
SKLEARN: Defaults = {"input_fn": sklearn_input, "predict_fn": sklearn_predict, "output_fn": encode_array}
XGBOOST: Defaults = {"input_fn": xgboost_input, "predict_fn": xgboost_predict, "output_fn": encode_array}


def send(connection: socket.socket, header: Header, body: bytes) -> None:
    """Send a message."""
    head = json.dumps(header).encode()
    connection.sendall(SIZES.pack(len(head), len(body)) + head + body)


def receive(connection: socket.socket) -> tuple[Header, bytes] | None:
    """Return (header, body); None when nobody asks any more."""
    sizes = exactly(connection, SIZES.size)
    if sizes is None:
        return None
    head_size, body_size = SIZES.unpack(sizes)
    header, body = exactly(connection, head_size), exactly(connection, body_size)
    return None if header is None or body is None else (json.loads(header), body)


def exactly(connection: socket.socket, size: int) -> bytes | None:
    """Return so many bytes; None when the other end has gone."""
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(min(size - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)


if __name__ == "__main__":
    sys.exit(main())

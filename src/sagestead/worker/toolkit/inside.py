"""The process that a serving script lives in: run by its text, as `python -c TEXT FD FRAMEWORK PROGRAM MODEL`.

Rules: any Python from 3.7 on, and nothing but its standard library and what the runtime holds; it is not
imported by anything of ours. It loads the model, says so on the socket FD, and answers one request after the
other until the socket closes. A message is two lengths (big-endian, 32 bits), a JSON header and a body.
"""

import csv
import importlib
import inspect
import io
import json
import os
import socket
import struct
import sys
import tempfile
import traceback

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
LIBSVM = ("text/libsvm", "text/x-libsvm")
TEXTS = (JSON, CSV)
PAGE = (
    "<!doctype html>\n<title>500 Internal Server Error</title>\n<h1>Internal Server Error</h1>\n"
    "<p>The script raised an exception; the instance's log holds it.</p>\n"
)
SIZES = struct.Struct("!II")


class Unsupported(Exception):
    """A content type that cannot be read (415) or written (406)."""

    def __init__(self, status, sentence):
        super().__init__(sentence)
        self.status = status


def main():
    connection = socket.socket(fileno=int(sys.argv[1]))
    framework, program, model_dir = sys.argv[2:5]
    sys.argv = [program]
    try:
        script = Script(importlib.import_module(program.removesuffix(".py")), framework)
        model = script.load(model_dir)
    except BaseException as error:
        traceback.print_exc()
        send(connection, {"error": "%s: %s" % (type(error).__name__, error)}, b"")
        return 1
    send(connection, {}, b"")
    while True:
        message = receive(connection)
        if message is None:
            return 0
        header, body = message
        status, content_type, answer = respond(script, model, header, body)
        send(connection, {"status": status, "content_type": content_type}, answer)


def respond(script, model, header, body):
    """Return (status, content type, body)."""
    try:
        content_type = (header.get("content_type") or JSON).split(";")[0].strip()
        accept = header.get("accept")
        if not accept or "*/*" in accept:
            accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", JSON)
        content = body.decode("utf-8") if content_type in TEXTS else body
        return (200,) + written(script.transform(model, content, content_type, accept), accept)
    except Unsupported as error:
        traceback.print_exc()
        told = {
            "error": type(error).__name__,
            "error-message": str(error),
            "stack-trace": traceback.format_exc(),
        }
        return error.status, JSON, json.dumps(told).encode()
    except Exception:
        traceback.print_exc()
        return 500, "text/html", PAGE.encode()


def written(result, accept):
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

    def __init__(self, module, framework):
        own = {name: getattr(module, name, None) for name in FUNCTIONS}
        mixed = [name for name in ("input_fn", "predict_fn", "output_fn") if own[name]]
        if own["transform_fn"] and mixed:
            raise ValueError("Cannot use transform_fn implementation with %s" % ", ".join(mixed))
        defaults = XGBOOST if framework == "xgboost" else SKLEARN
        self.functions = {name: own[name] or defaults.get(name) for name in FUNCTIONS}
        self.context = Context()

    def load(self, model_dir):
        if self.functions["model_fn"] is None:
            raise NotImplementedError(
                "Please provide a model_fn implementation. See documentation for model_fn at "
                "https://github.com/aws/sagemaker-python-sdk"
            )
        self.context.system_properties["model_dir"] = model_dir
        return self.call("model_fn", model_dir)

    def transform(self, model, content, content_type, accept):
        if self.functions["transform_fn"]:
            return self.call("transform_fn", model, content, content_type, accept)
        data = self.call("input_fn", content, content_type)
        prediction = self.call("predict_fn", data, model)
        return self.call("output_fn", prediction, accept)

    def call(self, name, *arguments):
        """Call a function, with a context when it takes one argument more."""
        function = self.functions[name]
        if takes(function) == len(arguments) + 1:
            arguments += (self.context,)
        return function(*arguments)


class Context:
    """What a function that asks for a context gets."""

    def __init__(self):
        self.system_properties = {"model_dir": None, "gpu_id": None}


FUNCTIONS = ("model_fn", "input_fn", "predict_fn", "output_fn", "transform_fn")


def takes(function):
    """Return how many positional arguments a function needs; -1 when that cannot be known."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return -1
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(1 for one in parameters if one.kind in kinds and one.default is inspect.Parameter.empty)


def decode_array(content, content_type):
    """Read JSON, CSV or NPY; a CSV of one row or one column becomes one-dimensional."""
    import numpy

    if content_type == NPY:
        return numpy.load(io.BytesIO(content), allow_pickle=False)
    if content_type == JSON:
        return numpy.array(json.loads(content))
    if content_type == CSV:
        return numpy.genfromtxt(io.StringIO(content), delimiter=",")
    raise Unsupported(415, "Content type %s is not supported by this framework." % content_type)


def encode_array(prediction, accept):
    """Write JSON, CSV or NPY; returns (body, content type)."""
    import numpy

    for wanted in [part.split(";")[0].strip() for part in accept.split(",")]:
        if wanted == JSON:
            return json.dumps(prediction, default=as_list), wanted
        if wanted == CSV:
            out = io.StringIO()
            numpy.savetxt(out, numpy.asarray(prediction), delimiter=",", fmt="%s")
            return out.getvalue(), wanted
        if wanted == NPY:
            buffer = io.BytesIO()
            numpy.save(buffer, numpy.asarray(prediction), allow_pickle=False)
            return buffer.getvalue(), wanted
    raise Unsupported(406, "Accept type %s is not supported by this framework." % accept)


def as_list(value):
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError("%s cannot be written as JSON" % type(value).__name__)


def sklearn_input(content, content_type):
    import numpy

    array = decode_array(content, content_type)
    return array.astype(numpy.float32) if content_type in TEXTS else array


def sklearn_predict(data, model):
    return model.predict(data)


def xgboost_input(content, content_type):
    if content_type == CSV:
        return matrix_of_csv(content)
    if content_type in LIBSVM:
        return matrix_of_libsvm(content)
    raise Unsupported(415, "Content type %s is not supported; give text/csv or text/libsvm." % content_type)


def matrix_of_csv(content):
    import numpy
    import xgboost

    rows = [line for line in content.strip().split("\n") if line]
    delimiter = csv.Sniffer().sniff(rows[0][:512]).delimiter if rows and "," not in rows[0] else ","
    delimiter = "," if delimiter.isalnum() or delimiter in "+-." else delimiter
    values = [[float(cell.strip().strip("\"'") or "nan") for cell in row.split(delimiter)] for row in rows]
    return xgboost.DMatrix(numpy.array(values))


def matrix_of_libsvm(content):
    import xgboost

    with tempfile.NamedTemporaryFile("wb", suffix=".libsvm") as file:
        file.write(content if isinstance(content, bytes) else content.encode("utf-8"))
        file.flush()
        release = tuple(int(part) for part in xgboost.__version__.split(".")[:2])
        return xgboost.DMatrix(file.name + ("?format=libsvm" if release >= (1, 6) else ""))


def xgboost_predict(data, model):
    return model.predict(data, validate_features=False)


SKLEARN = {"input_fn": sklearn_input, "predict_fn": sklearn_predict, "output_fn": encode_array}
XGBOOST = {"input_fn": xgboost_input, "predict_fn": xgboost_predict, "output_fn": encode_array}


def send(connection, header, body):
    head = json.dumps(header).encode()
    connection.sendall(SIZES.pack(len(head), len(body)) + head + body)


def receive(connection):
    """Return (header, body); None when nobody asks any more."""
    sizes = exactly(connection, SIZES.size)
    if sizes is None:
        return None
    head_size, body_size = SIZES.unpack(sizes)
    return json.loads(exactly(connection, head_size)), exactly(connection, body_size)


def exactly(connection, size):
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(min(size - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)


if __name__ == "__main__":
    sys.exit(main())

"""Cost of passing requests to an instance, on both sides of its socket. Prints JSON.

python bench/frames.py [--requests 40000]

Microseconds of processor time a request, user and system, the best of five runs, at 1 and 64 outstanding: of
trivial models, and of the benchmarks' model, whose scoring is in the figures of the instance.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop
from model import SMALL, questions
from ours import IMAGE

from sagestead.algorithms.xgboost.serving import load
from sagestead.forest import compiling
from sagestead.serving.worker_host import WorkerHost
from sagestead.worker.contract import Answer, Invocation, Model
from sagestead.worker.serve import InstanceServer

BODY = b"0.5," * 50
ANSWER = BODY[:8]
OUTSTANDING = (1, 64)
REPEATS = 5


class OneByOne:
    """A model of user code: one request at a time."""

    def invoke(self, invocation: Invocation) -> Answer:
        """Answer what was asked."""
        return Answer(200, "text/csv; charset=utf-8", invocation.body[: len(ANSWER)])


class Together(OneByOne):
    """A model that takes several requests at a time."""

    def invoke_many(self, invocations: Sequence[Invocation]) -> list[Answer]:
        """Answer what was asked."""
        return [self.invoke(invocation) for invocation in invocations]


def instance(model: Model, address: Path) -> int:
    """Start an instance in a process of its own; return its process id once it listens."""
    ready, tell = os.pipe()
    process = os.fork()
    if process == 0:
        server = InstanceServer(model, address)
        signal.signal(signal.SIGTERM, lambda _number, _frame: server.stop())
        os.write(tell, b"\0")
        server.serve()
        os._exit(0)
    os.read(ready, 1)
    return process


def processor_seconds(process: int) -> float:
    """Return what a process has used so far; ticks of 10 ms."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def ask(host: WorkerHost, asked: tuple[bytes, bytes], count: int, outstanding: int) -> None:
    """Put `count` requests (body, right answer) to the instance, so many at a time."""
    loop = asyncio.get_running_loop()
    finished = loop.create_future()
    left, wanted = count, count
    body, right = asked
    invocation = Invocation(body, "text/csv", "text/csv")

    def answered(future: asyncio.Future[Answer]) -> None:
        nonlocal left, wanted
        left -= 1
        if future.result().body != right:
            raise ValueError(future.result())
        if left == 0:
            finished.set_result(None)
        elif wanted:
            wanted -= 1
            host.begin(invocation).add_done_callback(answered)

    for _ in range(outstanding):
        wanted -= 1
        host.begin(invocation).add_done_callback(answered)
    await finished


def scoring() -> tuple[Model, tuple[bytes, bytes]]:
    """Return the model of the benchmarks, and a row with its prediction."""
    if compiling.load() is None:
        raise SystemExit("Numba is not installed, so there is nothing to measure.")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "xgboost-model").write_bytes(SMALL.file().read_bytes())
        model = load(Path(folder), IMAGE, {})
    (question,) = questions(SMALL, 1, 1)
    return model, (question.csv, question.answer)


def measured(model: Model, asked: tuple[bytes, bytes], outstanding: int, count: int) -> dict[str, float]:
    """Return microseconds a request of both sides, and how many were answered a second."""
    with tempfile.TemporaryDirectory() as folder:
        address = Path(folder) / "s"
        process = instance(model, address)

        async def run() -> dict[str, float]:
            host = WorkerHost(str(address))
            await ask(host, asked, 100, 1)
            front, worker, wall = time.process_time(), processor_seconds(process), time.perf_counter()
            await ask(host, asked, count, outstanding)
            figures = {
                "front_us": (time.process_time() - front) / count * 1e6,
                "worker_us": (processor_seconds(process) - worker) / count * 1e6,
                "requests_a_second": count / (time.perf_counter() - wall),
            }
            host.retire()
            return figures

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            figures = runner.run(run())
        os.kill(process, signal.SIGTERM)
        os.waitpid(process, 0)
        return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=40_000, help="of each run (default 40,000)")
    count = parser.parse_args().requests
    report = {}
    trivial = (BODY, ANSWER)
    for model, asked in ((OneByOne(), trivial), (Together(), trivial), scoring()):
        for outstanding in OUTSTANDING:
            runs = [measured(model, asked, outstanding, count) for _ in range(REPEATS)]
            best = {name: min(run[name] for run in runs) for name in ("front_us", "worker_us")}
            best["requests_a_second"] = max(run["requests_a_second"] for run in runs)
            rounded = {name: round(value, 1) for name, value in best.items()}
            report[f"{type(model).__name__} with {outstanding} outstanding"] = rounded
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()

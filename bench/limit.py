"""What this machine allows: the yardstick of `invoke.py`. Prints a table, and JSON on request.

python bench/limit.py [--seconds 2] [--json FILE]

nginx's `return 200` and a bare uvloop server answer one-row requests as `invoke.py` sends them, without
looking at them, with as many processes as there are cores; the bare kernel scores rows in memory by one
thread and by one a core. No server that verifies, parses, scores and prints can be faster than the least.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from load import Exchange, LoadError, check, find_wrk, load, wait_until
from machine import machine
from model import COLUMNS, LARGE, SMALL, Floats, Forest, questions
from report import Figures, Sample, figures
from servers import Running, end_in_order, free_port

from sagestead.forest import compiling
from sagestead.forest.files import read
from sagestead.forest.scoring import Scorer

CONNECTIONS = (1, 8, 64)
CORES = len(os.sched_getaffinity(0))
CHUNK = 2_000
READY_LIMIT = 10.0
SIGNATURE = (
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/sagemaker/aws4_request, "
    f"SignedHeaders=accept;content-type;host;x-amz-date, Signature={'0' * 64}"
)
NGINX = """
daemon off; worker_processes {cores}; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; client_body_temp_path {folder}/bodies;
  proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port} reuseport; location / {{ return 200 "0.43861907720565796\\n"; }} }}
}}
"""


def one_row() -> list[Exchange]:
    """Return requests of the size of a signed one-row invocation."""
    headers = {
        "Content-Type": "text/csv",
        "Accept": "text/csv",
        "X-Amz-Date": "20260101T000000Z",
        "Authorization": SIGNATURE,
    }
    path = "/endpoints/m100/invocations"
    return [Exchange(path, headers, asked.csv, bool) for asked in questions(SMALL, 1, 256)]


@contextmanager
def nginx(port: int) -> Iterator[Running]:
    """Run nginx with one fixed answer."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise LoadError("nginx is not installed (Debian: apt install nginx-light)")
    with tempfile.TemporaryDirectory(prefix="bench-nginx-") as folder:
        file = Path(folder) / "nginx.conf"
        file.write_text(NGINX.format(cores=CORES, folder=folder, port=port))
        Path(folder).chmod(0o755)
        with Running("nginx", [program, "-e", f"{folder}/errors", "-c", str(file)]) as server:
            yield server


@contextmanager
def echo(port: int) -> Iterator[Running]:
    """Run the bare server."""
    program = str(Path(__file__).with_name("echo.py"))
    with Running("echo", [sys.executable, program, str(port), str(CORES)]) as server:
        yield server


def served(server: Running, port: int, seconds: float) -> dict[str, Figures]:
    """Return a server's figures by the number of connections."""
    address, exchanges = f"127.0.0.1:{port}", one_row()

    def answers() -> bool:
        server.alive()
        try:
            return bool(check(address, exchanges[:1]))
        except OSError:
            return False

    wait_until(answers, server.name, READY_LIMIT)
    found = {}
    for connections in CONNECTIONS:
        before = server.cpu()
        seen = load(address, exchanges, connections, seconds)
        found[str(connections)] = figures([Sample(seen, server.cpu() - before)])
    return found


def kernel(forest: Forest, seconds: float) -> dict[str, float]:
    """Return rows a second of the bare kernel, by one thread and by one a core; and of one row at a time."""
    ensemble = read(forest.file().read_bytes())
    rows = np.random.default_rng(8).normal(size=(CHUNK, COLUMNS)).astype(np.float32)
    return {
        "rows_per_second_1_thread": _rate(ensemble, rows, 1, seconds),
        f"rows_per_second_{CORES}_threads": _rate(ensemble, rows, CORES, seconds),
        "calls_per_second_1_row": _rate(ensemble, rows[:1], 1, seconds),
    }


def _rate(ensemble: Any, rows: Floats, threads: int, seconds: float) -> float:  # noqa: ANN401 - only handed on
    scorers = [Scorer.of(ensemble) for _ in range(threads)]
    for scorer in scorers:
        scorer.score(rows)
    end = time.perf_counter() + seconds

    def work(scorer: Scorer) -> int:
        done = 0
        while time.perf_counter() < end:
            scorer.score(rows)
            done += len(rows)
        return done

    with ThreadPoolExecutor(threads) as pool:
        return round(sum(pool.map(work, scorers)) / seconds)


def compare(report: dict[str, Any], seconds: float) -> None:
    """Measure the servers and print them."""
    titles = ("connections", "requests/s", "p50 ms", "p99 ms")
    print(f"{'one row, nothing done with it':32}" + "".join(f"{title:>13}" for title in titles))
    for name, run in (("nginx return 200", nginx), ("bare uvloop and httptools", echo)):
        port = free_port()
        try:
            with run(port) as server:
                seen = report["servers"][name] = served(server, port, seconds)
        except (LoadError, OSError) as error:
            report["failed"][name] = str(error)
            print(f"{name:32} not measured: {error}")
            continue
        for connections, cell in seen.items():
            milliseconds = f"{cell['p50_us'] / 1e3:>13.3f}{cell['p99_us'] / 1e3:>13.2f}"
            print(f"{name:32}{connections:>13}{cell['requests_per_second']:>13,.0f}{milliseconds}")


def score(report: dict[str, Any], seconds: float) -> None:
    """Measure the kernel and print it."""
    if compiling.load() is None:
        report["failed"]["kernel"] = "Numba is not installed"
        return
    for forest in (SMALL, LARGE):
        seen = report["kernel"][forest.name] = kernel(forest, seconds)
        print(f"kernel, {forest.trees} trees of depth {forest.depth}")
        for what, rate in seen.items():
            print(f"  {what:43}{rate:>13,.0f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="measured a figure (default 2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, too")
    options = parser.parse_args()
    find_wrk()
    end_in_order()
    report: dict[str, Any] = {"machine": machine(), "servers": {}, "failed": {}, "kernel": {}}
    compare(report, options.seconds)
    score(report, options.seconds)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

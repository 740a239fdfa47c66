"""How fast Sagestead starts things, and what idle things cost. Prints a table, and JSON on request.

python bench/start.py [--quick] [--full] [--endpoints N] [--json FILE]

Milliseconds are medians. Memory is that of the whole process tree: PSS, where shared pages are divided among
those who share them, and USS, what would come free. A worker's start is from its fork until it answers, model
loaded. Every endpoint of a crowd has a model of its own. About three minutes; --full adds 1,000 workers,
--endpoints any number of inline endpoints.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from crowd import Crowd, connected_memory, idle_memory
from load import LoadError, find_wrk
from machine import machine
from model import SMALL, questions
from ours import Deployment, Ours, has_option
from servers import end_in_order, memory_of

HOSTINGS: dict[str, tuple[str, ...]] = {"inline": (), "worker": ("--hosting", "worker")}
IDLE, ACTIVE = 1_000, 200

Report = dict[str, Any]


def median_ms(seconds: list[float]) -> float:
    """Return the median in milliseconds."""
    return round(statistics.median(seconds) * 1e3, 1)


def ups(times: int) -> Report:
    """Start the service again and again on new folders."""
    seconds = []
    for _ in range(times):
        with Ours("start") as server:
            seconds.append(server.ready_after)
    return {"median_ms": median_ms(seconds), "worst_ms": round(max(seconds) * 1e3, 1), "starts": times}


def creations(times: int, server: Ours) -> Report:
    """Create endpoints one after another, of models of their own and of one model; look at their workers."""
    deployment = Deployment(server)
    for number in range(times + 1):
        deployment.model(f"{SMALL.name}-{number}", SMALL.another(number))
    first, *own = [created(deployment, f"own-{n}", f"{SMALL.name}-{n}") for n in range(times + 1)]
    same = [created(deployment, f"same-{n}", f"{SMALL.name}-0") for n in range(times)]
    found: Report = {
        "first_ms": round(first * 1e3, 1),
        "median_ms": median_ms(own),
        "worst_ms": round(max(own) * 1e3, 1),
        "same_model_ms": median_ms(same),
        "endpoints": times,
    }
    return found | workers(server)


def created(deployment: Deployment, endpoint: str, model: str) -> float:
    """Create an endpoint; return after how many seconds it was in service."""
    began = time.perf_counter()
    deployment.create(endpoint, model)
    deployment.wait(endpoint)
    return time.perf_counter() - began


def workers(server: Ours) -> Report:
    """Return how long living workers took from their fork until they answered, and what only they hold."""
    starts, private = [], []
    for ready in (server.data / "runs").glob("*/ready.json"):
        lock = ready.with_name("lock")
        starts.append((ready.stat().st_mtime_ns - lock.stat().st_mtime_ns) / 1e9)
        private.append(memory_of(int(lock.read_text()))[1])
    if not starts:
        return {}
    return {
        "worker_start_ms": median_ms(starts),
        "worker_private_mb": round(statistics.median(private) / 1e6, 2),
    }


def crowd(numbers: list[int], server: Ours) -> Report:
    """Return idle memory and creation times at growing numbers of endpoints."""
    everyone = Crowd(Deployment(server))
    found = {}
    for wanted in numbers:
        times = everyone.grow(wanted)
        found[str(wanted)] = times | idle_memory(server)
    return found


def connections(server: Ours) -> Report:
    """Return the front doors' memory with many connections."""
    deployment = Deployment(server)
    deployment.model(SMALL.name, SMALL.file().read_bytes())
    deployment.create(SMALL.name, SMALL.name)
    deployment.wait(SMALL.name)
    asked = server.exchanges(SMALL.name, questions(SMALL, 1, 256))
    return connected_memory(server, asked, IDLE, ACTIVE)


def on_server(name: str, options: tuple[str, ...], work: Callable[[Ours], Report]) -> Report:
    """Run a measurement on a server of its own; a failure is reported in its place."""
    print(f"{name} ...", file=sys.stderr, flush=True)
    try:
        with Ours("start", *options) as server:
            return work(server)
    except (LoadError, OSError, ClientError, BotoCoreError) as error:
        return {"failed": str(error)}


def measure(options: argparse.Namespace) -> Report:
    """Measure everything asked for."""
    few, many = (3, 10) if options.quick else (7, 30)
    numbers = {"inline": [1, 100], "worker": [1, 20 if options.quick else 100]}
    if not options.quick:
        numbers["inline"].append(1_000)
    if options.full:
        numbers["worker"].append(1_000)
    if options.endpoints:
        numbers["inline"] = sorted({*numbers["inline"], options.endpoints})
    found: Report = {"up": ups(few), "create": {}, "crowd": {}}
    hostings = [name for name in HOSTINGS if name == "inline" or has_option("--hosting")]
    for name in hostings:
        found["create"][name] = on_server(f"creating, {name}", HOSTINGS[name], partial(creations, many))
    for name in hostings:
        title = f"{numbers[name][-1]} endpoints, {name}"
        found["crowd"][name] = on_server(title, HOSTINGS[name], partial(crowd, numbers[name]))
    found["connections"] = on_server(f"{IDLE} idle and {ACTIVE} active connections", (), connections)
    return found


def lines(found: Report, depth: int = 0) -> list[str]:
    """Return the report as an indented list, a line for each group of figures."""
    shown = []
    for name, value in found.items():
        if isinstance(value, dict) and any(isinstance(part, dict) for part in value.values()):
            shown += [f"{'  ' * depth}{name}", *lines(value, depth + 1)]
        elif isinstance(value, dict):
            told = ", ".join(f"{part} {figure}" for part, figure in value.items())
            shown.append(f"{'  ' * depth}{name:14}{told}")
        else:
            shown.append(f"{'  ' * depth}{name:14}{value}")
    return shown


def main() -> None:
    """Measure and print."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("--quick", action="store_true", help="fewer of everything: half a minute")
    parser.add_argument("--full", action="store_true", help="1,000 endpoints by workers, too")
    parser.add_argument("--endpoints", type=int, metavar="N", help="so many inline endpoints, too (10000)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, too")
    options = parser.parse_args()
    find_wrk()
    end_in_order()
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))
    report = {"machine": machine()} | measure(options)
    print("\n".join(lines(report)))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

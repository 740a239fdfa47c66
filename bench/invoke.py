"""Invocations: Sagestead against the servers that a user could pick instead, on the same machine in one run.

python bench/invoke.py [--quick] [--json FILE] [--only NAME]...

The same models behind every server, the same rows in every request, every request different, ours signed
anew for every measurement and verified. All servers are up and measured in turn, several times around, so
that noise hits all alike; who is not measured is halted, so that nobody pays for what another does when idle.
Answers are checked before every measurement and twenty times a second under load: ours byte for byte against
XGBoost's own predictions, the others' to six decimals. A server that answers wrongly, or not with a 2xx, gets
no figure. About ten minutes; two with --quick.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from install import PEERS, install_all
from load import Exchange, LoadError, check, find_wrk, load
from machine import machine
from model import LARGE, SMALL, Forest, Question, questions
from ours import Deployment, Ours, has_option
from report import OURS, WORKER, Cell, Figures, Sample, Target, figures, table, targets, verdicts
from rivals import RIVALS, Rival
from servers import Running, end_in_order, idle_share

CHECKED_BEFORE = 8
SECONDS = 1
ROUNDS = 3
LIMIT = 660.0
IDLE_SECONDS = 2.0
FAILURES = (LoadError, OSError, HTTPException, BotoCoreError, ClientError)


@dataclass(frozen=True, slots=True)
class Workload:
    """What one request asks, how many different requests there are, from how many connections they come."""

    name: str
    forest: Forest
    rows: int
    different: int
    connections: tuple[int, ...] = (1, 8, 64)


ONE_ROW = Workload("1 row, 100 trees", SMALL, 1, 256)
FULL = (
    ONE_ROW,
    Workload("10 rows, 100 trees", SMALL, 10, 128),
    Workload("100 rows, 100 trees", SMALL, 100, 64),
    Workload("1 row, 500 trees", LARGE, 1, 256),
)
QUICK = (
    ONE_ROW,
    Workload("10 rows, 100 trees", SMALL, 10, 128, (8,)),
    Workload("100 rows, 100 trees", SMALL, 100, 64, (8,)),
)


@dataclass(frozen=True, slots=True)
class Contender:
    """A server that is up, and how questions are put to it."""

    name: str
    address: str
    server: Running
    ask: Callable[[Sequence[Question]], list[Exchange]]


@dataclass
class Contest:
    """Everything seen so far, of the servers named."""

    names: Sequence[str]
    rounds: int
    samples: dict[Cell, list[Sample]] = field(default_factory=dict)
    failed: dict[Cell, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    about: dict[str, dict[str, Any]] = field(default_factory=dict)
    machine: dict[str, object] = field(default_factory=machine)

    def hold(self, forest: Forest, workloads: Sequence[Workload], limit: float) -> None:
        """Start everybody with one model, measure all in turn while time lasts, end everybody."""
        deadline = time.monotonic() + limit
        asked = {workload: questions(forest, workload.rows, workload.different) for workload in workloads}
        with ExitStack() as stack:
            contenders = self._start(forest, asked[workloads[0]], stack)
            for contender in contenders:
                self._measure(Cell("warm", 8, contender.name), contender, asked[workloads[0]])
            idle = idle_share([contender.server for contender in contenders], IDLE_SECONDS)
            for contender in contenders:
                self.about[contender.name] = {
                    "memory": contender.server.memory().megabytes(),
                    "idle_cores": idle[contender.server.name],
                }
            for contender in contenders:
                contender.server.halt()
            took = 0.0
            for turn in range(self.rounds):
                began = time.monotonic()
                if turn and began + took > deadline:
                    _say("there is no time for another round")
                    break
                _say(f"{forest.name}: round {turn + 1} of {self.rounds}, {len(contenders)} servers")
                self._round(contenders, asked)
                took = time.monotonic() - began
            for contender in contenders:
                contender.server.dismiss()

    def _round(self, contenders: Sequence[Contender], asked: Mapping[Workload, Sequence[Question]]) -> None:
        for workload, some in asked.items():
            for connections in workload.connections:
                for contender in contenders:
                    with contender.server.awake():
                        self._measure(Cell(workload.name, connections, contender.name), contender, some)

    def _start(self, forest: Forest, asked: Sequence[Question], stack: ExitStack) -> list[Contender]:
        wanted = set(self.names) - set(self.absent)
        peers = [peer for peer in RIVALS if peer.environment in wanted]
        rivals = [stack.enter_context(Rival(peer, forest)) for peer in peers]
        contenders = []
        for name, options in ((OURS, ()), (WORKER, ("--hosting", "worker"))):
            if name in wanted:
                try:
                    contenders.append(_deployed(name, stack.enter_context(Ours(name, *options)), forest))
                except FAILURES as error:
                    self.absent[name] = _words(error)
        for rival in rivals:
            _say(f"waiting for {rival.name}")
            try:
                rival.wait(asked)
            except FAILURES as error:
                self.absent[rival.name] = _words(error)
            else:
                contenders.append(Contender(rival.name, rival.address, rival, rival.exchanges))
        return contenders

    def _measure(self, cell: Cell, contender: Contender, asked: Sequence[Question]) -> None:
        if cell in self.failed:
            return
        try:
            contender.server.alive()
            exchanges = contender.ask(asked)
            check(contender.address, exchanges[:CHECKED_BEFORE])
            before = contender.server.cpu()
            seen = load(contender.address, exchanges, cell.connections, SECONDS)
            self.samples.setdefault(cell, []).append(Sample(seen, contender.server.cpu() - before))
        except FAILURES as error:
            self.failed[cell] = _words(error)
            self.samples.pop(cell, None)

    def found(self) -> dict[Cell, Figures]:
        """Return the figures of every cell that did not fail."""
        return {cell: figures(samples) for cell, samples in self.samples.items() if cell.workload != "warm"}


def _deployed(name: str, server: Ours, forest: Forest) -> Contender:
    deployment = Deployment(server)
    deployment.model(forest.name, forest.file().read_bytes(), instances=2)
    deployment.create(forest.name, forest.name)
    deployment.wait(forest.name)
    return Contender(name, server.address, server, partial(server.exchanges, forest.name))


def _cells(workloads: Sequence[Workload]) -> int:
    return sum(len(workload.connections) for workload in workloads)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _report(contest: Contest, labels: dict[str, str], reached: Sequence[Target]) -> dict[str, Any]:
    found = contest.found()
    pinned = {
        name: (PEERS / f"{name}.txt").read_text().split() for name in labels if name not in {OURS, WORKER}
    }
    return {
        "machine": contest.machine,
        "servers": {
            name: {"label": label, "pinned": pinned.get(name, [])} | contest.about.get(name, {})
            for name, label in labels.items()
        },
        "absent": contest.absent,
        "figures": [dataclasses.asdict(cell) | values for cell, values in found.items()],
        "failed": [dataclasses.asdict(cell) | {"reason": why} for cell, why in contest.failed.items()],
        "targets": [dataclasses.asdict(target) | {"reached": target.reached} for target in reached],
    }


def main() -> None:
    """Hold the contest and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    labels = {OURS: "Sagestead", WORKER: "Sagestead, by workers"} | {p.environment: p.label for p in RIVALS}
    parser.add_argument("--quick", action="store_true", help="one round, fewer cells, the small model only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, too")
    parser.add_argument("--only", action="append", choices=labels, metavar="NAME", help=", ".join(labels))
    options = parser.parse_args()
    find_wrk()
    end_in_order()
    names = options.only or list(labels)
    contest = Contest(names, 1 if options.quick else ROUNDS)
    _say("installing what is missing of the servers to compare with")
    absent = install_all([name for name in names if name not in {OURS, WORKER}])
    contest.absent.update({name: f"not installed: {reason}" for name, reason in absent.items() if reason})
    if WORKER in names and not has_option("--hosting"):
        contest.absent[WORKER] = "this version of `sagestead up` has no --hosting"
    workloads = QUICK if options.quick else FULL
    for forest in dict.fromkeys(workload.forest for workload in workloads):
        mine = [workload for workload in workloads if workload.forest == forest]
        contest.hold(forest, mine, LIMIT * _cells(mine) / _cells(workloads))
    found = contest.found()
    reached = targets(found, ONE_ROW.name, [peer.environment for peer in RIVALS])
    print(table(found, contest.failed, labels))
    print(verdicts(reached))
    for name, reason in contest.absent.items():
        print(f"{labels[name]} took no part: {reason}")
    if options.json:
        options.json.write_text(json.dumps(_report(contest, labels, reached), indent=2) + "\n")
    sys.exit(
        any(name in {OURS, WORKER} for name in [*(cell.server for cell in contest.failed), *contest.absent])
    )


if __name__ == "__main__":
    main()

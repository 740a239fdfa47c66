"""A real server under a mixed load while its processes are killed at random moments.

More seeds: `CHAOS_SEEDS=1,2,3 CHAOS_SECONDS=10 pytest tests/chaos`.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.chaos.load import Judge, Load
from tests.chaos.tree import Tree, descriptors, kill

SECONDS = float(os.environ.get("CHAOS_SECONDS", "4"))
SEEDS = [int(seed) for seed in os.environ.get("CHAOS_SEEDS", "28").split(",")]
STEADY_LIMIT = 60.0
MOST_DESCRIPTORS = 80
VICTIMS = {"worker": 6, "process.zygote": 2, "service.control": 3, "service.front": 2, "tree": 1}

Variables = Callable[..., dict[str, str]]
ClientOf = Callable[..., Any]


@pytest.fixture
def tree(tmp_path: Path, hosting: str) -> Iterator[Tree]:
    found = Tree(tmp_path / "data", hosting=hosting)
    found.start()
    yield found
    assert found.supervisor is not None
    if found.supervisor.poll() is None:
        found.end(signal.SIGKILL)


@pytest.mark.parametrize("hosting", ["inline", "worker"])
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_is_killed_everything_ends_well(
    tree: Tree, variables_of: Variables, client_of: ClientOf, seed: int
) -> None:
    environment = variables_of(tree.data)

    def impatient(name: str) -> Any:
        return client_of(environment, name, retries={"max_attempts": 0}, read_timeout=10)

    chance = random.Random(seed)  # noqa: S311 - the same choices every time
    load = Load(impatient, environment["SAGEMAKER_ROLE_ARN"], chance)
    load.prepare()
    killed = disturbed(tree, load, random.Random(-seed))  # noqa: S311 - the same
    judge = Judge(replace(load, client=lambda name: client_of(environment, name)))
    tree.until(judge.is_steady, "every resource is in a steady state", STEADY_LIMIT)
    assert judge.faults() == [], killed
    assert load.answered
    leaves_nothing_behind(tree, judge)
    tree.end(signal.SIGTERM)
    tree.until(lambda: not tree.left(), "no process is left", 10)


def disturbed(tree: Tree, load: Load, chance: random.Random) -> list[str]:
    """Work and kill side by side for a while; returns what was killed."""
    killed: list[str] = []
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(0.01):
            load.step()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            ended.wait(chance.expovariate(1.5))
            (victim,) = chance.choices(list(VICTIMS), list(VICTIMS.values()))
            disturb(tree, chance, victim)
            killed.append(victim)
    finally:
        ended.set()
        worker.join()
    return killed


def disturb(tree: Tree, chance: random.Random, victim: str) -> None:
    """Kill one process, or the whole tree, which is started again."""
    if victim == "tree":
        tree.end(signal.SIGKILL)
        tree.start()
        return
    found = sorted(tree.workers() if victim == "worker" else tree.part(victim))
    if found:
        kill(chance.choice(found))


def leaves_nothing_behind(tree: Tree, judge: Judge) -> None:
    """Processes, folders, sockets and pages are those of the instances; nobody holds many descriptors."""
    workers = judge.instances() if tree.hosting == "worker" else 0
    runs = workers or judge.variants()
    wanted = {"workers": workers, "folders": runs + len(judge.serving()), "sockets": 2 * workers}
    deadline = time.monotonic() + 15
    while (found := tree.leavings()) != wanted and time.monotonic() < deadline:
        pass
    assert found == wanted, tree.told()
    indexed = {path.name: len(list(path.glob("*/*"))) for path in tree.indexes()}
    assert indexed == {"owners": runs, "contents": 0 if workers else runs}
    # Two zygotes, and perhaps who waits to prepare a model.
    for word, counts in {"service.control": {1}, "service.front": {1}, "process.zygote": {2, 3}}.items():
        found_there = tree.part(word)
        assert len(found_there) in counts, word
        assert max(map(descriptors, found_there)) < MOST_DESCRIPTORS, word

"""Plays the scripts of tests/scenarios/tuning: `> command`, then what the planner says to it, word for word.

A script that ought to change is written anew by running this file.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.planning.search import Search, begun, config

from sagestead.planning.steps import LaunchTrial, Plan, Step, StopTrial

SCENARIOS = Path(__file__).parents[1] / "scenarios" / "tuning"


@pytest.mark.parametrize("script", sorted(SCENARIOS.glob("*.txt")), ids=lambda path: path.stem)
def test_the_planner_says_what_the_script_says(script: Path) -> None:
    text = script.read_text()
    assert play(text) == text


def play(text: str) -> str:
    """Return the script with the answers that the planner gives today."""
    said: list[str] = []
    search: Search | None = None
    for line in text.splitlines():
        if line.startswith("> "):
            name, *words = shlex.split(line[2:])
            said.append(line)
            if name == "search":
                search = begun(_config(words))
                continue
            assert search is not None
            said += _plans(search) if name == "plan" else _event(search, name, words)
        elif line.startswith("#") or not line:
            said.append(line)
    return "\n".join(said) + "\n"


def _config(words: list[str]) -> dict[str, object]:
    strategy, total, parallel, *more = words
    members = {one.partition("=")[0]: json.loads(one.partition("=")[2]) for one in more}
    return config(strategy, None if total == "-" else int(total), int(parallel), **members)


def _plans(search: Search) -> list[str]:
    """Plan until there is nothing more to do at once."""
    said: list[str] = []
    while True:
        made = search.plan()
        said += [f"  {_step(search, step)}" for step in made.steps]
        if made.look_again != search.now:
            return [*said, f"  {_state(search, made)}"]


def _event(search: Search, name: str, words: list[str]) -> list[str]:
    events: dict[str, Callable[[], object]] = {
        "wait": lambda: setattr(search, "now", search.now + float(words[0])),
        "ends": lambda: search.end(int(words[0]), value=float(words[1]) if len(words) > 1 else None),
        "fails": lambda: search.end(int(words[0]), "Failed"),
        "stopped": lambda: search.end(int(words[0]), "Stopped", float(words[1]) if len(words) > 1 else None),
        "reports": lambda: search.report(int(words[0]), *map(float, words[1:])),
        "stop": lambda: setattr(search, "job", replace(search.job, status="Stopping")),
        "crash-after-launch": lambda: search.plan(1),
    }
    events[name]()
    return []


def _step(search: Search, step: Step) -> str:
    match step:
        case LaunchTrial(number, pending):
            point = " ".join(f"{name}={text}" for name, text in search.points[number].items())
            beside = f" beside {', '.join(map(str, pending))}" if pending else ""
            return f"launch {number}{beside}: {point}"
        case StopTrial(name):
            return f"stop {int(name.split('-')[1])}"
        case _:
            raise AssertionError(step)


def _state(search: Search, made: Plan) -> str:
    facts = [f"is {made.status}"]
    best = made.detail.get("BestTrainingJob")
    if best:
        value = best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        facts.append(f"best {int(best['TrainingJobName'].split('-')[1])} with {value:g}")
    counters = made.detail["TrainingJobStatusCounters"]
    facts += [f"{count} {word}" for word, count in counters.items() if count]
    if made.detail.get("FailureReason"):
        facts.append(f"because {made.detail['FailureReason']!r}")
    if made.look_again is not None:
        facts.append(f"look again in {round(made.look_again - search.now, 3):g} s")
    return ", ".join(facts)


if __name__ == "__main__":
    for path in SCENARIOS.glob("*.txt"):
        path.write_text(play(path.read_text()))

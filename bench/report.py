"""Figures of a contest put together and shown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from load import Load

OURS = "sagestead"
WORKER = "sagestead_worker"
SLOW_PEERS = ("aws_like", "litserve", "bentoml", "mlserver", "mlflow", "kserve")

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: what wrk saw, and the server's processor seconds meanwhile."""

    load: Load
    cpu: float


@dataclass(frozen=True, slots=True)
class Cell:
    """What was asked of whom: a workload, a number of connections, a server."""

    workload: str
    connections: int
    server: str


def figures(samples: Sequence[Sample]) -> Figures:
    """Return medians over the rounds; processor time over all of them."""
    answered = sum(sample.load.requests + sample.load.checked for sample in samples)
    return {
        "requests_per_second": round(statistics.median(sample.load.rate for sample in samples), 1),
        "p50_us": round(statistics.median(sample.load.p50_us for sample in samples)),
        "p99_us": round(statistics.median(sample.load.p99_us for sample in samples)),
        "cpu_us_per_request": round(sum(sample.cpu for sample in samples) / answered * 1e6, 1),
        "answers_checked": sum(sample.load.checked for sample in samples),
        "wrk_cores": round(sum(s.load.wrk_cpu for s in samples) / sum(s.load.seconds for s in samples), 2),
        "rounds": len(samples),
    }


def table(found: Mapping[Cell, Figures], failed: Mapping[Cell, str], labels: Mapping[str, str]) -> str:
    """Return one table a workload and number of connections, with how many times faster ours is."""
    lines = []
    for workload, connections in dict.fromkeys(
        (cell.workload, cell.connections) for cell in [*found, *failed]
    ):
        lines.append(f"\n{workload}, {connections} connection{'s' if connections > 1 else ''}")
        lines.append(f"  {'':36}{'requests/s':>12}{'p50 ms':>10}{'p99 ms':>10}{'CPU us':>10}{'ours is':>10}")
        ours = found.get(Cell(workload, connections, OURS))
        for name, label in labels.items():
            cell = Cell(workload, connections, name)
            if cell in found:
                lines.append(f"  {label:36}{_row(found[cell], ours)}")
            elif cell in failed:
                lines.append(f"  {label:36}failed: {failed[cell]}")
    return "\n".join(lines)


def _row(seen: Figures, ours: Figures | None) -> str:
    times = f"{ours['requests_per_second'] / seen['requests_per_second']:.1f} x" if ours else ""
    milliseconds = f"{seen['p50_us'] / 1e3:>10.3f}{seen['p99_us'] / 1e3:>10.2f}"
    return (
        f"{seen['requests_per_second']:>12,.0f}{milliseconds}{seen['cpu_us_per_request']:>10.0f}{times:>10}"
    )


@dataclass(frozen=True, slots=True)
class Target:
    """A figure to reach: what, how much, what was measured (None: no measurement)."""

    what: str
    wanted: float
    measured: float | None

    @property
    def reached(self) -> bool | None:
        """Return whether it was, or None when it was not measured."""
        return None if self.measured is None else self.measured >= self.wanted


def targets(found: Mapping[Cell, Figures], workload: str, peers: Iterable[str]) -> list[Target]:
    """Compare one-row figures with what the project has set itself; every target is a ratio to reach."""

    def ratio(figure: str, connections: int, names: Iterable[str], *, ours: str = OURS) -> float | None:
        mine = found.get(Cell(workload, connections, ours))
        cells = (Cell(workload, connections, name) for name in names)
        others = [found[cell][figure] for cell in cells if cell in found]
        if mine is None or not others:
            return None
        if figure == "requests_per_second":
            return round(mine[figure] / max(others), 2)
        return round(min(others) / mine[figure], 2)

    rate = "requests_per_second"
    return [
        Target("requests/s at 64: times FastAPI", 9, ratio(rate, 64, ["fastapi"])),
        *(Target(f"requests/s at 64: times {name}", 35, ratio(rate, 64, [name])) for name in SLOW_PEERS),
        Target("requests/s at 64: times Ray Serve", 150, ratio(rate, 64, ["ray"])),
        Target("p50 at 1: the best peer's over ours", 4, ratio("p50_us", 1, peers)),
        Target("p99 at 64: the best peer's over ours", 10, ratio("p99_us", 64, peers)),
        Target("by a worker over inline, requests/s at 64", 0.7, ratio(rate, 64, [OURS], ours=WORKER)),
    ]


def verdicts(reached: Sequence[Target]) -> str:
    """Return the targets as lines."""
    words = {True: "reached", False: "NOT reached", None: "not measured"}
    lines = (
        f"  {target.what:46}{target.wanted:>8g}{'-' if target.measured is None else target.measured:>10}"
        f"   {words[target.reached]}"
        for target in reached
    )
    return "\n".join(["\nTargets (at least, measured)", *lines])

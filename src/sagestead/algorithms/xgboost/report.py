"""What a training job prints: one line at a time, at once, on standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import numpy as np

Evaluations = dict[str, dict[str, list[float] | list[tuple[float, float]]]]
"""Data set -> metric -> one value a round, as the library keeps them (pairs: only in its `cv`)."""


def say(line: str) -> None:
    """Print a line and hand it on at once; the log shows it while training goes on."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def round_line(number: int, values: Iterable[tuple[str, str, float]], number_format: str) -> str:
    """Return the line that metric expressions read: `[<round>]`, then tab and `<data>-<metric>:<value>`."""
    cells = (f"\t{data}-{metric}:{number_format % value}" for data, metric, value in values)
    return f"[{number}]" + "".join(cells)


def last_values(evaluations: Evaluations) -> list[tuple[str, str, float]]:
    """Return (data set, metric, value) of the newest round, data set by data set."""
    return [
        (data, metric, float(np.ravel(values[-1])[0]))
        for data, metrics in evaluations.items()
        for metric, values in metrics.items()
    ]

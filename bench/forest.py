"""Cost of a prediction in process: our kernels and their NumPy twin against XGBoost itself. Prints JSON.

python bench/forest.py [--seconds 0.3]

Microseconds a row on one thread, the best of thirty measurements; 41 columns. `same_bits` says that every
answer was exactly that of XGBoost.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from sagestead.forest import compiling
from sagestead.forest.files import read
from sagestead.forest.layout import plan
from sagestead.forest.scoring import Scorer
from sagestead.forest.twin import Twin

COLUMNS = 41
FORESTS = ((100, 6), (500, 8))
ROWS = (1, 10, 100, 1000)
REPEATS = 30

Floats = NDArray[np.float32]


def trained(trees: int, depth: int) -> xgboost.Booster:
    """Train a binary:logistic model on noise around a rule, so that its trees are full."""
    random = np.random.default_rng(7)
    rows = random.normal(size=(20_000, COLUMNS)).astype(np.float32)
    labels = rows[:, 0] * rows[:, 1] + rows[:, 2] + random.normal(size=len(rows)) > 0
    parameters = {"objective": "binary:logistic", "max_depth": depth, "eta": 0.05, "nthread": 1}
    return xgboost.train(parameters, xgboost.DMatrix(rows, labels, nthread=1), trees)


def microseconds(work: Callable[[], object], seconds: float) -> float:
    """Return the time of one call, the best of some measurements."""
    began = time.perf_counter()
    work()
    calls = max(1, int(seconds / REPEATS / max(1e-7, time.perf_counter() - began)))
    best = float("inf")
    for _ in range(REPEATS):
        began = time.perf_counter()
        for _ in range(calls):
            work()
        best = min(best, (time.perf_counter() - began) / calls)
    return best * 1e6


def measured(booster: xgboost.Booster, rows: Floats, seconds: float) -> dict[str, Any]:
    """Measure all four ways of scoring the same rows."""
    ensemble = read(bytes(booster.save_raw("ubj")))
    scorer, twin = Scorer.of(ensemble), Twin(plan(ensemble))
    ways: dict[str, Callable[[], Any]] = {
        "kernel": lambda: scorer.score(rows),
        "twin": lambda: twin.score(rows, margins=False)[:, 0],
        "inplace_predict": lambda: booster.inplace_predict(rows),
        "predict_dmatrix": lambda: booster.predict(xgboost.DMatrix(rows, nthread=1)),
    }
    expected = ways["predict_dmatrix"]().tobytes()
    found: dict[str, Any] = {
        name: round(microseconds(way, seconds) / len(rows), 3) for name, way in ways.items()
    }
    return found | {"same_bits": all(way().tobytes() == expected for way in ways.values())}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.3, help="measured a figure (default 0.3)")
    seconds = parser.parse_args().seconds
    began = time.perf_counter()
    if compiling.load() is None:
        parser.error("Numba is not installed; there is no kernel to measure")
    report: dict[str, Any] = {"kernels_ready_s": round(time.perf_counter() - began, 2)}
    random = np.random.default_rng(8)
    for trees, depth in FORESTS:
        booster = trained(trees, depth)
        booster.set_param({"nthread": 1})
        began = time.perf_counter()
        ensemble = read(bytes(booster.save_raw("ubj")))
        Scorer.of(ensemble)
        figures: dict[str, Any] = {"load_ms": round((time.perf_counter() - began) * 1e3, 1)}
        for count in ROWS:
            rows = random.normal(size=(count, COLUMNS)).astype(np.float32)
            figures[f"us_a_row_of_{count}"] = measured(booster, rows, seconds)
        missing = random.normal(size=(1, COLUMNS)).astype(np.float32)
        missing[0, ::4] = np.nan
        figures["us_a_row_of_1_with_missing_values"] = measured(booster, missing, seconds)
        report[f"{trees}_trees_of_depth_{depth}"] = figures
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()

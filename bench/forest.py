"""Cost of a prediction in process: our kernels and their NumPy twin against XGBoost itself. Prints JSON.

python bench/forest.py [--seconds 0.3]

Microseconds a row on one thread, the best of thirty measurements; 41 columns. `same_bits` says that every
answer was exactly that of XGBoost. XGBoost remembers what it predicted for a matrix, so each of its
measurements has a matrix of its own, whose making is not counted in `predict_alone`.

`bytes_to_bytes` is a whole request: a CSV body (six significant digits) to the body of the answer, through a
prepared model, with its parts (`parse`, `score`, `print`); `predict_alone_*` is what `Booster.predict` takes
for the same rows when they are already a DMatrix. `rows_a_second_*` are those of the scorer alone and of
parsing, scoring and printing, on one thread and on two. `longest_wait_ms` is how long another thread had to
wait for the interpreter while a request of 10,000 rows was answered.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from sagestead.algorithms.xgboost.hosting import open_prepared, prepare
from sagestead.forest import compiling
from sagestead.forest.files import read
from sagestead.forest.layout import plan
from sagestead.forest.scoring import Scorer
from sagestead.forest.twin import Twin
from sagestead.worker.contract import InlineModel, Invocation

COLUMNS = 41
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
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


def predict_alone(booster: xgboost.Booster, rows: Floats, threads: int) -> float:
    """Return the microseconds of `Booster.predict` of a matrix that is there, the best of some."""
    booster.set_param({"nthread": threads})
    best = float("inf")
    for _ in range(REPEATS):
        matrix = xgboost.DMatrix(rows, nthread=1)
        began = time.perf_counter()
        booster.predict(matrix)
        best = min(best, time.perf_counter() - began)
    booster.set_param({"nthread": 1})
    return best * 1e6


def prepared(booster: xgboost.Booster, folder: Path) -> InlineModel:
    """Return the model as a front door holds it."""
    for name in ("model", "prepared"):
        (folder / name).mkdir()
    (folder / "model" / "xgboost-model").write_bytes(booster.save_raw("ubj"))
    prepare(folder / "model", IMAGE, {}, folder / "prepared")
    return open_prepared(folder / "prepared")


def text_of(rows: Floats) -> bytes:
    """Return rows as CSV of six significant digits."""
    return "\n".join(",".join(f"{cell:.6g}" for cell in row) for row in rows.tolist()).encode()


def requests(booster: xgboost.Booster, rows: Floats, seconds: float, folder: Path) -> dict[str, Any]:
    """Measure whole requests against XGBoost's prediction alone."""
    model, kernels = prepared(booster, folder), compiling.load()
    if kernels is None:
        raise SystemExit("there is no kernel to measure")
    scorer = Scorer.of(read(bytes(booster.save_raw("ubj"))))
    found: dict[str, Any] = {
        "open_us": round(microseconds(lambda: open_prepared(folder / "prepared"), seconds))
    }
    for count in (1, 10, 100, 1000, 10_000):
        body = text_of(rows[:count])
        asked = Invocation(body, content_type="text/csv")
        matrix = kernels.read_csv(body)[1]
        scores = scorer.score(matrix)[:, None]
        parts: dict[str, Callable[[], Any]] = {
            "bytes_to_bytes": lambda asked=asked: model.invoke(asked),  # type: ignore[misc]
            "parse": lambda body=body: kernels.read_csv(body),  # type: ignore[misc]
            "score": lambda matrix=matrix: scorer.score(matrix),  # type: ignore[misc]
            "print": lambda scores=scores: kernels.written(scores, b"", b"", b"\n"),  # type: ignore[misc]
        }
        figures = {name: round(microseconds(work, seconds), 1) for name, work in parts.items()}
        for threads in (1, 2):
            figures[f"predict_alone_{threads}"] = round(predict_alone(booster, matrix, threads), 1)
        found[f"us_of_{count}_rows"] = figures
    asked = Invocation(text_of(rows[:10_000]), content_type="text/csv")
    found["longest_wait_ms"] = round(longest_wait(lambda: model.invoke(asked)), 2)
    body = text_of(rows[:4000])
    matrix = kernels.read_csv(body)[1]

    def whole() -> object:
        return kernels.written(scorer.score(kernels.read_csv(body)[1])[:, None], b"", b"", b"\n")

    for name, work in {"scorer": lambda: scorer.score(matrix), "whole": whole}.items():
        for threads in (1, 2):
            rate = 4000 / by_threads(work, threads)
            found[f"rows_a_second_{name}_{threads}"] = round(rate)
    return found


def longest_wait(work: Callable[[], object]) -> float:
    """Return the milliseconds that this thread waited at most while another one worked."""
    sys.setswitchinterval(1e-4)
    worker = threading.Thread(target=lambda: [work() for _ in range(20)])
    worker.start()
    longest, before = 0.0, time.perf_counter()
    while worker.is_alive():
        time.sleep(2e-4)
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    sys.setswitchinterval(5e-3)
    return longest * 1e3


def by_threads(work: Callable[[], object], threads: int) -> float:
    """Return the seconds a call when so many threads work, the best of five measurements."""
    best = float("inf")
    for _ in range(5):
        workers = [threading.Thread(target=lambda: [work() for _ in range(20)]) for _ in range(threads)]
        began = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        best = min(best, (time.perf_counter() - began) / (20 * threads))
    return best


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
        with TemporaryDirectory() as folder:
            many = random.normal(size=(10_000, COLUMNS)).astype(np.float32)
            figures["requests"] = requests(booster, many, seconds, Path(folder))
        report[f"{trees}_trees_of_depth_{depth}"] = figures
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()

"""Batch transform of one large CSV against the bare kernel over rows that are parsed already. Prints JSON.

python bench/transform.py [--quick] [--megabytes 1000] [--rounds 3] [--json FILE]

100 trees of depth 6, 41 columns with four decimals a cell; `--quick` is one round over 100 MB. The kernel
scores a block of parsed rows on as many threads as there are cores. Rounds alternate between the two, each
transform in a process of its own; the best round counts. Every line of the output is compared with XGBoost's.
`of_the_kernels_rate` compares the clocks, `of_the_kernels_processor_time` what both spent on a row, which
a busy machine disturbs less.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from machine import machine
from model import SMALL, Question, questions

from sagestead.forest import compiling
from sagestead.forest.files import read
from sagestead.forest.scoring import Scorer

ROWS = 20_000
KERNEL_SECONDS = 2.0
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
CHILD = """
import json, resource, sys, time
from pathlib import Path
from sagestead.algorithms.xgboost.serving import load
from sagestead.domain.transform import TransformObject, TransformTask
from sagestead.forest import compiling
from sagestead.worker.growth import resident
from sagestead.worker.transform import transform
folder, image, environment = Path(sys.argv[1]), sys.argv[2], {"SAGEMAKER_BATCH": "true"}
compiling.load()
model = load(folder / "model", image, environment)
task = TransformTask([TransformObject("s3://bucket/key", "in.csv", "out.csv")], content_type="text/csv",
                     accept="text/csv", split_type="Line", assemble_with="Line")
before, processor, began = resident(), time.process_time(), time.perf_counter()
result = transform(task, model, folder, environment, lambda line: None)
seconds, processor = time.perf_counter() - began, time.process_time() - processor
if result.reason:
    raise ValueError(result.reason)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": seconds, "processor_seconds": processor, "peak": peak, "before": before}))
"""


def write_input(folder: Path, question: Question, megabytes: int) -> int:
    """Write the object, a block of rows again and again; return how many blocks it has."""
    block = question.csv + b"\n"
    count = max(1, round(megabytes * 1e6 / len(block)))
    with (folder / "in.csv").open("wb") as file:
        for _ in range(count):
            file.write(block)
    (folder / "model").mkdir()
    (folder / "model" / "xgboost-model").write_bytes(SMALL.file().read_bytes())
    return count


def bare_kernel(question: Question) -> tuple[float, float]:
    """Return rows a second of the bare kernel on all cores, and processor seconds a row."""
    scorer = Scorer.of(read(SMALL.file().read_bytes()))
    threads = os.cpu_count() or 1
    until = time.perf_counter() + KERNEL_SECONDS

    def work() -> int:
        done = 0
        while time.perf_counter() < until:
            scorer.score(question.rows)
            done += ROWS
        return done

    began, processor = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(lambda _: work(), range(threads)))
    return done / (time.perf_counter() - began), (time.process_time() - processor) / done


def transformed(folder: Path) -> dict[str, float]:
    """Run one transform in a process of its own."""
    ran = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", CHILD, str(folder), IMAGE],
        stdout=subprocess.PIPE,
        check=True,
        timeout=600,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # as the service starts its workers
    )
    figures: dict[str, float] = json.loads(ran.stdout)
    return figures


def check(folder: Path, question: Question, blocks: int) -> None:
    """Compare every line of the output with XGBoost's own predictions."""
    expected = question.answer
    with (folder / "out.csv").open("rb") as file:
        for _ in range(blocks):
            if file.read(len(expected)) != expected:
                raise ValueError("a prediction is wrong")
        if file.read(1):
            raise ValueError("the output is too long")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round over 100 MB")
    parser.add_argument("--megabytes", type=int, default=1000, help="size of the object (default 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often (default 3)")
    parser.add_argument("--json", type=Path, help="also write the report there")
    given = parser.parse_args()
    megabytes, rounds = (100, 1) if given.quick else (given.megabytes, given.rounds)
    if compiling.load() is None:
        parser.error("Numba is not installed; there is no kernel to measure")
    (question,) = questions(SMALL, ROWS, 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        blocks = write_input(folder, question, megabytes)
        size = (folder / "in.csv").stat().st_size
        kernels, runs = [], []
        for _ in range(rounds):
            kernels.append(bare_kernel(question))
            runs.append(transformed(folder))
            check(folder, question, blocks)
    report = summary(size, blocks * ROWS, kernels, runs)
    print(json.dumps(report, indent=2))
    if given.json:
        given.json.write_text(json.dumps(report, indent=2))


def summary(
    size: int, rows: int, kernels: list[tuple[float, float]], runs: list[dict[str, float]]
) -> dict[str, Any]:
    """Return the report; of all runs the fastest, and the greatest memory."""
    best = min(runs, key=lambda run: run["seconds"])
    processor = min(run["processor_seconds"] for run in runs) / rows
    kernel, kernel_processor = max(rate for rate, _ in kernels), min(spent for _, spent in kernels)
    return {
        "machine": machine(),
        "megabytes": round(size / 1e6),
        "rows": rows,
        "seconds": [round(run["seconds"], 2) for run in runs],
        "megabytes_a_second": round(size / best["seconds"] / 1e6, 1),
        "rows_a_second": round(rows / best["seconds"]),
        "processor_us_a_row": round(processor * 1e6, 3),
        "kernel_processor_us_a_row": round(kernel_processor * 1e6, 3),
        "kernel_rows_a_second": round(kernel),
        "of_the_kernels_rate": round(rows / best["seconds"] / kernel, 3),
        "of_the_kernels_processor_time": round(kernel_processor / processor, 3),
        "peak_megabytes": round(max(run["peak"] for run in runs) / 1e6),
        "megabytes_gained": round(max(run["peak"] - run["before"] for run in runs) / 1e6),
    }


if __name__ == "__main__":
    main()

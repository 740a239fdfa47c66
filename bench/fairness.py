"""How long a one-row request waits while requests of 10,000 rows run in the same front door. Prints JSON.

python bench/fairness.py [--seconds 5] [--long 2] [--switch 0.0005] [--json FILE]

One event loop, as a front door's, asks one inline host for one row every two milliseconds, and measures from
the moment at which the request was due to its answer, so that whatever keeps the loop is counted. `alone`
does nothing else; `beside` keeps `--long` requests of 10,000 rows under way. Both are repeated in turn.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import uvloop
from model import SMALL, questions

from sagestead.algorithms.xgboost.hosting import open_prepared, prepare
from sagestead.forest import compiling
from sagestead.service.front import SWITCH_SECONDS
from sagestead.serving.inline_host import InlineHost, Threads
from sagestead.worker.contract import Answer, Invocation

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
EVERY = 0.002
ROWS = 10_000
ROUNDS = 3


class Load:
    """The two kinds of requests, and how often the long ones were answered."""

    def __init__(self, host: InlineHost) -> None:
        self.host = host
        self.answered = 0
        self._row = questions(SMALL, 1, 1)[0]
        self._rows = questions(SMALL, ROWS, 1)[0]

    async def short(self, seconds: float) -> list[float]:
        """Ask for a row whenever it is due; returns the seconds from then to each answer."""
        asked, answer = Invocation(self._row.csv, "text/csv"), self._row.answer
        took = []
        due = time.perf_counter()
        for _ in range(int(seconds / EVERY)):
            due += EVERY
            await asyncio.sleep(due - time.perf_counter())
            got = self.host.begin(asked)
            got = got if isinstance(got, Answer) else await got
            took.append(time.perf_counter() - due)
            if got.body != answer:
                raise SystemExit(f"a wrong answer: {got}")
        return took

    async def long(self) -> None:
        """Ask for many rows again and again."""
        asked, answer = Invocation(self._rows.csv, "text/csv"), self._rows.answer
        while True:
            got = self.host.begin(asked)
            got = got if isinstance(got, Answer) else await got
            self.answered += 1
            if got.body != answer:
                raise SystemExit("a wrong answer to many rows")


async def measure(host: InlineHost, seconds: float, together: int) -> dict[str, object]:
    """Return the figures of both situations, measured in turn."""
    load = Load(host)
    await load.short(0.5)
    took: dict[str, list[float]] = {"alone": [], "beside": []}
    busy, answered = 0.0, 0
    for _ in range(ROUNDS):
        took["alone"] += await load.short(seconds / ROUNDS)
        others = [asyncio.create_task(load.long()) for _ in range(together)]
        await asyncio.sleep(0.1)
        begun, before = time.perf_counter(), load.answered
        took["beside"] += await load.short(seconds / ROUNDS)
        busy += time.perf_counter() - begun
        answered += load.answered - before
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        while host.outstanding:  # noqa: ASYNC110 - what was begun is not broken off
            await asyncio.sleep(0.01)
    figures: dict[str, object] = {
        situation: {
            f"p{percent}_us": round(float(np.percentile(times, percent)) * 1e6) for percent in (50, 99, 99.9)
        }
        for situation, times in took.items()
    }
    return figures | {"long_requests_per_second": round(answered / busy, 1)}


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--long", type=int, default=2)
    options.add_argument("--switch", type=float, default=SWITCH_SECONDS)
    options.add_argument("--json", type=Path)
    asked = options.parse_args()
    sys.setswitchinterval(asked.switch)
    compiling.load()
    folder = Path(tempfile.mkdtemp())
    (folder / "model").mkdir()
    (folder / "prepared").mkdir()
    shutil.copy(SMALL.file(), folder / "model" / "xgboost-model")
    prepare(folder / "model", IMAGE, {}, folder / "prepared")
    threads = Threads()
    host = InlineHost(folder / "prepared", open_prepared, threads)
    host.open()
    found = uvloop.run(measure(host, asked.seconds, asked.long))
    threads.close()
    shutil.rmtree(folder)
    text = json.dumps({"rows": ROWS, "together": asked.long, "switch_s": asked.switch, **found}, indent=1)
    print(text)
    if asked.json:
        asked.json.write_text(f"{text}\n")


if __name__ == "__main__":
    main()

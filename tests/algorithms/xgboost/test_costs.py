"""An estimate is cheap, grows with the work, and says which requests are short."""

from __future__ import annotations

import numpy as np
import pytest

from sagestead.algorithms.xgboost import costs
from sagestead.algorithms.xgboost.costs import seconds
from sagestead.algorithms.xgboost.recordio import Record, Tensor, frame, write_record
from sagestead.forest import compiling
from sagestead.worker.contract import Invocation

STEPS = 600
ROW = ",".join(["0.123456"] * 41)
SHORT = 200e-6


@pytest.fixture(autouse=True)
def _kernels() -> None:
    assert compiling.load() is not None


def told(body: bytes, kind: str | None = "text/csv", steps: int = STEPS, *, selects: bool = False) -> float:
    return seconds(Invocation(body, content_type=kind), steps, selects=selects)


def rows(count: int) -> bytes:
    return "\n".join([ROW] * count).encode()


def test_a_few_rows_are_short_and_many_are_not() -> None:
    assert told(rows(1)) < told(rows(2)) < told(rows(100)) < SHORT
    assert told(rows(150)) > SHORT
    assert told(rows(10_000)) > told(rows(1000)) > told(rows(200)) > SHORT


def test_the_trees_count_for_every_row() -> None:
    assert told(rows(1), steps=4000) < SHORT < told(rows(20), steps=8000)
    assert told(b"1\n" * 1000) > SHORT


def test_what_python_has_to_read_takes_longer() -> None:
    assert told(rows(30).replace(b"0.1", b"0_1")) > SHORT > told(rows(30))


def test_without_kernels_it_takes_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = told(rows(2))
    monkeypatch.setattr(costs, "kernels", lambda: None)
    assert told(rows(2)) > compiled
    assert told(rows(10)) > SHORT


def test_records_and_selected_answers_are_not_read_by_kernels() -> None:
    record = frame(write_record(Record({"values": Tensor(np.zeros(41, np.float32))})))
    assert told(record, "application/x-recordio-protobuf") < SHORT
    assert told(record * 20, "application/x-recordio-protobuf") > SHORT
    assert told(rows(2), selects=True) > told(rows(2))
    assert told(b"1 1:2", None) < SHORT

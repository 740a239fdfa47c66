from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagestead.domain.metrics import Definition, Expressions, built_in_metric_definitions


def none_of_these(expression: str, _line: str) -> str | None:
    raise AssertionError(f"{expression} is built in")


def extract(definitions: Sequence[Definition], line: str) -> list[tuple[str, float]]:
    return Expressions(definitions).extract(line, none_of_these)


def test_definition_is_written_as_aws_writes_it() -> None:
    assert {
        "Name": "validation:auc",
        "Regex": r".*\[[0-9]+\].*#011validation-auc:([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?).*",
    } in built_in_metric_definitions()


def test_a_round_gives_its_metrics_and_no_others() -> None:
    line = "[9]#011train-rmse:0.12345#011train-rmsle:1e-05#011validation-rmse:2"
    assert dict(extract(built_in_metric_definitions(), line)) == {
        "train:rmse": 0.12345,
        "train:rmsle": 1e-05,
        "validation:rmse": 2.0,
    }
    assert extract(built_in_metric_definitions(), "[9]\ttrain-rmse:0.1") == []
    assert extract(built_in_metric_definitions(), "[9]#011train-logloss:nan") == []


def test_very_long_lines_are_not_searched() -> None:
    assert extract(built_in_metric_definitions(), "[1]#011train-auc:0.5" + " " * 8192) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from([d["Name"] for d in built_in_metric_definitions()]),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        unique_by=lambda pair: pair[0],
    ),
    st.integers(0, 10**6),
)
def test_whatever_is_printed_is_read_back(metrics: list[tuple[str, float]], number: int) -> None:
    line = f"[{number}]" + "".join(f"#011{name.replace(':', '-', 1)}:{value!r}" for name, value in metrics)
    assert dict(extract(built_in_metric_definitions(), line)) == dict(metrics)


@given(
    st.lists(
        st.sampled_from(
            ["[1]", "[", "1", "]", "#011", "train-auc:", "#011train-auc:", "#011validation-map:", "0.5", "-",
             ".", "e", "+3", " ", "#011train-f1_macro:", "#011train-f1:"]
        ),
        max_size=12,
    )
)  # fmt: skip
def test_reading_all_built_in_metrics_at_once_is_what_their_expressions_say(pieces: list[str]) -> None:
    line = "".join(pieces)
    definitions = built_in_metric_definitions()
    one_by_one = [
        (definition["Name"], float(match[1]))
        for definition in definitions
        if (match := re.search(definition["Regex"], line)) and math.isfinite(float(match[1]))
    ]
    assert extract(definitions, line) == one_by_one


@pytest.mark.parametrize("piece", ["[1]", "[1]#011train-auc:", "#011train-", "[1", "#011train-auc:1"])
def test_a_line_made_to_be_slow_is_read_at_once(piece: str) -> None:
    line = ("[1]" + piece * 8192)[:8192]
    began = time.process_time()
    extract(built_in_metric_definitions(), line)
    assert time.process_time() - began < 0.1

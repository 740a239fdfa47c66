"""Clients' expressions are read as they mean them, and never for long."""

from __future__ import annotations

import re
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagestead.control.metric_reading import LOG_SECONDS, MetricReader, regex_fault

SLOW = [("(a+)+$", "a" * 8000 + "!"), ("(a|aa)+$", "a" * 8000 + "b"), (r"(\w+\s?)*$", "word " * 1600 + "!")]


def reader(**expressions: str) -> MetricReader:
    return MetricReader([{"Name": name, "Regex": regex} for name, regex in expressions.items()])


def test_own_expressions_are_searched_anywhere_in_the_line() -> None:
    own = reader(loss="loss=([0-9.]+)", alt=".*a=(1)|.*b=(.*)")
    assert own.read("epoch 3 loss=0.25;") == [("loss", 0.25)]
    assert own.read("loss=1.2.3") == []
    assert own.read("a=1") == [("alt", 1.0)]
    assert own.read("loss=nan") == []


@pytest.mark.parametrize(
    ("regex", "fault"), [("(", "not a regular"), ("loss", "captures nothing"), ("l=(.)", None)]
)
def test_faulty_expressions_are_named(regex: str, fault: str | None) -> None:
    found = regex_fault(regex)
    assert found is fault or re.search(str(fault), str(found))


@pytest.mark.parametrize(("regex", "line"), SLOW)
def test_an_expression_made_to_be_slow_is_given_up(regex: str, line: str) -> None:
    own = reader(slow=regex, loss="loss=([0-9.]+)")
    began = time.thread_time()
    for _ in range(1000):
        assert own.read(line) == []
    assert time.thread_time() - began < LOG_SECONDS + 1
    assert own.read("loss=2") == [("loss", 2.0)]


def test_others_work_on_while_a_slow_expression_is_tried() -> None:
    regex, line = SLOW[0]
    own, ended, turns = reader(slow=regex), threading.Event(), 0

    def read_twice() -> None:
        own.read(line)
        own.read(line)
        ended.set()

    thread = threading.Thread(target=read_twice)
    thread.start()
    while not ended.wait(0.001):
        turns += 1
    thread.join()
    assert turns > 5


@given(st.floats(allow_nan=False, allow_infinity=False), st.text(alphabet="ab ", max_size=20))
def test_whatever_is_printed_is_read_back(value: float, before: str) -> None:
    assert reader(loss=r"loss: (\S+)").read(f"{before}loss: {value!r} end") == [("loss", value)]

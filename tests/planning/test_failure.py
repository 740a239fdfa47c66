from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sagestead.planning.failure import LIMIT, of_algorithm, with_lines


def test_the_cause_comes_before_the_lines() -> None:
    assert with_lines("It broke.", ["one", "", "two"]) == "It broke. Last log lines:\none\ntwo"
    assert with_lines("It broke.", []) == "It broke."
    assert with_lines("Of m.tar.gz: It broke.", ["one", " It broke."]) == (
        "Of m.tar.gz: It broke. Last log lines:\none"
    )


def test_old_lines_are_left_out_first() -> None:
    reason = with_lines("It broke.", ["x" * 900, "y" * 200, "z"])
    assert reason == "It broke. Last log lines:\n" + "y" * 200 + "\nz"


def test_the_kind_of_error_that_a_text_names_is_kept() -> None:
    assert of_algorithm("ClientError: no label", 1, []) == "ClientError: no label"
    assert of_algorithm("AlgorithmError: it broke", 1, []) == "AlgorithmError: it broke, exit code: 1"
    assert of_algorithm("it broke", 2, []) == "AlgorithmError: it broke, exit code: 2"
    assert of_algorithm(None, -9, ["a", "b"]) == "AlgorithmError: a\nb, exit code: 137"
    assert "neither a cause nor a log" in of_algorithm("", 1, [])


@given(st.text(max_size=1500), st.one_of(st.none(), st.integers(-64, 255)), st.lists(st.text(max_size=700)))
def test_a_reason_is_never_too_long_nor_empty(text: str, code: int | None, lines: list[str]) -> None:
    for reason in (of_algorithm(text, code, lines), with_lines(text, lines)):
        assert len(reason) <= LIMIT
    assert of_algorithm(text, code, lines)

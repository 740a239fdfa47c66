from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagestead.domain.errors import Invalid
from sagestead.domain.jsonpath import NotSelected, parse

ROW = ["a", "b", "c", "d", "e", "f"]


@pytest.mark.parametrize(
    ("path", "cells"),
    [
        ("$", "abcdef"),
        ("$[*]", "abcdef"),
        ("$.*", "abcdef"),
        ("$[0]", "a"),
        ("$[-1]", "f"),
        ("$[0,-1]", "af"),
        ("$[ 2 , 0 ]", "ca"),
        ("$[1:]", "bcdef"),
        ("$[:2]", "ab"),
        ("$[1:4]", "bcd"),
        ("$[-2:]", "ef"),
        ("$[0,5:]", "af"),
        ("$[4:100]", "ef"),
        ("$[0:0]", ""),
    ],
)
def test_columns(path: str, cells: str) -> None:
    assert parse(path).selects_columns
    assert parse(path).of_row(ROW) == list(cells)


DOCUMENT: dict[str, Any] = {
    "id": 7,
    "features": [1, 2, 3],
    "deep": {"x": {"y": [{"z": 1}, {"z": 2}]}},
    "a-b c": 0,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", DOCUMENT),
        ("$.id", 7),
        ("$.features", [1, 2, 3]),
        ("$.features[0]", 1),
        ("$.features[0,-1]", [1, 3]),
        ("$.features[1:]", [2, 3]),
        ("$.features[0:1]", [1]),
        ("$.deep.x.y[*].z", [1, 2]),
        ("$['id','features']", {"id": 7, "features": [1, 2, 3]}),
        ('$["a-b c"]', 0),
        ("$['id']", 7),
        ("$.deep.*", [{"y": [{"z": 1}, {"z": 2}]}]),
    ],
)
def test_json(path: str, value: Any) -> None:
    assert parse(path).of_json(DOCUMENT) == value


NAMES = ["x", "id", "$.", "$..id", "$id", "$['a'", "$['a',]", "$['a' 'b']", "$[?(@.a)]"]
PLACES = ["$[", "$[]", "$[a]", "$[1:2:3]", "$[1.5]", "$[,]", "$[1 2]"]


@pytest.mark.parametrize("path", ["", *NAMES, *PLACES])
def test_not_a_path(path: str) -> None:
    with pytest.raises(Invalid, match=r"^InputFilter '.*' is not a supported JSONPath: "):
        parse(path, "InputFilter")


@pytest.mark.parametrize(
    "path", ["$.missing", "$['id','missing']", "$.features[3]", "$.id[0]", "$.id.*", "$[0]"]
)
def test_not_there(path: str) -> None:
    with pytest.raises(NotSelected):
        parse(path).of_json(DOCUMENT)


def test_names_are_not_for_csv() -> None:
    assert not parse("$.id").selects_columns
    assert not parse("$[0][1]").selects_columns
    with pytest.raises(NotSelected):
        parse("$.id").of_row(ROW)
    with pytest.raises(NotSelected, match="there is no element 6 among 6"):
        parse("$[6]").of_row(ROW)


@given(st.text(st.sampled_from("$.[]*'\",:-0123abc ?@()"), max_size=20))
def test_any_text_is_a_path_or_refused(text: str) -> None:
    try:
        path = parse("$" + text)
    except Invalid:
        return
    for value in (DOCUMENT, [1, [2]], 3):
        try:
            path.of_json(value)
        except NotSelected:
            continue


@given(st.lists(st.integers(-9, 9), max_size=8), st.integers(-9, 9), st.integers(-9, 9))
def test_slices_are_those_of_python(values: list[int], start: int, end: int) -> None:
    assert parse(f"$[{start}:{end}]").of_json(values) == values[start:end]
    assert parse(f"$[{start}:]").of_json(values) == values[start:]
    assert parse(f"$[:{end}]").of_json(values) == values[:end]

"""What trials keep of the data that they have read is the same bits, and bounded."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagestead.algorithms.xgboost import kept
from sagestead.algorithms.xgboost.examples import Examples
from sagestead.algorithms.xgboost.reading import read_examples


def read(folder: Path, text: str, *, weights: bool = False, is_kept: bool = True) -> Examples:
    file = folder / "part.csv"
    file.write_text(text)
    place = folder / "kept"
    place.mkdir(exist_ok=True)
    return read_examples([file], "csv", weights=weights, kept=place if is_kept else None)


def bits(data: Examples) -> list[bytes]:
    parts = [data.features, data.labels, *([] if data.weights is None else [data.weights])]
    return [np.ascontiguousarray(part).tobytes() for part in parts]


def entries(folder: Path) -> list[Path]:
    return sorted((folder / "kept").iterdir())


cells = st.one_of(
    st.floats(allow_nan=False, width=32).map(repr), st.sampled_from(["", "1e-45", "-0.0", "inf", "7"])
)


@given(st.lists(st.lists(cells, min_size=3, max_size=3), min_size=2, max_size=6), st.booleans())
@settings(max_examples=30, deadline=None)
def test_what_is_kept_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
    weights: bool,  # noqa: FBT001 - drawn
) -> None:
    folder = tmp_path_factory.mktemp("kept")
    text = "1,1,2\n" + "".join(",".join(row) + "\n" for row in rows)
    plain = bits(read(folder, text, weights=weights, is_kept=False))
    assert bits(read(folder, text, weights=weights)) == plain
    assert len(entries(folder)) == 1
    again = read(folder, text, weights=weights)
    assert isinstance(again.features, np.memmap)
    assert bits(again) == plain


def test_an_entry_is_of_one_content_read_in_one_way(tmp_path: Path) -> None:
    for text, weights in (("1,2,3\n0,2,3\n", False), ("1,2,3\n0,2,3\n", True), ("1,2,4\n0,2,3\n", False)):
        read(tmp_path, text, weights=weights)
    assert len(entries(tmp_path)) == 3


def test_a_damaged_entry_is_read_anew(tmp_path: Path) -> None:
    plain = bits(read(tmp_path, "1,2,3\n0,4,5\n"))
    (entry,) = entries(tmp_path)
    for damage in (b"", b"no array", entry.read_bytes()[:-3]):
        entry.write_bytes(damage)
        assert bits(read(tmp_path, "1,2,3\n0,4,5\n")) == plain
    np.save(entry, np.zeros((2, 3)))
    assert bits(read(tmp_path, "1,2,3\n0,4,5\n")) == plain


def test_the_longest_unused_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"1,{number},3\n0,4,5\n" for number in range(3)]
    read(tmp_path, texts[0])
    (first,) = entries(tmp_path)
    monkeypatch.setattr(kept, "LARGEST", 2 * first.stat().st_size)
    read(tmp_path, texts[1])
    for at, entry in enumerate(entries(tmp_path)):
        os.utime(entry, (at, at))
    read(tmp_path, texts[0])  # used again
    read(tmp_path, texts[2])
    assert first in entries(tmp_path)
    assert len(entries(tmp_path)) == 2
    monkeypatch.setattr(kept, "LARGEST", 40)
    read(tmp_path, "1,8,8\n0,4,5\n")
    assert len(entries(tmp_path)) == 2

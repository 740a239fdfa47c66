from __future__ import annotations

import csv

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from sagestead.algorithms.xgboost import decoding
from sagestead.algorithms.xgboost.decoding import Undecodable, decode, delimiter_of, kind_of
from sagestead.domain.images import BuiltInImage

IMAGE = BuiltInImage("xgboost", "3.0-5")


@given(st.text(st.sampled_from("0123456789.,;:\t -+eEaxyz\"'|"), min_size=1, max_size=60))
@settings(max_examples=300)
def test_the_delimiter_is_the_sniffers(line: str) -> None:
    try:
        sniffed = csv.Sniffer().sniff(line).delimiter
    except csv.Error:
        with pytest.raises(csv.Error):
            delimiter_of(line)
        return
    assert delimiter_of(line) == ("," if sniffed.isalnum() else sniffed)


def test_only_the_first_512_characters_are_sniffed() -> None:
    assert delimiter_of("1;" * 256 + ",") == ";"


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(["", "0", "-0", "1.", ".5", "1e5", "1E-50", "00012", "1.7976931348623157e308", "5e-324"]),
    st.from_regex(r"\A-?[0-9]{1,40}(\.[0-9]{0,40})?([eE][+-]?[0-9]{1,2})?\Z"),
)


@given(st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_arrow_and_python_read_the_same_bits(rows: list[list[str]]) -> None:
    body = "\n".join(",".join(row) for row in rows).encode()
    fast = decoding._plain_csv(body)
    if fast is None:
        return
    with np.errstate(over="ignore"):
        slow = np.array([[float(cell) if cell else np.nan for cell in row] for row in rows]).astype(
            np.float32
        )
    assert fast.tobytes() == slow.tobytes()


def test_large_and_small_bodies_are_read_alike() -> None:
    cells = np.random.default_rng(3).standard_normal((6000, 5))
    lines = [",".join(map(repr, row)) for row in cells.tolist()]
    whole = decode("\n".join(lines).encode(), "text/csv", IMAGE).matrix
    parts = [
        decode("\n".join(lines[at : at + 7]).encode(), "text/csv", IMAGE).matrix for at in range(0, 6000, 7)
    ]
    assert whole.tobytes() == np.vstack(parts).tobytes() == cells.astype(np.float32).tobytes()
    lines[4000] = lines[4000].replace(",", ";", 1)
    with pytest.raises(Undecodable, match="inhomogeneous"):
        decode("\n".join(lines).encode(), "text/csv", IMAGE)
    lines[4000] = "1,2,3,-,5"
    with pytest.raises(Undecodable, match="could not convert string to float: '-'"):
        decode("\n".join(lines).encode(), "text/csv", IMAGE)
    lines[4000] = "1,2,,4,1e400"
    with pytest.raises(Undecodable, match="Input data contains `inf`"):
        decode("\n".join(lines).encode(), "text/csv", IMAGE)


def test_a_single_column_is_divided_as_the_sniffer_says_in_any_size() -> None:
    for body in (b"-1e-5", b"\n".join([b"-1e-5"] * 20_000)):
        with pytest.raises(Undecodable, match="could not convert string to float: '1e'"):
            decode(body, "text/csv", IMAGE)
    assert decode(b"\n".join([b"15.5"] * 20_000), "text/csv", IMAGE).matrix.shape == (20_000, 1)


def test_slices_of_the_python_reader_meet() -> None:
    lines = [f" {number},nan,{number}.5" for number in range(9000)]
    matrix = decode("\n".join(lines).encode(), "text/csv", IMAGE).matrix
    assert matrix.shape == (9000, 3)
    assert matrix[8999].tolist()[0] == 8999
    assert matrix[4096].tolist()[2] == 4096.5


def test_matrices_are_those_of_xgboost() -> None:
    rows = np.random.default_rng(1).random((20, 3)) * 1e-3
    text = "\n".join(",".join(map(repr, row)) for row in rows.tolist()).encode()
    ours = xgboost.DMatrix(decode(text, "text/csv", IMAGE).matrix).get_data()
    assert (ours != xgboost.DMatrix(rows).get_data()).nnz == 0


def test_sparse_columns_are_bounded() -> None:
    for text in (b"1 99999999999:1", b"1 -1:2", b"1 0:1e39"):
        with pytest.raises(Undecodable):
            decode(text, "text/libsvm", IMAGE)


@pytest.mark.parametrize(
    "text", ["text/csv;charset=utf-8", "TEXT/CSV", "csv; a=b", 'text/csv; label_size="1"']
)
def test_kinds_of_csv(text: str) -> None:
    assert kind_of(text) == "csv"


def test_parameters_of_other_types_say_nothing() -> None:
    assert kind_of("Text/LIBSVM; charset=utf-8") == "libsvm"
    assert kind_of("application/x-recordio-protobuf;label_size=2") == "recordio-protobuf"


@pytest.mark.parametrize("text", ["text/csvx", "application/csv", ""])
def test_types_that_are_not_accepted(text: str) -> None:
    with pytest.raises(Undecodable, match="is not an accepted ContentType"):
        kind_of(text)

"""Kernels read the same numbers as Python, to the bit, or leave a body to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from sagestead.algorithms.xgboost import decoding
from sagestead.algorithms.xgboost.decoding import Undecodable, decode
from sagestead.algorithms.xgboost.equal_records import equal_dense_records
from sagestead.algorithms.xgboost.recordio import Record, Tensor, frame, write_record
from sagestead.domain.images import BuiltInImage
from sagestead.forest import compiling

RECORDS = "application/x-recordio-protobuf"
NEW, OLD = BuiltInImage("xgboost", "3.0-5"), BuiltInImage("xgboost", "1.7-1")
HALFWAY = [
    repr((float(np.float32(low)) + float(np.nextafter(np.float32(low), np.float32(np.inf)))) / 2)
    for low in (1.0, 16777216.0, 0.1, 1e-45, 1e-38, 3.3e38)
]
EDGES = [
    *("", "0", "-0", "-0.0", "+5", "1.", ".5", "1e5", "1E-50", "00012", "1e-400", "-1e-46", "7e-46", "1e-45"),
    *(
        "1.7976931348623157e308",
        "5e-324",
        "3.4028235e38",
        "3.4028235677973366e38",
        "340282356779733661637e18",
    ),
    *("1.17549435e-38", "2.2250738585072011e-308", "9007199254740993", "16777217", "1e00000000000000005"),
    *("0.000000000000000000000000000123456789012345678901", "123456789012345678901234567890", "nan", "NaN"),
    *("99999999999999999999", "18446744073709551616", "0e999999999999", "1e-99999999999999"),
]
NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(
        EDGES + HALFWAY + [f"{text}000000000000000000001" for text in HALFWAY if "e" not in text]
    ),
    st.from_regex(r"\A[-+]?[0-9]{1,40}(\.[0-9]{0,40})?([eE][+-]?[0-9]{1,3})?\Z"),
)
BLANKS = st.sampled_from(["", "", "", "\n", "\r\n", " ", "\t\n"])


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    assert compiling.load() is not None


def in_python(body: bytes, kind: str, image: BuiltInImage) -> Any:
    """What the body is without kernels: a matrix, or the text that refuses it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "kernels", lambda: None)
        return either(body, kind, image)


def either(body: bytes, kind: str, image: BuiltInImage) -> Any:
    try:
        return decode(body, kind, image).matrix
    except Undecodable as error:
        return str(error)


def assert_alike(body: bytes, kind: str, image: BuiltInImage = NEW) -> None:
    found, expected = either(body, kind, image), in_python(body, kind, image)
    if isinstance(expected, str):
        assert found == expected
    else:
        assert bits(found) == bits(expected)


def bits(matrix: Any) -> tuple[Any, ...]:
    """The shape and the bits of all cells; NaN is one, and what is absent is NaN."""
    if scipy.sparse.issparse(matrix) and matrix.shape[0] * matrix.shape[1] > 1 << 20:
        entries = matrix.tocoo()
        order = np.lexsort((entries.col, entries.row))
        data = entries.data[order].view(np.uint32).tolist()
        return matrix.shape, entries.row[order].tolist(), entries.col[order].tolist(), data
    cells = np.full(matrix.shape, np.nan, np.float32)
    if scipy.sparse.issparse(matrix):
        entries = matrix.tocoo()
        cells[entries.row, entries.col] = entries.data
    else:
        cells[:] = matrix
    cells[np.isnan(cells)] = np.nan
    return matrix.shape, cells.tobytes()


@st.composite
def csv_bodies(draw: st.DrawFn) -> bytes:
    delimiter = draw(st.sampled_from([",", ",", ", ", "\t", ";", " ", ":"]))
    width = draw(st.integers(1, 6))
    rows = draw(st.lists(st.lists(NUMBERS, min_size=width, max_size=width), min_size=1, max_size=8))
    end = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    return (draw(BLANKS) + end.join(delimiter.join(row) for row in rows) + draw(BLANKS)).encode()


@st.composite
def libsvm_bodies(draw: st.DrawFn) -> bytes:
    column = st.one_of(st.integers(0, 12), st.sampled_from([100, 70_000, 10**6, 999_999_999, 2**31 - 1]))
    lines = []
    for drawn in draw(st.lists(st.lists(column, max_size=5), min_size=1, max_size=6)):
        columns = sorted(set(drawn)) if draw(st.sampled_from([True, True, False])) else drawn
        label = draw(st.sampled_from(["", "1 ", "-1 ", "0.5 ", "x\t ", "\u00e9 "]))
        lines.append(label + " ".join(f"{each}:{draw(NUMBERS)}" for each in columns))
    end = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    return (draw(BLANKS) + end.join(lines) + draw(BLANKS)).encode()


@st.composite
def mutated(draw: st.DrawFn, bodies: st.SearchStrategy[bytes]) -> bytes:
    body = bytearray(draw(bodies))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body)))
        piece = draw(
            st.sampled_from([b",", b"\n", b"\r", b" ", b"e", b"-", b".", b"_", b'"', b"\0", b"n", b":"])
        )
        body[at : at + draw(st.integers(0, 2))] = draw(
            st.sampled_from([piece, b"", draw(st.binary(max_size=3))])
        )
    return bytes(body)


IMAGES = st.sampled_from([NEW, OLD])


@settings(max_examples=150, deadline=None)
@given(csv_bodies())
def test_csv(body: bytes) -> None:
    assert_alike(body, "text/csv")


@settings(max_examples=150, deadline=None)
@given(libsvm_bodies(), IMAGES)
def test_libsvm(body: bytes, image: BuiltInImage) -> None:
    assert_alike(body, "text/libsvm", image)


@settings(max_examples=150, deadline=None)
@given(mutated(csv_bodies()))
def test_damaged_csv(body: bytes) -> None:
    assert_alike(body, "text/csv")


@settings(max_examples=150, deadline=None)
@given(mutated(libsvm_bodies()), IMAGES)
def test_damaged_libsvm(body: bytes, image: BuiltInImage) -> None:
    assert_alike(body, "text/libsvm", image)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(" \n\r\t,;:.0129eE+-nNaA_", max_size=60).map(str.encode)))
def test_any_bytes(body: bytes) -> None:
    if body:
        for kind in ("text/csv", "text/libsvm"):
            assert_alike(body, kind)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"1,2\n3,4", "csv"),
        (b" 1, 2 \r\n,nan\n\n", "csv"),
        (b"0.1;2\n3;4", "csv"),
        (b"1 1:2 3:4\n\n0 2:1e-3", "libsvm"),
        (b"1:2\r\n1:3", "libsvm"),
    ],
)
def test_plain_bodies_never_reach_python(body: bytes, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_csv", None)
    monkeypatch.setattr(decoding, "_libsvm", None)
    assert decode(body, kind, NEW).matrix.dtype == np.float32


def test_what_stands_beyond_the_sniffed_characters() -> None:
    for body in bodies_with_long_first_lines():
        assert_alike(body, "text/csv")


def bodies_with_long_first_lines() -> Iterator[bytes]:
    for length in range(509, 516):
        yield b"1" * length + b",2;3"
        yield b"1" * 250 + b";" + b"2" * (length - 251) + b",5"
        yield b"1" * length + b"\n2,3"


def test_wide_libsvm_is_sparse_and_costs_no_more_than_its_entries() -> None:
    matrix = decode(b"1 999999999:1\n0 5:2", "text/libsvm", OLD).matrix
    assert scipy.sparse.issparse(matrix)
    assert matrix.shape == (2, 1_000_000_000)
    assert_alike(b"1 999999999:1\n0 5:2", "text/libsvm")


def test_many_numbers() -> None:
    random = np.random.default_rng(11)
    numbers = random.integers(0, 1 << 64, 30_000, np.uint64).view(np.float64)
    near = random.integers(0, 0x7F7FFFFF, 30_000, np.uint32).view(np.float32).astype(np.float64)
    near = near * (1 + random.integers(-3, 4, len(near)) * 2.0**-25)  # about halfway between two float32
    for values in (numbers, near):
        kept = values[np.abs(values) < 3.4e38]
        rows = kept[: len(kept) // 4 * 4].reshape(-1, 4).tolist()
        assert_alike("\n".join(",".join(map(repr, row)) for row in rows).encode(), "text/csv")


FLOATS = st.floats(allow_nan=True, allow_infinity=False, width=32)


@st.composite
def record_bodies(draw: st.DrawFn) -> bytes:
    width = draw(st.integers(0, 4))
    kind = draw(st.sampled_from([np.float32, np.float32, np.float64, np.int32]))
    extra = draw(st.sampled_from(["", "", "", "shape", "label", "other"]))
    body = b""
    for _ in range(draw(st.integers(1, 5))):
        drawn = draw(st.lists(FLOATS, min_size=width, max_size=draw(st.sampled_from([width, width, 5]))))
        numbers = np.nan_to_num(np.array(drawn, np.float64)).clip(-9, 9) if kind == np.int32 else drawn
        tensor = Tensor(np.array(numbers, kind), None, (len(drawn),) if extra == "shape" else ())
        label = {"values": Tensor(np.array([draw(FLOATS)], np.float32))} if extra == "label" else {}
        other = {"other": tensor} if extra == "other" else {}
        body += frame(write_record(Record({"values": tensor} | other, label)))
    return body


@settings(max_examples=150, deadline=None)
@given(st.one_of(record_bodies(), mutated(record_bodies())))
def test_records(body: bytes) -> None:
    if not body:
        return
    found = either(body, RECORDS, NEW)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "equal_dense_records", lambda _: None)
        expected = either(body, RECORDS, NEW)
    assert found == expected if isinstance(expected, str) else bits(found) == bits(expected)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_equal_records_are_read_at_once(kind: type[np.generic]) -> None:
    rows = np.random.default_rng(5).normal(size=(50, 41)).astype(kind)
    body = b"".join(frame(write_record(Record({"values": Tensor(row)}))) for row in rows)
    found = equal_dense_records(body)
    assert found is not None
    assert found.tobytes() == rows.astype(np.float32).tobytes()
    assert equal_dense_records(body[:-4]) is None

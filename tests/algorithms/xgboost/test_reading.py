from __future__ import annotations

import contextlib
import struct
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from sagestead.algorithms.xgboost.delimited import _by_arrow, _by_python
from sagestead.algorithms.xgboost.examples import Examples
from sagestead.algorithms.xgboost.faults import UserFault
from sagestead.algorithms.xgboost.formats import Format
from sagestead.algorithms.xgboost.reading import read_examples
from sagestead.algorithms.xgboost.recordio import Record, Tensor, frame, write_record

NAN = float("nan")


def read(
    folder: Path, data_format: Format, *contents: str | bytes, weights: bool = False, name: str = "part"
) -> Examples:
    files = []
    for number, content in enumerate(contents):
        files.append(folder / f"{name}-{number}")
        files[-1].write_bytes(content.encode() if isinstance(content, str) else content)
    return read_examples(files, data_format, weights=weights)


def refusal(folder: Path, data_format: Format, *contents: str | bytes, weights: bool = False) -> str:
    with pytest.raises(UserFault) as refused:
        read(folder, data_format, *contents, weights=weights)
    return str(refused.value)


# CSV


@pytest.mark.parametrize("delimiter", [",", "\t", ";", " ", "|"])
def test_csv_has_the_label_first_and_files_follow_each_other(tmp_path: Path, delimiter: str) -> None:
    first, second = "1,2.5,-3\n0,1e3,4\n".replace(",", delimiter), "2,7,8".replace(",", delimiter)
    data = read(tmp_path, "csv", first, second)
    assert data.labels.tolist() == [1, 0, 2]
    assert data.features.tolist() == [[2.5, -3], [1000, 4], [7, 8]]
    assert data.features.dtype == np.float32
    assert data.weights is None


def test_csv_weights_are_the_second_column(tmp_path: Path) -> None:
    data = read(tmp_path, "csv", "1,0.5,7,8\n0,2,9,10\n", weights=True)
    assert data.weights is not None
    assert data.weights.tolist() == [0.5, 2]
    assert data.features.tolist() == [[7, 8], [9, 10]]


@pytest.mark.parametrize(
    "text", ["1,,3\n0,2,\n", "1,,3\r\n0,2,\r\n", "\ufeff1,,3\n\n0,2,\n", "+1,,3\n0, 2 ,"]
)
def test_empty_cells_are_missing_and_line_ends_do_not_matter(tmp_path: Path, text: str) -> None:
    data = read(tmp_path, "csv", text)
    assert data.labels.tolist() == [1, 0]
    np.testing.assert_array_equal(data.features, np.array([[NAN, 3], [2, NAN]], np.float32))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "label,age\n1,2\n",
            (
                "Failed to load csv data with exception:\npart-0, line 1: 'label' is not a number. "
                "The data must have no header row."
            ),
        ),
        ("1,2\n3,x\n", "part-0, line 2: 'x' is not a number."),
        ("1,2\n3\n", "part-0, line 2: 1 columns instead of 2."),
        ('1,"2"\n3,"4"\n', "part-0, line 1: '\"2\"' is not a number."),
        ("5\n6\n", "Could not determine delimiter on line 5:\n"),
    ],
)
def test_what_is_no_number_is_named_with_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(tmp_path, "csv", text)


@pytest.mark.parametrize("piece", [',"', "1,'2 "])
def test_a_first_line_made_to_be_slow_is_refused_at_once(tmp_path: Path, piece: str) -> None:
    began = time.process_time()
    assert "part-0, line 1: " in refusal(tmp_path, "csv", piece * 20_000 + "\n")
    assert time.process_time() - began < 3.0


def test_very_many_columns(tmp_path: Path) -> None:
    width = (1 << 15) + 1
    data = read(tmp_path, "csv", ",".join(map(str, range(width))) + "\n" + "0" + "," * (width - 1) + "7\n")
    np.testing.assert_array_equal(data.features[0], np.arange(1, width, dtype=np.float32))
    assert data.features[1, -1] == 7
    assert np.isnan(data.features[1, :-1]).all()


def test_files_of_one_channel_have_one_width(tmp_path: Path) -> None:
    assert "part-1, line 1: 3 columns instead of 2." in refusal(tmp_path, "csv", "1,2\n", "1,2,3\n")
    assert "has 2 columns; a label, a weight and features" in refusal(tmp_path, "csv", "1,2\n", weights=True)


def test_rows_beyond_the_block_size_are_all_there(tmp_path: Path) -> None:
    rows = 300_000
    data = read(tmp_path, "csv", "".join(f"{n % 2},{n},0.123456789\n" for n in range(rows)))
    np.testing.assert_array_equal(data.features[:, 0], np.arange(rows, dtype=np.float32))


numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**25), 10**25).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=20, min_value=-(10**8), max_value=10**8).map(
        str
    ),
    st.sampled_from(["", "nan", "NaN", "-0", "1e400", "5e-324", "1E5", ".5", "5.", "007"]),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=30))
def test_fast_and_slow_reading_give_the_bits_of_pythons_float(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]
) -> None:
    file = tmp_path_factory.mktemp("csv") / "data"
    file.write_text("\n".join(",".join(row) for row in rows) + "\n")
    with np.errstate(over="ignore"):
        expected = np.array([[float(cell or "nan") for cell in row] for row in rows]).astype(np.float32)
    for reader in (_by_arrow, _by_python):
        found = np.concatenate(list(reader(file, ",", 3)))
        np.testing.assert_array_equal(
            found.view(np.uint32) * ~np.isnan(found), expected.view(np.uint32) * ~np.isnan(expected)
        )
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))


# LIBSVM


def test_libsvm_indices_are_columns_as_written(tmp_path: Path) -> None:
    data = read(tmp_path, "libsvm", "1 0:1.5 3:2\n0 1:0 # a comment\n", "\n-1\t2:7 \n")
    assert data.labels.tolist() == [1, 0, -1]
    assert data.features.toarray().tolist() == [[1.5, 0, 0, 2], [0, 0, 0, 0], [0, 0, 7, 0]]
    assert data.features.nnz == 4
    assert data.weights is None
    assert data.groups is None


def test_libsvm_weights_and_groups(tmp_path: Path) -> None:
    data = read(tmp_path, "libsvm", "1:0.5 qid:3 0:1\n0 qid:3 0:2\n1:2 qid:4 0:3\n")
    assert data.weights is not None
    assert data.groups is not None
    assert data.weights.tolist() == [0.5, 1, 2]
    assert data.groups.tolist() == [3, 3, 4]


@pytest.mark.parametrize(
    "line", ["1,2,3", "a 0:1", "1 0:1 2", "1 0:1:2", "1:1:1 0:1", "1 x:1", "1 -1:1", "1 0:x"]
)
def test_a_first_line_of_another_form_is_shown(tmp_path: Path, line: str) -> None:
    assert refusal(tmp_path, "libsvm", f"{line}\n1 0:1\n") == (
        f"First line '{line}\n...' of file 'part-0' is not 'LIBSVM' format. "
        "Please ensure the file is in 'LIBSVM' format."
    )


def test_a_later_line_of_another_form_is_named(tmp_path: Path) -> None:
    message = refusal(tmp_path, "libsvm", "1 0:1\n0 0:2\n1 0:1 1;3\n")
    assert message.startswith(
        "Failed to load libsvm data with exception:\npart-0, line 3: '1 0:1 1;3' is not"
    )


# Parquet


def write_table(path: Path, table: pa.Table) -> bytes:
    parquet.write_table(table, path / "table")
    return (path / "table").read_bytes()


def test_parquet_takes_numbers_of_every_type(tmp_path: Path) -> None:
    table = pa.table(
        {"y": pa.array([1, 0]), "a": pa.array([1.5, None]), "b": [True, False], "c": pa.array([7, None])}
    )
    data = read(tmp_path, "parquet", write_table(tmp_path, table))
    assert data.labels.tolist() == [1, 0]
    np.testing.assert_array_equal(data.features, np.array([[1.5, 1, 7], [NAN, 0, NAN]], np.float32))


def test_a_pandas_index_is_not_a_feature(tmp_path: Path) -> None:
    table = pa.table({"y": [1.0], "a": [2.0], "i": [9]})
    table = table.replace_schema_metadata({b"pandas": b'{"index_columns": ["i"], "columns": []}'})
    assert read(tmp_path, "parquet", write_table(tmp_path, table)).features.tolist() == [[2]]


def test_parquet_that_holds_no_numbers_is_named(tmp_path: Path) -> None:
    table = write_table(tmp_path, pa.table({"y": [1.0], "city": ["Lisbon"]}))
    assert "part-0: column 'city' has type string" in refusal(tmp_path, "parquet", table)
    assert "Failed to load parquet data with exception:\npart-0: " in refusal(
        tmp_path, "parquet", b"no parquet"
    )
    narrow = write_table(tmp_path, pa.table({"y": [1.0], "a": [1.0]}))
    wide = write_table(tmp_path, pa.table({"y": [1.0], "a": [1.0], "b": [1.0]}))
    assert "different numbers of columns" in refusal(tmp_path, "parquet", narrow, wide)


# RecordIO


def record(features: list[float], label: list[float], keys: list[int] | None = None, width: int = 0) -> bytes:
    tensor = Tensor(
        np.array(features, np.float32),
        None if keys is None else np.array(keys, np.uint64),
        (width,) if width else (),
    )
    return frame(write_record(Record({"values": tensor}, {"values": Tensor(np.array(label, np.float64))})))


def test_dense_records_are_rows(tmp_path: Path) -> None:
    data = read(tmp_path, "recordio-protobuf", record([1, 2], [1]) + record([3, 4], [0]), record([5, 6], [1]))
    assert data.features.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert data.labels.tolist() == [1, 0, 1]


def test_sparse_records_have_the_width_that_they_say(tmp_path: Path) -> None:
    content = record([7], [1], [1], 4) + record([8, 9], [0], [0, 2], 4)
    assert read(tmp_path, "recordio-protobuf", content).features.toarray().tolist() == [
        [0, 7, 0, 0],
        [8, 0, 9, 0],
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (record([1], []), "Got input data without labels. Please check the input data set."),
        (record([1], [1]) + record([1, 2], [1]), "record 2 has 2 values, the first one 1."),
        (record([1], [1], [5], 4), "a key outside its width of 4 columns"),
        (
            record([1], [1]) + b"\0\0\0\0\0\0\0\0",
            "part-0, after record 1: A RecordIO frame begins with 0x00000000",
        ),
        (frame(b"") + b"", "without labels"),
        (struct.pack("<II", 0xCED7230A, 99), "Failed to load recordio-protobuf data with exception:\npart-0"),
    ],
)
def test_records_that_cannot_be_used_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    assert message in refusal(tmp_path, "recordio-protobuf", content)


# All


SOUND: dict[Format, bytes] = {
    "csv": b"1,2,3\r\n4,,6\n",
    "libsvm": b"1:0.5 qid:1 0:1 3:2.5\n0 qid:2 1:1 # x\n",
    "recordio-protobuf": record([7], [1], [1], 300) + record([8, 9], [0], [0, 299], 300),
}


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_files_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    data_format = data.draw(st.sampled_from(sorted(SOUND)))
    content = bytearray(SOUND[data_format])
    for at in data.draw(st.lists(st.integers(0, len(content) - 4), min_size=1, max_size=4)):
        content[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    file = tmp_path_factory.mktemp("damaged") / "part"
    file.write_bytes(content or b"\n")
    with contextlib.suppress(UserFault):
        assert read_examples([file], data_format, weights=data.draw(st.booleans())).rows >= 0


def test_damaged_parquet_is_refused(tmp_path: Path) -> None:
    content = write_table(tmp_path, pa.table({"y": [1.0], "a": [2.0]}))
    for damaged in (content[:-9], content[:40] + content[60:], content[:-20] + b"\xff" * 12 + content[-8:]):
        assert refusal(tmp_path, "parquet", damaged).startswith(
            "Failed to load parquet data with exception:\n"
        )

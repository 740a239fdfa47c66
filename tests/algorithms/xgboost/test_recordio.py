from __future__ import annotations

import contextlib
import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagestead.algorithms.xgboost.recordio import (
    MAGIC,
    MalformedRecord,
    Record,
    Tensor,
    frame,
    parse_record,
    read_recordio,
    write_record,
)

# Record(label={"score": float32_tensor(values=[0.5])}), written down by hand from the protobuf wire format.
SCORE_HALF = bytes.fromhex("12110a0573636f7265120812060a040000003f")


def read(data: bytes) -> list[bytes]:
    return list(read_recordio(io.BytesIO(data)))


def test_bytes_of_a_score_are_protobufs() -> None:
    record = Record(label={"score": Tensor(np.array([0.5], np.float32))})
    assert write_record(record) == SCORE_HALF
    back = parse_record(SCORE_HALF)
    assert back.label["score"].values.tolist() == [0.5]
    assert back.label["score"].keys is None


def test_frames_are_padded_to_four_bytes() -> None:
    assert frame(b"abcde") == struct.pack("<II", MAGIC, 5) + b"abcde\0\0\0"
    assert read(frame(b"abcde") + frame(b"") + frame(b"wxyz")) == [b"abcde", b"", b"wxyz"]


def test_a_record_split_at_its_own_magic_is_joined_with_it() -> None:
    def part(flag: int, content: bytes) -> bytes:
        return struct.pack("<II", MAGIC, flag << 29 | len(content)) + content + b"\0" * (-len(content) % 4)

    magic = struct.pack("<I", MAGIC)
    assert read(part(1, b"abcd") + part(2, b"") + part(3, b"e")) == [b"abcd" + magic + magic + b"e"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x0a\x23", "header"),
        (b"\0" * 8, "0x00000000"),
        (struct.pack("<II", MAGIC, 100) + b"abc", "ends within a RecordIO frame"),
        (struct.pack("<II", MAGIC, 2 << 29), "did not begin"),
        (struct.pack("<II", MAGIC, 1 << 29), "ends within a RecordIO record"),
        (struct.pack("<II", MAGIC, 1 << 29) + frame(b""), "before the one"),
        (struct.pack("<II", MAGIC, 5 << 29), "part flag 5"),
    ],
)
def test_broken_frames_are_named(data: bytes, why: str) -> None:
    with pytest.raises(MalformedRecord, match=why):
        read(data)


def test_a_record_over_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(MalformedRecord, match="longer than 10 bytes"):
        list(read_recordio(io.BytesIO(frame(b"12345678901")), limit=10))


def test_values_written_one_by_one_are_read_like_packed_ones() -> None:
    tensor = b"".join(b"\x0d" + struct.pack("<f", v) for v in (1.0, 2.5)) + b"\x10\x07\x10\xac\x02"
    value = b"\x12" + bytes([len(tensor)]) + tensor
    entry = b"\x0a\x06values\x12" + bytes([len(value)]) + value
    features = parse_record(b"\x0a" + bytes([len(entry)]) + entry).features
    assert features["values"].values.tolist() == [1.0, 2.5]
    assert features["values"].keys is not None
    assert features["values"].keys.tolist() == [7, 300]


def test_unknown_fields_are_passed_over_and_bytes_values_refused() -> None:
    assert parse_record(b"\x1a\x03uid" + SCORE_HALF).label["score"].values.tolist() == [0.5]
    with pytest.raises(MalformedRecord, match="'a' holds bytes"):
        parse_record(b"\x0a\x09\x0a\x01a\x12\x04\x4a\x02\x0a\x00")


def test_keys_and_values_must_be_as_many() -> None:
    tensor = Tensor(np.array([1.0], np.float32), np.array([1, 2], np.uint64))
    with pytest.raises(MalformedRecord, match="1 values but 2 keys"):
        parse_record(write_record(Record(features={"values": tensor})))


tensors = st.one_of(
    st.tuples(st.just(np.float32), st.lists(st.floats(width=32, allow_nan=False), max_size=20)),
    st.tuples(st.just(np.float64), st.lists(st.floats(allow_nan=False), max_size=20)),
    st.tuples(st.just(np.int32), st.lists(st.integers(-(2**31), 2**31 - 1), max_size=20)),
)


@settings(max_examples=60, deadline=None)
@given(tensors, st.text(max_size=5), st.booleans(), st.lists(st.integers(0, 2**64 - 1), max_size=3))
def test_what_is_written_is_read_back(
    tensor: tuple[type[np.generic], list[float]],
    name: str,
    sparse: bool,  # noqa: FBT001 - drawn
    shape: list[int],
) -> None:
    values = np.array(tensor[1], tensor[0])
    keys = np.arange(values.size, dtype=np.uint64) * np.uint64(2**57) if sparse and values.size else None
    record = Record(features={name: Tensor(values, keys, tuple(shape))}, label={"values": Tensor(values)})
    (message,) = read(frame(write_record(record)))
    back = parse_record(message)
    assert back.features[name].values.dtype == values.dtype
    np.testing.assert_array_equal(back.features[name].values, values)
    np.testing.assert_array_equal(back.label["values"].values, values)
    assert back.features[name].shape == tuple(shape)
    if keys is None:
        assert back.features[name].keys is None
    else:
        np.testing.assert_array_equal(back.features[name].keys, keys)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_mutated_bytes_give_records_or_a_sentence(data: st.DataObject) -> None:
    tensor = Tensor(np.array([1.0, 2.0], np.float32), np.array([3, 400], np.uint64), (2, 500))
    good = frame(write_record(Record(features={"values": tensor}, label={"values": tensor})))
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + data.draw(st.binary(max_size=4)) + good[at + data.draw(st.integers(0, 3)) :]
    with contextlib.suppress(MalformedRecord):
        for message in read(bad):
            parse_record(message)

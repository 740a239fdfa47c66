from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagestead.wire.frames import (
    FRAME_LIMIT,
    AnswerFrame,
    BrokenFrame,
    CancelFrame,
    Decoder,
    Frame,
    GoodbyeFrame,
    HelloFrame,
    PingFrame,
    RequestFrame,
    answer_mold,
    encode,
    joined,
    request_mold,
    texts_at,
)

IDS = st.integers(0, 2**32 - 1)
TEXTS = st.none() | st.text(max_size=40)
FRAMES: st.SearchStrategy[Frame] = st.one_of(
    st.builds(RequestFrame, IDS, st.binary(max_size=80), TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, IDS),
    st.builds(AnswerFrame, IDS, IDS, st.text(max_size=40), st.binary(max_size=80), TEXTS),
    st.builds(PingFrame, IDS),
    st.builds(GoodbyeFrame, IDS),
    st.builds(CancelFrame, IDS),
    st.builds(HelloFrame, IDS, IDS),
)


def test_a_request_has_these_bytes() -> None:
    frame = RequestFrame(7, b"1,2", content_type="text/csv", inference_id="x", wait=60_000)
    assert encode(frame) == (
        b"\x00\x00\x00\x23\x01\x00\x00\x00\x07\x00\x00\xea\x60\x00\x00\x00\x13"
        b"\x00\x08text/csv" + b"\xff\xff" * 3 + b"\x00\x01x" + b"1,2"
    )


def test_an_answer_has_these_bytes() -> None:
    frame = AnswerFrame(7, 200, "text/csv", b"0.5", None)
    assert encode(frame) == (
        b"\x00\x00\x00\x1c\x02\x00\x00\x00\x07\x00\x00\x00\xc8\x00\x00\x00\x0c\x00\x08text/csv\xff\xff0.5"
    )


def test_a_cancellation_has_these_bytes() -> None:
    assert encode(CancelFrame(7)) == b"\x00\x00\x00\x0d\x05\x00\x00\x00\x07" + bytes(8)


@given(frame=FRAMES)
def test_a_mold_is_all_of_a_frame_but_its_length_id_wait_and_body(frame: Frame) -> None:
    data = encode(frame)
    if isinstance(frame, RequestFrame):
        texts = texts_at(b"before" + data, 6)
        assert texts is not None
        mold = request_mold(texts)
        assert data == data[:4] + mold[:1] + data[5:13] + mold[1:] + frame.body
    elif isinstance(frame, AnswerFrame):
        mold = answer_mold(frame.status, joined(frame.content_type, frame.custom_attributes))
        assert data == data[:4] + mold[:1] + data[5:9] + mold[1:] + frame.body
    else:
        assert texts_at(data, 0) is None
    assert texts_at(data[:16], 0) is None


@given(frames=st.lists(FRAMES, max_size=6), cuts=st.lists(st.integers(0, 600), max_size=8))
def test_frames_survive_any_cutting_of_the_stream(frames: list[Frame], cuts: list[int]) -> None:
    stream = b"".join(map(encode, frames))
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    decoder = Decoder()
    seen = [frame for a, b in itertools.pairwise(edges) for frame in decoder.feed(stream[a:b])]
    assert seen == frames
    assert decoder.pending == 0


@given(data=st.binary(max_size=200))
def test_any_bytes_give_frames_or_one_refusal(data: bytes) -> None:
    decoder = Decoder(limit=128)
    try:
        decoder.feed(data)
    except BrokenFrame:
        return
    assert decoder.pending <= 128 + 4


@given(frame=FRAMES, position=st.integers(4, 200), flip=st.integers(1, 255))
def test_a_changed_byte_is_a_frame_or_one_refusal(frame: Frame, position: int, flip: int) -> None:
    data = bytearray(encode(frame))
    data[min(position, len(data) - 1)] ^= flip
    try:
        seen = Decoder().feed(bytes(data))
    except BrokenFrame:
        return
    assert len(seen) == 1


@pytest.mark.parametrize(
    "head",
    [b"\x00\x00\x00\x04\x03\x00\x00\x00\x00", b"\xff\xff\xff\xff\x01\x00\x00\x00\x01"],
    ids=["shorter than its head", "four gigabytes"],
)
def test_a_length_outside_the_limits_is_refused_once_the_head_is_there(head: bytes) -> None:
    with pytest.raises(BrokenFrame, match="a frame of"):
        Decoder().feed(head + bytes(8))


def test_what_is_too_large_is_not_encoded() -> None:
    with pytest.raises(BrokenFrame, match="at most"):
        encode(RequestFrame(1, bytes(FRAME_LIMIT)))
    with pytest.raises(BrokenFrame, match="text of 70000"):
        encode(RequestFrame(1, b"", content_type="x" * 70000))
    with pytest.raises(BrokenFrame, match="UTF-8"):
        encode(RequestFrame(1, b"", content_type="\ud800"))
    with pytest.raises(BrokenFrame, match="number -1"):
        encode(AnswerFrame(1, -1, "text/csv", b""))


@pytest.mark.parametrize(
    ("size", "texts"),
    [(9, b"\x00\x08text"), (4, b"\xff\xff\xff\xff"), (11, b"\xff\xff" * 5 + b"x"), (2, b"\xff\xff")],
    ids=["a text longer than its section", "a section cut short", "more than five", "fewer than five"],
)
def test_a_request_has_exactly_five_texts(size: int, texts: bytes) -> None:
    with pytest.raises(BrokenFrame, match="texts"):
        Decoder().feed(struct.pack("!IBIII", 13 + len(texts), 1, 1, 0, size) + texts)

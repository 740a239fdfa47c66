"""Rows answered from their frames have the bytes that they have otherwise."""

from __future__ import annotations

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from sagestead.algorithms.xgboost.serving import load
from sagestead.forest import compiling, scoring
from sagestead.wire.frames import AnswerFrame, PingFrame, RequestFrame, encode
from sagestead.worker.contract import FrameModel, Invocation

COLUMNS = 3
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost"
CELLS = st.sampled_from(["", "nan", "-0", "1e39", " 1", "x", "\n"]) | st.floats(
    width=32, allow_nan=False, allow_infinity=False
).map(repr)
ROWS = st.lists(CELLS, min_size=COLUMNS - 1, max_size=COLUMNS + 1).map(lambda cells: ",".join(cells).encode())
REQUESTS = st.lists(
    st.builds(
        RequestFrame,
        st.integers(0, 2**32 - 1),
        ROWS | st.sampled_from([b"1,2,3", b"0.5,,1\r\n"]),
        st.sampled_from(["text/csv", "text/csv", "csv", "text/libsvm", None]),
        st.sampled_from([None, "text/csv", "application/json"]),
        st.sampled_from([None, None, "trace=1"]),
        wait=st.sampled_from([60_000, 60_000, 0]),
    ),
    min_size=1,
    max_size=8,
)


@pytest.fixture(scope="module", params=["1.7-1", "1.0-1"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FrameModel:
    assert compiling.load() is not None
    rows = np.random.default_rng(5).random((200, COLUMNS)).astype(np.float32)
    parameters = {"objective": "binary:logistic", "nthread": 1, "max_depth": 3}
    booster = xgboost.train(parameters, xgboost.DMatrix(rows, label=rows[:, 0] > 0.5), 5)
    folder = tmp_path_factory.mktemp("model")
    (folder / "xgboost-model").write_bytes(booster.save_raw("ubj"))
    loaded = load(folder, f"{IMAGE}:{request.param}", {})
    assert isinstance(loaded, FrameModel)
    return loaded


def answer_of(model: FrameModel, frame: RequestFrame) -> bytes:
    answer = model.invoke(Invocation(frame.body, frame.content_type, frame.accept, frame.custom_attributes))
    return encode(
        AnswerFrame(frame.id, answer.status, answer.content_type, answer.body, answer.custom_attributes)
    )


@settings(deadline=None)
@given(requests=REQUESTS, cut=st.integers(0, 40), before=st.binary(max_size=3))
def test_what_is_answered_from_frames_has_the_bytes_of_invoke(
    model: FrameModel, requests: list[RequestFrame], cut: int, before: bytes
) -> None:
    sizes = [len(encode(frame)) for frame in requests]
    frames = before + b"".join(map(encode, requests))
    frames = frames[: len(frames) - cut]
    count, last = model.count_simple(frames, len(before), 64)
    answers, following = model.answer_simple(frames, len(before), count)
    ends = [len(before) + sum(sizes[:number]) for number in range(len(sizes) + 1)]
    answered = ends.index(following)
    assert answered <= count
    assert following <= len(frames)
    assert answers == b"".join(answer_of(model, frame) for frame in requests[:answered])
    assert all(frame.wait for frame in requests[:count])
    if count:
        assert last == requests[count - 1].id


def test_plain_rows_are_answered_from_frames_as_many_as_are_asked(model: FrameModel) -> None:
    rows = [RequestFrame(number, b"0.%d,1,2" % number, "text/csv", wait=9) for number in range(70)]
    frames = b"".join(map(encode, rows)) + encode(PingFrame(1))
    assert model.count_simple(frames, 0, 64) == (64, 63)
    assert model.count_simple(frames, 0, 99) == (70, 69)
    answers, following = model.answer_simple(frames, 0, 70)
    assert answers == b"".join(answer_of(model, row) for row in rows)
    assert frames[following:] == encode(PingFrame(1))
    assert model.count_simple(frames, following, 64) == (0, 0)


def test_without_kernels_nothing_is_simple(model: FrameModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "kernels", lambda: None)
    frames = encode(RequestFrame(1, b"1,2,3", "text/csv"))
    assert model.count_simple(frames, 0, 64) == (0, 0)
    assert model.answer_simple(frames, 0, 1) == (b"", 0)


def test_frames_that_are_longer_than_a_body_may_be_are_left_alone(model: FrameModel) -> None:
    row = encode(RequestFrame(1, b"1,2,3", "text/csv"))
    assert model.count_simple(row, 0, 64) == (1, 1)
    assert model.count_simple(row + bytes(6 << 20), 0, 64) == (0, 0)

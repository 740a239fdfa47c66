"""Answers of many rows are printed by kernels, and say what Python's `repr` says."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagestead.algorithms.xgboost import encoding
from sagestead.algorithms.xgboost.encoding import CSV, JSON, Predictions, encode
from sagestead.domain.images import BuiltInImage
from sagestead.forest import compiling

IMAGES = [BuiltInImage("xgboost", tag) for tag in ("1.0-1", "3.0-5")]
FLOATS = st.one_of(
    st.floats(width=32),
    st.integers(0, (1 << 32) - 1).map(lambda bits: float(np.uint32(bits).view(np.float32))),
    st.integers(-45, 38).map(lambda power: float(np.float32(f"1e{power}"))),
    st.integers(-149, 127).map(lambda power: 2.0**power),
    st.sampled_from([0.0, -0.0, 9999.0, 1e15, 1e16, 9.99999e15, 1e17, 1e-4, 9.9999e-5, 1e-5, 0.3, 100.0]),
)


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    assert compiling.load() is not None


@settings(max_examples=300, deadline=None)
@given(st.lists(FLOATS, min_size=1, max_size=60))
def test_a_kernel_prints_what_repr_prints(values: list[float]) -> None:
    ready = compiling.kernels()
    assert ready is not None
    rows = np.array(values, np.float32).reshape(-1, 1)
    text = ready.written(rows, b"<", b"", b">\n").tobytes().decode()
    assert text == "".join(f"<{value!r}>\n" for value in rows[:, 0].tolist())


def test_random_float32_of_every_exponent() -> None:
    ready = compiling.kernels()
    assert ready is not None
    bits = np.random.default_rng(3).integers(0, 1 << 32, 100_000, np.uint32)
    rows = bits.view(np.float32)[np.isfinite(bits.view(np.float32))].reshape(-1, 1)
    text = ready.written(rows, b"", b"", b"\n").tobytes().decode()
    assert text.split() == list(map(repr, rows[:, 0].tolist()))


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.tag)
@pytest.mark.parametrize("accept", [CSV, JSON])
@pytest.mark.parametrize("mode", ["request", "batch"])
def test_every_shape_of_answer_is_the_same_with_and_without_kernels(
    image: BuiltInImage, accept: str, mode: str
) -> None:
    batch = mode == "batch"
    for shape in ((1,), (30,), (1, 3), (30, 3), (30, 1)):
        for odd in (0.25, np.nan, -np.inf):
            predictions: Predictions = np.random.default_rng(1).normal(size=shape).astype(np.float32)
            predictions.flat[-1] = odd
            answer = encode(predictions, accept, image, batch=batch)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(encoding, "kernels", lambda: None)
                assert encode(predictions, accept, image, batch=batch) == answer
            if accept == JSON and not batch and image is IMAGES[1]:
                scores = [{"score": value} for value in predictions.tolist()]
                assert answer == json.dumps({"predictions": scores}).encode()


def test_a_view_of_predictions_is_printed_in_order() -> None:
    predictions = np.arange(60, dtype=np.float32).reshape(30, 2)[:, 1]
    text = encode(predictions, CSV, IMAGES[1], batch=False).decode()
    assert text.split() == [f"{value}.0" for value in range(1, 60, 2)]

"""A row of text is scored as its numbers are, or left to who reads it."""

from __future__ import annotations

import numpy as np
import pytest
from tests.forest.ensembles import FEATURES, ensemble_of, hard_rows, trained

from sagestead.forest import compiling, scoring, transforms
from sagestead.forest.scoring import Scorer

ROW = ",".join(["0.25"] * FEATURES).encode()


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    assert compiling.load() is not None


@pytest.mark.parametrize("objective", sorted(transforms.KNOWN))
@pytest.mark.parametrize("booster", ["gbtree", "gblinear"])
def test_one_row_has_the_bits_of_its_numbers(objective: str, booster: str) -> None:
    ensemble = ensemble_of(trained(objective, booster, 3))
    scorer = Scorer.of(ensemble)
    for row in hard_rows(np.random.default_rng(3), ensemble, 20):
        text = ",".join("" if np.isnan(cell) else repr(float(cell)) for cell in row)
        found = scorer.score_row(text.encode())
        if objective == "multi:softprob":
            assert found is None
        else:
            assert found is not None
            assert np.float32(found).tobytes() == scorer.score(row[None, :]).tobytes()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"1",
        ROW + b",1",
        ROW[:-5],
        ROW + b"\n" + ROW,
        ROW[:-4] + b"inf",
        ROW[:-4] + b"1e39",
        ROW + b"x",
    ],
)
def test_what_is_not_one_whole_plain_row_is_left_alone(body: bytes) -> None:
    scorer = Scorer.of(ensemble_of(trained("reg:squarederror", "gbtree", 1)))
    assert scorer.score_row(ROW + b"\r\n") is not None
    assert scorer.score_row(body) is None


def test_without_kernels_every_row_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer.of(ensemble_of(trained("reg:squarederror", "gbtree", 1)))
    monkeypatch.setattr(scoring, "kernels", lambda: None)
    assert scorer.score_row(ROW) is None


@pytest.mark.parametrize("objective", ["binary:logistic", "multi:softprob", "multi:softmax"])
@pytest.mark.parametrize("booster", ["gbtree", "gblinear"])
def test_rows_that_are_scored_as_they_are_read_have_the_bits_of_their_numbers(
    objective: str, booster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensemble = ensemble_of(trained(objective, booster, 3))
    rows = hard_rows(np.random.default_rng(5), ensemble, 700)
    body = "\n".join(",".join("" if np.isnan(cell) else repr(float(cell)) for cell in row) for row in rows)
    monkeypatch.setattr(scoring, "_WORTH_A_THREAD", 1000)
    monkeypatch.setattr(scoring, "_MOST_PARTS", 1000)
    for at_once, threads in ((1, 1), (7, 2), (1 << 22, 1), (1 << 22, 2), (1 << 22, 5)):
        monkeypatch.setattr(scoring, "_STEPS_AT_ONCE", at_once)
        scorer = Scorer.of(ensemble)
        found = scorer.score_csv(body.encode(), threads)
        assert found is not None
        assert found.tobytes() == scorer.score(rows).tobytes()
    assert scorer.score_csv(b"\n".join([ROW[: -len(b",0.25")]] * 9)) is not None


@pytest.mark.parametrize(
    "last", [b"", b"1", ROW + b",1", ROW[:-5], ROW[:-4] + b"1e39", ROW[:-4] + b"+-1", ROW + b"\n\n" + ROW]
)
@pytest.mark.parametrize("before", [1, 40, 2000])
def test_rows_among_which_one_is_not_plain_are_left_alone(
    last: bytes, before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "_WORTH_A_THREAD", 1000)
    monkeypatch.setattr(scoring, "_MOST_PARTS", 1000)
    scorer = Scorer.of(ensemble_of(trained("reg:squarederror", "gbtree", 1)))
    body = b"\n".join([*[ROW] * before, last, ROW])
    for threads in (1, 2, 3):
        assert scorer.score_csv(body, threads) is None
        assert scorer.score_csv(b"\n".join([ROW] * before), threads) is not None


def test_a_body_whose_end_is_no_row_is_left_alone() -> None:
    scorer = Scorer.of(ensemble_of(trained("reg:squarederror", "gbtree", 1)))
    assert scorer.score_csv(b"1,2\n3,4\n") is not None
    for body in (b",,\n,", b"1,2,3\n4", b"1,2,3\n4,5,6\n\n7"):
        assert scorer.score_csv(body) is None


@pytest.mark.parametrize("body", [b"", b"\n", b" ", b"\r\n"])
def test_a_body_without_rows_is_left_alone(body: bytes) -> None:
    scorer = Scorer.of(ensemble_of(trained("reg:squarederror", "gbtree", 1)))
    assert scorer.score_csv(body, 2) is None
    assert scorer.score_row(body) is None

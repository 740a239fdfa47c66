"""Every model of the corpus predicts what the XGBoost that wrote it predicted."""

from __future__ import annotations

import numpy as np
import pytest
from tests.forest.library import cases

from sagestead.forest import compiling
from sagestead.forest.files import read
from sagestead.forest.scoring import Scorer

ROUNDING = 1e-6
"""Of transforms before 1.3, which called other exponentials; sums are exact in every version."""


@pytest.mark.parametrize("version", sorted({version for version, _ in cases()}))
def test_each_version_is_matched(version: str) -> None:
    compiling.load()
    for (written_by, name), case in cases().items():
        if written_by != version:
            continue
        scorer = Scorer.of(read(next(iter(case.files.values()))), range(case.trees))
        margin = scorer.score(case.rows, output_margin=True)
        assert margin.tobytes() == case.margin.tobytes(), name
        prediction = scorer.score(case.rows)
        assert prediction.shape == case.prediction.shape, name
        if version >= "1.3":
            assert prediction.tobytes() == case.prediction.tobytes(), name
        else:
            assert np.allclose(prediction, case.prediction, rtol=ROUNDING, atol=0), name

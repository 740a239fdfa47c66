"""BentoML with two workers, as its documentation shows it."""

import os

import bentoml
import numpy as np
import xgboost


@bentoml.service(workers=2, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Forest:
    """The model behind JSON: {"rows": [[...]]} to a list of predictions."""

    def __init__(self) -> None:
        self.booster = xgboost.Booster(model_file=os.environ["MODEL"])
        self.booster.set_param({"nthread": 1})

    @bentoml.api
    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Score."""
        return self.booster.inplace_predict(rows.astype(np.float32))

"""KServe's Python server with two workers, the model loaded as its XGBoost server loads it."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import xgboost
from kserve import Model, ModelServer


class Forest(Model):
    """The model behind KServe's first protocol: {"instances": [[...]]} to {"predictions": [...]}."""

    def __init__(self) -> None:
        super().__init__("forest")
        self.load()

    def load(self) -> bool:
        """Load the model."""
        self.booster = xgboost.Booster(params={"nthread": 1}, model_file=os.environ["MODEL"])
        self.ready = True
        return self.ready

    def predict(
        self, payload: dict[str, Any], headers: object = None, response_headers: object = None
    ) -> dict[str, Any]:
        """Score."""
        del headers, response_headers
        rows = np.array(payload["instances"], dtype=np.float32)
        return {"predictions": self.booster.inplace_predict(rows).tolist()}


if __name__ == "__main__":
    ModelServer(
        http_port=int(os.environ["PORT"]), workers=2, enable_grpc=False, access_log_format=None
    ).start([Forest()])

"""LitServe with two workers, as its documentation shows it."""

import os
from typing import Any

import litserve
import numpy as np
import xgboost
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Forest(litserve.LitAPI):
    """The model behind JSON: {"rows": [[...]]} to {"predictions": [...]}."""

    def setup(self, device: str) -> None:
        """Load the model, once a worker."""
        del device
        self.booster = xgboost.Booster(model_file=os.environ["MODEL"])
        self.booster.set_param({"nthread": 1})

    def decode_request(self, request: dict[str, Any]) -> Floats:
        """Return the rows."""
        return np.array(request["rows"], dtype=np.float32)

    def predict(self, x: Floats) -> Floats:
        """Score."""
        scores: Floats = self.booster.inplace_predict(x)
        return scores

    def encode_response(self, output: Floats) -> dict[str, Any]:
        """Return JSON's values."""
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Forest(), accelerator="cpu", workers_per_device=2)
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), num_api_servers=1, generate_client_file=False)

"""Ray Serve with two replicas, as its documentation shows it."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import ray
import xgboost
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=2, ray_actor_options={"num_cpus": 1}, max_ongoing_requests=64)
class Forest:
    """The model behind JSON: {"rows": [[...]]} to a list of predictions."""

    def __init__(self, file: str) -> None:
        self.booster = xgboost.Booster(model_file=file)
        self.booster.set_param({"nthread": 1})

    async def __call__(self, request: Request) -> list[float]:
        """Score."""
        rows = np.array((await request.json())["rows"], dtype=np.float32)
        scores: list[float] = self.booster.inplace_predict(rows).tolist()
        return scores


if __name__ == "__main__":
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100_000_000, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
    serve.run(Forest.bind(os.environ["MODEL"]))
    over.wait()
    serve.shutdown()
    ray.shutdown()

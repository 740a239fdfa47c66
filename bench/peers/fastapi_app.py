"""FastAPI as a competent user writes it: rows as text/csv, NumPy's parser, the booster without a DMatrix."""

from __future__ import annotations

import os

import numpy as np
import xgboost
from fastapi import FastAPI, Request, Response

app = FastAPI()
booster = xgboost.Booster(model_file=os.environ["MODEL"])
booster.set_param({"nthread": 1})
COLUMNS = booster.num_features()


@app.post("/predict")
async def predict(request: Request) -> Response:
    """Answer one prediction a line."""
    body = await request.body()
    cells = np.array(body.replace(b"\n", b",").split(b","), dtype=np.float32)
    scores = booster.inplace_predict(cells.reshape(-1, COLUMNS))
    return Response("".join(f"{score!r}\n" for score in scores.tolist()), media_type="text/csv")

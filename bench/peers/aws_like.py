"""The work that AWS's XGBoost container does for a request, as a Flask application for gunicorn.

Written from its described behaviour: strip and decode the body, sniff the delimiter on the first line,
float() on every cell, a DMatrix, predict, print every value of the widened result.
"""

from __future__ import annotations

import csv
import os

import numpy as np
import xgboost
from flask import Flask, Response, request

SNIFFED = 512

app = Flask(__name__)
booster = xgboost.Booster(model_file=os.environ["MODEL"])
booster.set_param({"nthread": 1})


def decoded(payload: bytes) -> xgboost.DMatrix:
    """Return the body's rows as XGBoost takes them."""
    text = payload.strip().decode("utf-8")
    delimiter = csv.Sniffer().sniff(text.split("\n")[0][:SNIFFED]).delimiter
    if delimiter.isalnum():
        delimiter = ","
    cells = [[float(cell) if cell else np.nan for cell in line.split(delimiter)] for line in text.split("\n")]
    return xgboost.DMatrix(np.array(cells), nthread=1)


@app.get("/ping")
def ping() -> Response:
    """Say that the model is loaded."""
    return Response("", 200)


@app.post("/invocations")
def invocations() -> Response:
    """Parse, predict, print."""
    payload = request.get_data()
    if not payload:
        return Response("", 204)
    try:
        matrix = decoded(payload)
    except (ValueError, csv.Error) as error:
        return Response(f"Loading csv data failed: {error}", 415)
    try:
        scores = booster.predict(matrix, validate_features=False)
    except xgboost.core.XGBoostError as error:
        return Response(f"Unable to evaluate payload provided: {error}", 400)
    return Response("".join(f"{score!r}\n" for score in scores.tolist()), mimetype="text/csv")

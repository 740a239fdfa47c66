"""Saves the model as MLflow does, then becomes MLflow's scoring server with two workers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import mlflow.xgboost
import xgboost

folder = Path(os.environ["FOLDER"]) / "model"
mlflow.xgboost.save_model(xgboost.Booster(model_file=os.environ["MODEL"]), folder)
program = str(Path(sys.executable).with_name("mlflow"))
words = ["models", "serve", "-m", str(folder), "--env-manager", "local", "-h", "127.0.0.1", "-w", "2"]
os.execv(program, [program, *words, "-p", os.environ["PORT"]])  # noqa: S606 - a process, its place taken by another

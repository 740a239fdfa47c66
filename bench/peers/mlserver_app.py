"""Writes MLServer's folder for its own XGBoost runtime, then becomes MLServer."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

port = int(os.environ["PORT"])
folder = Path(os.environ["FOLDER"])
settings = {
    "host": "127.0.0.1",
    "http_port": port,
    "grpc_port": int(os.environ["PORT2"]),
    "metrics_port": int(os.environ["PORT3"]),
    "parallel_workers": 2,
    "debug": False,
}
model = {
    "name": "forest",
    "implementation": "mlserver_xgboost.XGBoostModel",
    "parameters": {"uri": os.environ["MODEL"]},
}
(folder / "settings.json").write_text(json.dumps(settings))
(folder / "model-settings.json").write_text(json.dumps(model))
program = str(Path(sys.executable).with_name("mlserver"))
os.execv(program, [program, "start", str(folder)])  # noqa: S606 - a process, its place taken by another

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import xgboost

CHILD = """
import sys
from pathlib import Path
from sagestead.algorithms.xgboost.serving import load
from sagestead.domain.transform import TransformObject, TransformTask
from sagestead.worker.transform import transform
folder = Path(sys.argv[1])
image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
environment = {"SAGEMAKER_BATCH": "true"}
model = load(folder / "model", image, environment)
task = TransformTask([TransformObject("s3://b/k", "in.csv", "out.csv")], content_type="text/csv",
                     split_type="Line", assemble_with="Line", max_concurrent=2)
assert transform(task, model, folder, environment, lambda line: None).reason is None
[peak] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(int(peak.split()[1]) // 1024)
"""


def test_a_large_csv_needs_little_memory_and_gives_xgboosts_own_numbers(tmp_path: Path) -> None:
    rows = np.random.default_rng(5).random((20_000, 10)).astype(np.float32)
    booster = xgboost.train({"nthread": 1, "max_depth": 3}, xgboost.DMatrix(rows, label=rows[:, 0]), 5)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "xgboost-model").write_bytes(booster.save_raw("ubj"))
    block = "".join(",".join(map(repr, row)) + "\n" for row in rows.tolist())
    with (tmp_path / "in.csv").open("w") as file:
        for _ in range(12):
            file.write(block)
    ran = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], capture_output=True, text=True, check=True, timeout=100
    )
    assert (tmp_path / "in.csv").stat().st_size > 45_000_000
    assert int(ran.stdout) < 300
    expected = "".join(f"{value!r}\n" for value in booster.predict(xgboost.DMatrix(rows)).tolist())
    assert (tmp_path / "out.csv").read_text() == expected * 12

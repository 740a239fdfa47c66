from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("given", "found"),
    [({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active")],
)
def test_openmp_is_told_to_sleep_before_it_is_loaded(given: dict[str, str], found: str) -> None:
    program = (
        "import os, sys\n"
        "from sagestead.engines.process.zygote import PRELOADED\n"
        "assert 'xgboost' not in sys.modules\n"
        "__import__(PRELOADED['working'][0])\n"
        "print('xgboost' in sys.modules, os.environ['OMP_WAIT_POLICY'])\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    run = subprocess.run(
        [sys.executable, "-c", program], env=environment | given, capture_output=True, text=True, check=True
    )
    assert run.stdout == f"False {found}\n"

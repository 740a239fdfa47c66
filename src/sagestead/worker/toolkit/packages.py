"""An environment that a run's programs may install into: laid upon the runtime, kept no longer than the run.

Rule: the runtime itself is never written to; what is installed anew hides what the runtime holds.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from sagestead.worker.toolkit.environments import READABLE, Environment, Environments

_PIP = """#!/bin/sh
exec "$(dirname "$0")/python" -m pip "$@"
"""


def own(environments: Environments, base: Environment, folder: Path) -> Environment:
    """Make an empty virtual environment in `folder` that sees the packages of another; return it."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [base.python, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(  # noqa: S603 - our own
        command, env=environments.variables, check=True, capture_output=True, cwd="/", umask=READABLE
    )
    made = Environment(str(folder), base.name, base.version, (), base.prefix, base.path)
    (made.site / "base.pth").write_text(f"{base.site}\n", encoding="utf-8")
    for name in ("pip", "pip3"):
        script = folder / "bin" / name
        script.write_text(_PIP, encoding="utf-8")
        script.chmod(0o755)
    return made

"""A runtime that stands on this very Python's own packages: there at once, without a package index."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from sagestead.domain.runtimes import RUNTIMES, digest_of
from sagestead.worker.toolkit.environments import Environment

NAME = "xgboost:3.0-5"
VERSION = ".".join(map(str, sys.version_info[:3]))


def standing_runtime(root: Path, name: str = NAME) -> Environment:
    """Make the environment of a runtime below `root` without installing anything."""
    requirements = RUNTIMES[name].requirements_for(VERSION.rpartition(".")[0])
    path = root / digest_of(VERSION, requirements)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(path)], check=True, umask=0o022)
    environment = Environment(str(path), name, VERSION, requirements, sys.base_prefix, sys.prefix)
    packages = next(one for one in sys.path if one.endswith("site-packages"))
    pointer = environment.site / "own.pth"
    pointer.write_text(packages)
    pointer.chmod(0o644)
    (path / "built.json").write_text(json.dumps({**asdict(environment), "base": None}))
    return environment

"""Real clients, each in its own environment (made by `make compat`), against one real server."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Run = Callable[..., str]


@pytest.fixture(scope="session")
def client_environment(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The variables of a user who has typed `eval "$(sagestead env)"`, and no others of AWS's."""
    home = tmp_path_factory.mktemp("home")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SAGEMAKER_", "PYTHON"))}
    return {**clean, **environment, "HOME": str(home), "SAGEMAKER_SUPPRESS_V2_WARNING": "1"}


@pytest.fixture
def run(client_environment: dict[str, str], tmp_path: Path) -> Run:
    """`run(word, …)`: run a client's command in an empty folder; returns what it printed."""

    def command(*words: str | Path, cwd: Path = tmp_path, **more: str) -> str:
        done = subprocess.run(
            [str(word) for word in words],
            check=False,
            cwd=cwd,
            env={**client_environment, **more},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return command


@pytest.fixture(scope="session")
def interpreter() -> Callable[[str], Path]:
    """`interpreter(name)`: the Python of one of the clients' environments."""

    def find(name: str) -> Path:
        python = ROOT / ".venvs" / name / "bin" / "python"
        assert python.exists(), f"{python} is missing; run 'make compat', which makes it"
        return python

    return find

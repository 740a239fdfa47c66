"""Kernels come in the background, from a private cache; without them the twin answers."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.forest.ensembles import FEATURES, ensemble_of, trained

from sagestead.forest import compiling, scoring
from sagestead.forest.scoring import Scorer


def run(program: str, **environment: str) -> str:
    """Run a program in a process of its own; return what it prints."""
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=100, check=True
    )
    return done.stdout.strip()


def test_scoring_alone_never_imports_the_compiler() -> None:
    program = (
        "import sys; from sagestead.forest import compiling, scoring;"
        "print(compiling.kernels(), any(name.startswith(('numba', 'llvmlite')) for name in sys.modules))"
    )
    assert run(program) == "None False"


def test_without_numba_there_is_nothing_to_wait_for() -> None:
    program = (
        "import sys; sys.modules['numba'] = None; from sagestead.forest import compiling;"
        "print(compiling.available(), compiling.warm(), compiling.load(), compiling.kernels())"
    )
    assert run(program) == "False None None None"


def test_a_numba_that_cannot_be_imported_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses() -> compiling.Kernels:
        raise ImportError("Numba needs another NumPy")

    monkeypatch.setattr(compiling, "_loaded", None)
    monkeypatch.setattr(compiling, "_import", refuses)
    assert compiling.load() is None
    assert compiling.kernels() is None


def test_kernels_come_in_the_background_and_from_then_on_score() -> None:
    compiling.load()  # so that the machine code lies in the cache
    program = (
        "from sagestead.forest import compiling; thread = compiling.warm();"
        "before = compiling.kernels(); thread.join();"
        "print(before, compiling.kernels().score.__name__, compiling.warm())"
    )
    assert run(program) == "None score None"


def test_the_same_rows_before_and_after_kernels_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer.of(ensemble_of(trained("binary:logistic", "gbtree", 1)))
    rows = np.random.default_rng(1).normal(size=(20, FEATURES)).astype(np.float32)
    compiled = compiling.load()
    ready = iter([None, compiled, None])
    monkeypatch.setattr(scoring, "kernels", lambda: next(ready))
    first, second, third = (scorer.score(rows).tobytes() for _ in range(3))
    assert first == second == third


def test_the_cache_is_private_and_known_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = compiling.cache_folder()
    assert folder is not None
    assert folder.is_relative_to(tmp_path / "sagestead" / "kernels")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folder == compiling.cache_folder()
    assert not compiling.is_cached()
    monkeypatch.setattr(compiling, "_SOURCES", ("twin.py",))
    assert compiling.cache_folder() != folder


def test_what_another_copy_of_the_program_compiled_is_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = compiling.cache_folder()
    assert folder is not None
    (folder / "complete").touch()
    assert compiling.is_cached()
    source = Path(compiling.__file__)
    copy = shutil.copytree(source.parent, tmp_path / "forest")
    monkeypatch.setattr(compiling, "__file__", str(copy / source.name))
    assert not compiling.is_cached(), "Numba would compile again"


def test_a_cache_that_others_can_write_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = compiling.cache_folder()
    assert folder is not None
    folder.chmod(0o770)
    assert compiling.cache_folder() is None
    assert not compiling.is_cached()


def test_a_cache_that_cannot_be_made_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sagestead").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiling.cache_folder() is None


def test_a_compiler_that_fails_leaves_the_twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiling, "_loaded", None)
    monkeypatch.setattr(compiling, "_tried_by", None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-such-python"))
    thread = compiling.warm()
    assert thread is not None
    thread.join()
    assert compiling.kernels() is None
    assert compiling.warm() is None, "a process tries once"


def test_who_waits_for_another_compiler_does_not_compile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiling.load()  # so that what is under test only looks it up
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiling, "_loaded", None)
    monkeypatch.setattr(compiling, "_tried_by", None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-such-python"))
    folder = compiling.cache_folder()
    assert folder is not None
    with (folder / "compiling").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        thread = compiling.warm()
        assert thread is not None
        thread.join(0.05)
        assert thread.is_alive()
        (folder / "complete").touch()
    thread.join()
    assert compiling.kernels() is not None

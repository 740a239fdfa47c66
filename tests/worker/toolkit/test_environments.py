from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest
from tests.worker.toolkit.standing import NAME, VERSION, standing_runtime

from sagestead.domain.images import SKLEARN_TAGS, XGBOOST_TAGS
from sagestead.domain.runtimes import KNOWN_PYTHONS, RUNTIMES, digest_of
from sagestead.worker.toolkit import interpreters
from sagestead.worker.toolkit.environments import CannotBuild, Environments, choose, failed
from sagestead.worker.toolkit.interpreters import Interpreter


def pythons(*minors: str) -> dict[str, Interpreter]:
    return {minor: Interpreter(f"{minor}.1", Path("/python"), Path("/")) for minor in minors}


def test_every_image_has_a_runtime_with_the_version_of_its_tag() -> None:
    names = [f"sklearn:{tag}" for tag in SKLEARN_TAGS] + [f"xgboost:{tag}" for tag in XGBOOST_TAGS]
    assert sorted(RUNTIMES) == sorted(names)
    for name, runtime in RUNTIMES.items():
        framework, _, tag = name.partition(":")
        package = "scikit-learn==" if framework == "sklearn" else "xgboost"
        release = tag.partition("-")[0]
        for python in runtime.pythons:
            assert python in KNOWN_PYTHONS
            wanted = [one for one in runtime.requirements_for(python) if one.startswith(package)]
            assert wanted
            assert all(f"=={release}" in one for one in wanted)
            assert all("==" in one for one in runtime.requirements_for(python))


def test_the_best_python_there_is_runs_it() -> None:
    assert choose(RUNTIMES["sklearn:1.2-1"], pythons("3.8", "3.11", "3.13")).minor == "3.8"


def test_without_a_python_for_it_the_sentence_says_what_works_here() -> None:
    with pytest.raises(CannotBuild) as caught:
        choose(RUNTIMES["sklearn:0.20.0"], pythons("3.12", "3.11"))
    assert str(caught.value) == (
        "The runtime sklearn:0.20.0 needs Python 3.7; this machine has 3.11 or 3.12. Here, sklearn:1.2-1, "
        "sklearn:1.4-2 can be had. Install one of those Pythons (for example `pyenv install 3.7`), or choose "
        "another framework version."
    )


def test_the_digest_says_what_is_installed_whatever_its_order() -> None:
    assert digest_of("3.9.1", ["a==1", "b==2"]) == digest_of("3.9.1", ["b==2", "a==1"])
    assert digest_of("3.9.1", ["a==1"]) != digest_of("3.9.2", ["a==1"])
    assert digest_of("3.9.1", ["a==1"]) != digest_of("3.9.1", ["a==1"], "base")


def test_this_python_is_found_first() -> None:
    found = interpreters.find({"PATH": "", "HOME": "/nonexistent"})
    assert found[VERSION.rpartition(".")[0]].version == VERSION


def test_what_is_whole_is_used_and_what_is_not_is_begun_anew(tmp_path: Path) -> None:
    standing = standing_runtime(tmp_path)
    said: list[str] = []
    environments = Environments(tmp_path, {"PATH": os.defpath}, said.append)
    assert environments.provide(NAME).path == standing.path
    assert said == []
    (Path(standing.path) / "built.json").unlink()
    assert environments.find(RUNTIMES[NAME]) is None
    with environments.building(Path(standing.path).name, NAME) as path:
        assert not path.exists()


def test_removing_takes_what_is_laid_upon_it_along(tmp_path: Path) -> None:
    standing = standing_runtime(tmp_path)
    environments = Environments(tmp_path, {}, print)
    assert [one.path for one in environments.remove(NAME)] == [standing.path]
    assert environments.built() == []
    assert not Path(standing.path).exists()


def test_two_who_need_the_same_runtime_share_one_building(tmp_path: Path) -> None:
    waiting = threading.Event()
    first = Environments(tmp_path, {}, print)
    second = Environments(tmp_path, {}, lambda _line: waiting.set())
    order: list[str] = []

    def build_second() -> None:
        with second.building("digest", NAME):
            order.append("second")

    with first.building("digest", NAME):
        thread = threading.Thread(target=build_second)
        thread.start()
        assert waiting.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


BUILDER = """
from pathlib import Path
from sagestead.worker.toolkit.environments import Environments
Environments(Path("/"), {"PATH": "/usr/bin:/bin"}, lambda line: print(line, flush=True))._run(
    ["sh", "-c", "echo $$; exec sleep 600"]
)
"""


def test_an_installer_ends_with_whoever_started_it_even_when_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", BUILDER], stdout=subprocess.PIPE) as builder:
        assert builder.stdout is not None
        installer = int(builder.stdout.readline())
        builder.kill()
        builder.wait()
    deadline = time.monotonic() + 10
    while b"sleep" in _command(installer):
        assert time.monotonic() < deadline
        os.sched_yield()


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def test_an_index_that_cannot_be_reached_is_told_from_any_other_failure() -> None:
    offline = failed(
        NAME, f"sagestead runtime build {NAME}", ["x: NewConnectionError(…)", "ERROR: no version"]
    )
    assert "the package index could not be reached" in str(offline)
    assert f"Run `sagestead runtime build {NAME}` once while it can be" in str(offline)
    other = failed(NAME, "", ["ERROR: No matching distribution found for x"])
    assert str(other).startswith(f"The runtime {NAME} could not be built. Pip's last lines: ERROR: No")


def test_a_runtime_is_not_built_without_its_index(tmp_path: Path) -> None:
    variables = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "0",
    }
    said: list[str] = []
    environments = Environments(tmp_path / "runtimes", variables, said.append)
    with pytest.raises(CannotBuild, match="the package index could not be reached"):
        environments.provide(NAME)
    assert said[0].startswith(f"Building the runtime {NAME} with Python ")
    assert environments.built() == []


MODULES = {"scikit-learn": "sklearn", "xgboost-cpu": "xgboost"}
BUILDING = """
import json, sys
from pathlib import Path
from sagestead.worker.toolkit.environments import Environments
root, variables, name = sys.argv[1:]
Environments(Path(root), json.loads(variables), lambda line: print(line, flush=True)).provide(name)
"""


def lay_wheel(folder: Path, package: str, version: str, files: int) -> None:
    """Make a wheel with so many modules, of the name that the package has for Python."""
    name, module = package.replace("-", "_"), MODULES.get(package, package)
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{module}/__init__.py", "")
        for number in range(files):
            wheel.writestr(f"{module}/part_{number}.py", "")
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        wheel.writestr(
            f"{about}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{about}/RECORD", "")


def test_what_was_half_built_when_everything_was_killed_is_built_anew(tmp_path: Path) -> None:
    root, index = tmp_path / "runtimes", tmp_path / "wheels"
    index.mkdir()
    for requirement in RUNTIMES[NAME].requirements_for(VERSION.rpartition(".")[0]):
        package, _, version = requirement.partition(";")[0].strip().partition("==")
        lay_wheel(index, package, version, files=2000 if package == "pandas" else 0)
    variables = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(index),
    }
    command = [sys.executable, "-c", BUILDING, str(root), json.dumps(variables), NAME]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as builder:
        assert builder.stdout is not None
        assert any(line.startswith(b"Installing collected packages") for line in builder.stdout)
        builder.kill()
    (half,) = (path for path in root.iterdir() if path.is_dir())
    (half / "left").touch()
    said: list[str] = []
    environments = Environments(root, variables, said.append)
    assert (half / "bin" / "python").exists()
    assert environments.built() == []
    made = environments.provide(NAME)
    assert made.path == str(half)
    assert said[0].startswith(f"Building the runtime {NAME}")
    assert not (half / "left").exists()
    assert (made.site / "pandas" / "part_1999.py").exists()
    assert environments.find(RUNTIMES[NAME]) == made

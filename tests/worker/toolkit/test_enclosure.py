from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sagestead.worker.run_folder import RunFolder
from sagestead.worker.toolkit.enclosure import Enclosure, Program


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    (tmp_path / "data" / "runs" / "one").mkdir(parents=True)
    return RunFolder(tmp_path / "data" / "runs" / "one")


def said(enclosure: Enclosure, code: str, *arguments: str, **more: list[Path]) -> str:
    needs = [Path(sys.base_prefix), *more.get("needs", [])]
    command = [os.path.realpath(sys.executable), "-c", code, *arguments]
    environment = {"WHERE": "/opt/ml/model"}
    program = Program(command, environment, "/opt/ml", needs, more.get("writes", []))
    done = enclosure.start(program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, _ = done.communicate(timeout=20)
    return output.decode().strip()


def test_paths_are_translated_where_no_mounts_are_allowed(
    run: RunFolder, capfd: pytest.CaptureFixture[str]
) -> None:
    enclosure = Enclosure(run, isolated=False)
    enclosure._can_mount = False
    enclosure._user = None
    code = "import os, sys; print(os.getcwd(), os.environ['WHERE'], sys.argv[1])"
    root = str(run.layout.root)
    assert said(enclosure, code, "/opt/ml/code") == f"{root} {root}/model {root}/code"
    assert f"/opt/ml is {root} here: this machine allows no mounts." in capfd.readouterr().out


def test_what_is_shared_with_the_object_store_is_read_and_never_written(run: RunFolder) -> None:
    blob = run.path.parent.parent / "blob"
    blob.write_text("kept")
    blob.chmod(0o400)
    enclosure = Enclosure(run, isolated=False)
    (run.layout.root / "data").hardlink_to(blob)
    code = (
        "print(open('/opt/ml/data').read())\n"
        "try:\n    open('/opt/ml/data', 'w')\n"
        "except OSError as error:\n    print(type(error).__name__)"
    )
    code = enclosure.seen(code)
    assert said(enclosure, code) == "kept\nPermissionError"
    assert blob.read_text() == "kept"


def test_small_files_are_a_programs_own_where_it_is_run_by_a_command(run: RunFolder) -> None:
    blob, large = run.path.parent.parent / "blob", run.path.parent.parent / "large"
    blob.write_text("#!/bin/sh\necho run\n")
    large.write_bytes(bytes(100_000))
    enclosure = Enclosure(run, isolated=False, has_own_files=True)
    (run.layout.root / "run.sh").hardlink_to(blob)
    (run.layout.root / "large").hardlink_to(large)
    code = "import os, subprocess; p = '/opt/ml/run.sh'; os.chmod(p, 0o755); subprocess.run([p])"
    assert said(enclosure, enclosure.seen(code)) == "run"
    assert blob.stat().st_mode & 0o111 == 0
    assert large.stat().st_nlink == 2


def test_an_isolated_program_reaches_only_itself(run: RunFolder) -> None:
    enclosure = Enclosure(run, isolated=True)
    code = (
        "import socket\n"
        "one = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(one.getsockname(), 2)\n"
        "print(sorted(name for _, name in socket.if_nameindex()))"
    )
    assert said(enclosure, code) == "['lo']"


def test_what_is_lent_can_be_written_and_is_taken_back(run: RunFolder) -> None:
    enclosure = Enclosure(run, isolated=False)
    layer = run.path.parent.parent / "runtimes" / "layer"
    layer.mkdir(parents=True)
    enclosure.lend(layer)
    code = f"import os; p = {str(layer / 'made')!r}; open(p, 'w').close(); os.chmod(p, 0o4777)"
    assert said(enclosure, code, writes=[layer]) == ""
    enclosure.take_back(layer)
    found = (layer / "made").stat()
    assert found.st_uid == os.geteuid()
    assert found.st_mode & 0o7022 == 0 or enclosure._user is None
    again = f"open({str(layer / 'made')!r}, 'w')"
    if enclosure._can_mount:
        assert "Read-only file system" in said(enclosure, again, needs=[layer])


def test_a_program_that_is_not_there_is_said(run: RunFolder) -> None:
    program = Program(["/no/such/program"], {}, "/opt/ml")
    done = Enclosure(run, isolated=False).start(program, stderr=subprocess.PIPE)
    _, errors = done.communicate(timeout=20)
    assert done.returncode == 126
    assert b"The program could not be started" in errors

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from sagestead.worker.apart import WorkFailed, do_apart
from sagestead.worker.contract import ModelRefused


def test_work_is_done_in_another_process_which_ends(tmp_path: Path) -> None:
    note = tmp_path / "who"

    def work() -> None:
        note.write_text(str(os.getpid()))

    process = do_apart(work)
    assert int(note.read_text()) == process != os.getpid()
    os.waitpid(process, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_refusal_is_the_works_own() -> None:
    def refuse() -> None:
        raise ModelRefused("The file 'ü' is no model.")

    with pytest.raises(ModelRefused, match=r"^The file 'ü' is no model\.$"):
        do_apart(refuse)


def test_what_else_goes_wrong_is_said_and_its_trace_is_in_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ValueError("inside")

    with pytest.raises(WorkFailed, match="ValueError: inside"):
        do_apart(fail)
    assert "Traceback" in capfd.readouterr().err


def test_a_killed_process_is_a_failure() -> None:
    with pytest.raises(WorkFailed, match="ended with -9"):
        do_apart(lambda: os.kill(os.getpid(), signal.SIGKILL))

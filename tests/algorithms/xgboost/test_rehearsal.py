from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import pytest

from sagestead.algorithms.xgboost.rehearsal import rehearse


def descriptors() -> set[str]:
    return {entry.name for entry in Path("/dev/fd").iterdir()}


def test_a_rehearsal_leaves_no_file_no_descriptor_and_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rehearse(1)
    opened, threads = descriptors(), threading.active_count()
    rehearse(2)
    assert descriptors() == opened
    assert threading.active_count() == threads
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")

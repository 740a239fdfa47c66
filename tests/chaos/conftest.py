"""A server whose processes may be killed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos.tree import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    found = Tree(tmp_path / "data")
    found.start()
    yield found
    assert found.supervisor is not None
    if found.supervisor.poll() is None:
        found.end(signal.SIGTERM)

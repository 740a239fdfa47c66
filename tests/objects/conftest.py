from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sagestead.objects.store import FolderObjects


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder in memory where there is such a place: waiting for disks is not what these tests are about."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FolderObjects]:
    opened = FolderObjects(tmp_path / "objects", lambda: 1_700_000_000.25)
    yield opened
    opened.close()

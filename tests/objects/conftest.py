from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.objects.quick_folder import quick_parent

from sagestead.objects.store import FolderObjects


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with TemporaryDirectory(dir=quick_parent()) as folder:
        yield Path(folder)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FolderObjects]:
    opened = FolderObjects(tmp_path / "objects", lambda: 1_700_000_000.25)
    yield opened
    opened.close()

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sagestead.objects.store import FolderObjects

ACCOUNT = "123456789012"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FolderObjects]:
    opened = FolderObjects(tmp_path / "objects", lambda: 1_700_000_000.25)
    yield opened
    opened.close()

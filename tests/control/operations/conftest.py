import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.control.operations.service import Service

from sagestead.store import open_database

MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def empty_store() -> Iterator[Path]:
    """A store.db without content: a copy is quicker than making one."""
    with _in_memory() as folder:
        open_database(Path(folder)).close()
        yield Path(folder) / "store.db"


@pytest.fixture
def service(empty_store: Path) -> Iterator[Service]:
    with _in_memory() as folder:
        shutil.copy(empty_store, folder)
        service = Service(Path(folder))
        yield service
        service.close()


def _in_memory() -> TemporaryDirectory[str]:
    """Return a folder in memory if the system has a place there: nothing here is about disks."""
    return TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.control.operations.service import Service

from sagestead.store import open_database

MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store.db without content: a copy is quicker than making one."""
    folder = tmp_path_factory.mktemp("store")
    open_database(folder).close()
    return folder / "store.db"


@pytest.fixture
def service(empty_store: Path) -> Iterator[Service]:
    """A service in memory if the system has a place there: nothing here is about disks."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        shutil.copy(empty_store, folder)
        service = Service(Path(folder))
        yield service
        service.close()

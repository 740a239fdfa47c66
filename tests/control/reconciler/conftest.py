from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.control.reconciler.world import ACCOUNT, REGION, World, opened


@pytest.fixture(scope="package", autouse=True)
def _programs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        yield


@pytest.fixture(scope="package")
def still(tmp_path_factory: pytest.TempPathFactory, _programs: None) -> Iterator[World]:
    """A world in which nobody reconciles yet."""
    with opened(tmp_path_factory.mktemp("data")) as world:
        world.objects.buckets.create(ACCOUNT, "bucket", REGION)
        world.put("bucket", "data/a.csv", b"1,2\n")
        world.put("bucket", "data/deep/b.csv", b"3,4\n")
        yield world


@pytest.fixture
def world(still: World) -> Iterator[World]:
    with still.reconciling():
        yield still

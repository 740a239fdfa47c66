from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from sagestead.domain.runs import RunPhase, RunSpec
from sagestead.engines.process.engine import ProcessEngine
from sagestead.store.database import Database, open_database
from sagestead.store.routes import SqlRoutes

PROGRAMS = str(Path(__file__).parents[1] / "worker")
OWNER = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/hotels"
Instance = Callable[..., str]


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run a scenario on the loop that front doors use."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the condition is another process's
            await asyncio.sleep(0.002)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessEngine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", PROGRAMS)
        engine = ProcessEngine(tmp_path_factory.mktemp("data") / "runs", time.time)
        engine.start()
        yield engine
        engine.close()


@pytest.fixture
def instance(engine: ProcessEngine) -> Iterator[Instance]:
    """Start an instance by name (and program) and return its address."""

    def start(name: str, program: str = "programs:load") -> str:
        engine.ensure(name, RunSpec(OWNER, "serve", program, "image:1"))
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for state in engine.runs(OWNER):
                if state.run_id == name and state.phase is RunPhase.READY and state.address:
                    return state.address
            engine.changed(0.2)
        raise TimeoutError(engine.log(name, 0, 9999).decode())

    yield start
    for state in engine.runs(OWNER):
        engine.forget(state.run_id)


@pytest.fixture(scope="session")
def _database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = open_database(tmp_path_factory.mktemp("store"))
    yield database
    database.close()


@pytest.fixture
def database(_database: Database) -> Iterator[Database]:
    """A store without routes."""
    yield _database
    routes = SqlRoutes(_database)
    for route in routes.changes(0).changed:
        routes.withdraw(*route.place)
    routes.leave("door")

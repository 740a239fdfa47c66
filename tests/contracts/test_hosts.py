"""The law of `Host`, held against every implementation with the same trained model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import uvloop
import xgboost

from sagestead.algorithms.xgboost.hosting import open_prepared, prepare
from sagestead.algorithms.xgboost.serving import load
from sagestead.domain.runs import RunPhase, RunSpec
from sagestead.engines.process.engine import ProcessEngine
from sagestead.serving.host import Host, Unread
from sagestead.serving.inline_host import InlineHost, Threads
from sagestead.serving.worker_host import WorkerHost
from sagestead.worker.contract import Answer, Invocation

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
OWNER = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/hotels"
ENTRY = "sagestead.algorithms.xgboost.hosting:mapped"
ROWS = np.random.default_rng(7).random((3000, 4)).astype(np.float32)
Make: TypeAlias = Callable[[], Host]


def csv(rows: int) -> bytes:
    return "\n".join(",".join(map(repr, row)) for row in ROWS[:rows].tolist()).encode()


def asking(body: bytes, content_type: str | None = "text/csv", accept: str | None = None) -> Invocation:
    return Invocation(body, content_type, accept, custom_attributes="trace=1")


SMALL = asking(csv(1))
LARGE = asking(csv(3000))
REQUESTS = [
    SMALL,
    LARGE,
    asking(csv(2), accept="application/json"),
    asking(csv(2), accept="image/png"),
    asking(b"0:1 1:2", "text/libsvm"),
    asking(b'{"instances": []}', "application/json"),
    asking(b""),
    asking(b"one,two"),
    asking(b"1,2,3,4,5,6"),
    asking(csv(1), None),
    asking(b"\xff\x00\n" * 500),
]


def run(scenario: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario)


async def answer_of(host: Host, invocation: Invocation) -> Answer:
    answer = host.begin(invocation)
    return answer if isinstance(answer, Answer) else await answer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a trained model."""
    folder = tmp_path_factory.mktemp("trained")
    parameters = {"objective": "binary:logistic", "nthread": 1, "max_depth": 4}
    labels = (ROWS[:, 0] + ROWS[:, 1] > 1).astype(float)
    booster = xgboost.train(parameters, xgboost.DMatrix(ROWS, label=labels), 8)
    (folder / "xgboost-model").write_bytes(booster.save_raw("ubj"))
    return folder


@pytest.fixture(scope="module")
def threads() -> Iterator[Threads]:
    threads = Threads()
    yield threads
    threads.close()


@pytest.fixture(scope="module")
def prepared(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    prepare(model, IMAGE, {}, folder)
    return folder


@pytest.fixture(scope="module")
def address(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    engine = ProcessEngine(tmp_path_factory.mktemp("data") / "runs", time.time)
    engine.start()
    folder = engine.folder("a") / "opt-ml"
    folder.mkdir(parents=True)
    (folder / "model").symlink_to(model)
    engine.ensure("a", RunSpec(OWNER, "serve", ENTRY, IMAGE))
    yield ready(engine)
    engine.forget("a")
    engine.close()


def ready(engine: ProcessEngine) -> str:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for state in engine.runs(OWNER):
            if state.phase is RunPhase.READY and state.address:
                return state.address
        engine.changed(0.2)
    raise TimeoutError(engine.log("a", 0, 9999).decode())


class HostContract:
    """The law; `make` gives a new host of the model."""

    def test_every_request_gets_the_models_own_answer(self, make: Make, model: Path) -> None:
        loaded = load(model, IMAGE, {})

        async def scenario() -> None:
            host = make()
            for invocation in REQUESTS:
                assert await answer_of(host, invocation) == loaded.invoke(invocation)
            assert host.outstanding == 0
            host.retire()

        run(scenario())

    def test_requests_under_way_together_get_their_own_answers(self, make: Make, model: Path) -> None:
        loaded = load(model, IMAGE, {})

        async def scenario() -> None:
            host = make()
            asked = [*REQUESTS, *(asking(csv(rows)) for rows in (1, 7, 1500, 2, 3000, 3))] * 3
            answers = await asyncio.gather(*(answer_of(host, invocation) for invocation in asked))
            assert answers == [loaded.invoke(invocation) for invocation in asked]
            host.retire()

        run(scenario())

    def test_begin_never_waits(self, make: Make) -> None:
        async def scenario() -> None:
            host = make()
            await answer_of(host, SMALL)
            begun = time.thread_time()
            asked = host.begin(LARGE)
            assert time.thread_time() - begun < 0.02
            assert isinstance(asked, asyncio.Future)
            assert host.outstanding == 1
            assert (await asked).status == 200
            assert host.outstanding == 0
            host.retire()

        run(scenario())

    def test_a_retired_host_answers_what_it_began(self, make: Make, model: Path) -> None:
        expected = load(model, IMAGE, {}).invoke(LARGE)

        async def scenario() -> None:
            host = make()
            await answer_of(host, SMALL)
            asked = [host.begin(LARGE) for _ in range(3)]
            host.retire()
            for future in asked:
                assert isinstance(future, asyncio.Future)
                assert await future == expected
            assert host.outstanding == 0

        run(scenario())

    def test_what_nobody_waits_for_ends_being_outstanding(self, make: Make) -> None:
        async def scenario() -> None:
            host = make()
            await answer_of(host, SMALL)
            asked = host.begin(LARGE)
            assert isinstance(asked, asyncio.Future)
            asked.cancel()
            async with asyncio.timeout(20):
                while host.outstanding:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.002)
            assert (await answer_of(host, SMALL)).status == 200
            host.retire()

        run(scenario())

    def test_where_nothing_is_nothing_is_begun(self, absent: Host) -> None:
        async def scenario() -> None:
            with pytest.raises(Unread):
                await answer_of(absent, SMALL)
            assert absent.outstanding == 0

        run(scenario())


class TestInlineHost(HostContract):
    @pytest.fixture
    def make(self, prepared: Path, threads: Threads) -> Make:
        return lambda: InlineHost(prepared, open_prepared, threads)

    @pytest.fixture
    def absent(self, tmp_path: Path, threads: Threads) -> Host:
        return InlineHost(tmp_path / "none", open_prepared, threads)


class TestWorkerHost(HostContract):
    @pytest.fixture
    def make(self, address: str) -> Make:
        return lambda: WorkerHost(address)

    @pytest.fixture
    def absent(self, tmp_path: Path) -> Host:
        return WorkerHost(str(tmp_path / "none"))

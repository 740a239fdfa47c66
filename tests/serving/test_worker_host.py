from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from sagestead.domain.runs import RunPhase
from sagestead.engines.process.engine import ProcessEngine
from sagestead.serving.host import Busy, NoAnswer, Unread
from sagestead.serving.worker_host import MOST_UNSENT, WorkerHost
from sagestead.wire.frames import MOST_TOGETHER, AnswerFrame, HelloFrame, encode
from sagestead.worker.contract import Answer, Invocation
from sagestead.worker.progress import working_since

from .conftest import OWNER, Instance, run, until


def asking(body: bytes) -> Invocation:
    return Invocation(body, content_type="text/csv", custom_attributes="trace=1")


async def pid_of(host: WorkerHost) -> int:
    return int((await host.begin(asking(b"pid"))).body)


async def begun_until_busy(host: WorkerHost, body: bytes) -> list[asyncio.Future[Answer]]:
    asked = []
    with suppress(Busy):
        while True:
            asked.append(host.begin(asking(body)))
            await asyncio.sleep(0)
    return asked


def test_many_requests_at_once_get_their_own_answers(instance: Instance) -> None:
    async def scenario() -> None:
        host = WorkerHost(instance("a"))
        bodies = [f"{number},{'x' * (number * 1000)}".encode() for number in range(60)]
        answers = await asyncio.gather(*(host.begin(asking(body)) for body in bodies))
        assert answers == [Answer(200, "text/csv", body, "trace=1") for body in bodies]
        assert host.outstanding == 0
        host.retire()

    run(scenario())


def test_a_body_of_the_greatest_size_passes(instance: Instance) -> None:
    async def scenario() -> None:
        host = WorkerHost(instance("a"))
        body = bytes(6 * 1024 * 1024)
        assert (await host.begin(asking(body))).body == body
        large = await host.begin(asking(b"large"))
        assert (large.status, large.body) == (
            500,
            b"the model's answer cannot be sent: it has 7000000 bytes; at most 6291456 are allowed",
        )
        host.retire()

    run(scenario())


def test_a_model_that_raises_answers_500_and_serves_on(instance: Instance) -> None:
    async def scenario() -> None:
        host = WorkerHost(instance("a"))
        assert (await host.begin(asking(b"raise"))).status == 500
        assert (await host.begin(asking(b"1"))).body == b"1"
        host.retire()

    run(scenario())


def test_nobody_at_the_address_is_unread(tmp_path: Path) -> None:
    async def scenario() -> None:
        with pytest.raises(Unread):
            await WorkerHost(str(tmp_path / "none")).begin(asking(b"1"))

    run(scenario())


def test_of_a_dying_instances_requests_only_the_first_was_begun(instance: Instance) -> None:
    async def scenario() -> None:
        host = WorkerHost(instance("a"))
        await host.begin(asking(b"warm"))
        asked = [host.begin(asking(body)) for body in (b"die", b"2", b"3")]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [NoAnswer, Unread, Unread]
        with pytest.raises(Unread):
            await host.begin(asking(b"later"))

    run(scenario())


def test_of_a_batch_in_progress_every_request_may_have_been_begun(instance: Instance) -> None:
    async def scenario() -> None:
        host = WorkerHost(instance("a", "programs:load_many"))
        await host.begin(asking(b"warm"))
        asked = [host.begin(asking(body)) for body in (b"die", *(b"%d" % number for number in range(99)))]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        kinds = [type(outcome) for outcome in outcomes]
        assert kinds == [NoAnswer] * MOST_TOGETHER + [Unread] * (100 - MOST_TOGETHER)

    run(scenario())


def test_an_instance_killed_from_outside_has_begun_no_more_than_it_said(instance: Instance) -> None:
    async def scenario() -> None:
        host = WorkerHost(instance("a", "programs:load_many"))
        process = await pid_of(host)
        asked = [host.begin(asking(b"wait 20")), *(host.begin(asking(b"1")) for _ in range(99))]
        await asyncio.sleep(0.05)
        os.kill(process, signal.SIGKILL)
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        kinds = [type(outcome) for outcome in outcomes]
        assert kinds == [NoAnswer] * MOST_TOGETHER + [Unread] * (100 - MOST_TOGETHER)

    run(scenario())


def test_a_request_that_nobody_waits_for_is_not_begun(instance: Instance, tmp_path: Path) -> None:
    async def scenario() -> None:
        host = WorkerHost(instance("a"))
        first = host.begin(asking(b"wait 0.2"))
        left = host.begin(asking(b"touch %b" % os.fsencode(tmp_path / "begun")))
        last = host.begin(asking(b"3"))
        await until(lambda: host.outstanding == 3)
        left.cancel()
        assert (await first).status == 200
        assert (await last).body == b"3"
        assert host.outstanding == 0
        assert not (tmp_path / "begun").exists()
        host.retire()

    run(scenario())


def test_a_request_cancelled_before_there_is_a_connection_is_never_sent(
    instance: Instance, tmp_path: Path
) -> None:
    async def scenario() -> None:
        host = WorkerHost(instance("a"))
        host.begin(asking(b"touch %b" % os.fsencode(tmp_path / "begun"))).cancel()
        assert (await host.begin(asking(b"1"))).body == b"1"
        assert not (tmp_path / "begun").exists()
        host.retire()

    run(scenario())


def test_what_has_timed_out_is_not_begun(instance: Instance, tmp_path: Path) -> None:
    async def scenario() -> None:
        host = WorkerHost(instance("a"), timeout=0.1)
        first = host.begin(asking(b"wait 0.3"))
        late = host.begin(asking(b"touch %b" % os.fsencode(tmp_path / "begun")))
        outcomes = await asyncio.gather(first, late, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [TimeoutError, TimeoutError]
        await until(lambda: host.outstanding == 0)
        assert not (tmp_path / "begun").exists()
        host.retire()

    run(scenario())


def test_more_requests_than_allowed_are_refused(instance: Instance) -> None:
    async def scenario() -> None:
        host = WorkerHost(instance("a"), most=2)
        asked = [host.begin(asking(b"wait 0.1")), host.begin(asking(b"2"))]
        with pytest.raises(Busy):
            host.begin(asking(b"3"))
        assert [answer.status for answer in await asyncio.gather(*asked)] == [200, 200]
        assert (await host.begin(asking(b"4"))).body == b"4"
        host.retire()

    run(scenario())


def test_more_bytes_than_allowed_are_refused_until_the_instance_has_read_some(instance: Instance) -> None:
    async def scenario() -> None:
        host = WorkerHost(instance("a"))
        process = await pid_of(host)
        os.kill(process, signal.SIGSTOP)
        body = bytes(6 * 1024 * 1024)
        asked = await begun_until_busy(host, body)
        assert len(asked) <= MOST_UNSENT // len(body) + 2
        os.kill(process, signal.SIGCONT)
        assert {answer.body for answer in await asyncio.gather(*asked)} == {body}
        assert (await host.begin(asking(b"1"))).body == b"1"
        host.retire()

    run(scenario())


def test_a_front_door_that_goes_does_not_end_the_instance(instance: Instance) -> None:
    async def scenario() -> None:
        address = instance("a")
        host, other = WorkerHost(address), WorkerHost(address)
        process = await pid_of(host)
        asked = host.begin(asking(b"wait 0.1"))
        await until(lambda: host.outstanding == 1)
        assert host._link is not None
        host._link._transport.abort()
        with pytest.raises(NoAnswer):
            await asked
        assert await pid_of(other) == process
        other.retire()

    run(scenario())


def test_an_instance_that_never_took_the_connection_has_begun_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        host = WorkerHost(str(tmp_path / "s"))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "s"))
            listener.listen()
            asked = host.begin(asking(b"1"))
            await until(lambda: host._link is not None and bool(host._link.pending))
        with pytest.raises(Unread):
            await asked

    run(scenario())


def test_a_request_that_a_killed_instance_never_read_is_unread(instance: Instance) -> None:
    async def scenario() -> None:
        host = WorkerHost(instance("a"))
        process = await pid_of(host)
        os.kill(process, signal.SIGSTOP)
        asked = host.begin(asking(b"1"))
        await until(lambda: host.outstanding == 1)
        os.kill(process, signal.SIGKILL)
        with pytest.raises(Unread):
            await asked

    run(scenario())


def test_what_a_killed_instance_had_not_begun_is_unread_however_much_it_might_have_begun(
    instance: Instance,
) -> None:
    async def scenario() -> None:
        address = instance("a", "programs:load_many")
        host = WorkerHost(address)
        process = await pid_of(host)
        asked = [host.begin(asking(b"wait 20"))]
        await until(lambda: working_since(Path(address)) is not None)
        asked += [host.begin(asking(b"%d" % number)) for number in range(50)]
        await asyncio.sleep(0.02)
        os.kill(process, signal.SIGKILL)
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [NoAnswer] + [Unread] * 50

    run(scenario())


def test_a_stopped_instance_answers_what_it_began_and_hands_back_the_rest(instance: Instance) -> None:
    async def scenario() -> None:
        host = WorkerHost(instance("a"))
        process = await pid_of(host)
        asked = [host.begin(asking(body)) for body in (b"wait 0.1", b"2", b"3")]
        await until(lambda: host.outstanding == 3)
        os.kill(process, signal.SIGTERM)
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(outcome, Answer | Unread) for outcome in outcomes)
        await until(lambda: host._link is not None and not host._link.usable)
        with pytest.raises(Unread):
            await host.begin(asking(b"later"))

    run(scenario())


def test_an_instance_that_starts_again_is_found_again(instance: Instance, engine: ProcessEngine) -> None:
    async def scenario() -> None:
        address = instance("a")
        host = WorkerHost(address)
        os.kill(await pid_of(host), signal.SIGKILL)
        await until(lambda: engine.runs(OWNER)[0].phase is RunPhase.EXITED)
        assert await asyncio.to_thread(instance, "a") == address
        assert (await host.begin(asking(b"1"))).body == b"1"
        host.retire()

    run(scenario())


def test_a_late_answer_is_dropped_and_counts_until_it_comes(instance: Instance) -> None:
    async def scenario() -> None:
        host = WorkerHost(instance("a"), timeout=0.1)
        with pytest.raises(TimeoutError):
            await host.begin(asking(b"wait 0.3"))
        assert host.outstanding == 1
        await until(lambda: host.outstanding == 0)
        assert (await host.begin(asking(b"1"))).body == b"1"
        host.retire()

    run(scenario())


def test_a_retired_host_hangs_up_after_its_last_answer(instance: Instance) -> None:
    async def scenario() -> None:
        host = WorkerHost(instance("a"))
        asked = host.begin(asking(b"wait 0.1"))
        await until(lambda: host.outstanding == 1)
        host.retire()
        assert (await asked).status == 200
        await until(lambda: host._link is not None and host._link._transport.is_closing())

    run(scenario())


def test_an_instance_that_went_before_the_request_was_sent_has_not_read_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "s"))
            listener.listen()
            host = WorkerHost(str(tmp_path / "s"))
            first = host.begin(asking(b"1"))
            connection, _ = await asyncio.to_thread(listener.accept)
            await asyncio.to_thread(connection.recv, 1 << 16)
            connection.sendall(encode(HelloFrame(1)) + encode(AnswerFrame(0, 200, "text/csv", b"1")))
            assert (await first).body == b"1"
            connection.close()
            with pytest.raises(Unread):
                await host.begin(asking(b"2"))

    run(scenario())

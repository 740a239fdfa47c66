from __future__ import annotations

import os
import signal
import threading
import time

from tests.control.reconciler.world import ACCOUNT, REGION, World, ask, endpoint_spec, variant

from sagestead.control.reconciler.loop import LEASE_SECONDS
from sagestead.domain.resources import Json, Kind, Resource
from sagestead.domain.runs import RunPhase
from sagestead.engines.process import lock
from sagestead.ports import Change
from sagestead.worker.run_folder import RunFolder


def create(world: World, name: str, *variants: Json, config: str = "c1") -> Resource:
    return world.create(Kind.ENDPOINT, name, "Creating", endpoint_spec(config, *variants))


def in_service(world: World, name: str, *variants: Json) -> Resource:
    create(world, name, *variants)
    return world.reaches(Kind.ENDPOINT, name, "InService", "Failed")


def update(world: World, name: str, spec: Json) -> Resource:
    world.change(Kind.ENDPOINT, name, "Updating", spec, new_generation=True)
    return world.reaches(Kind.ENDPOINT, name, "InService", "Failed")


def answers(world: World, name: str) -> list[bytes]:
    route = world.route(name)
    assert route is not None
    return [ask(address, b"?") for one in route.variants for address in one.addresses]


def kill(world: World, run_id: str) -> None:
    process_id = lock.process_id(RunFolder(world.engine.folder(run_id)).lock)
    assert process_id is not None
    os.kill(process_id, signal.SIGKILL)


def delete(world: World, name: str) -> None:
    world.change(Kind.ENDPOINT, name, "Deleting")
    world.until(lambda: world.get(Kind.ENDPOINT, name) is None)


def test_two_instances_answer_when_the_endpoint_is_in_service(world: World) -> None:
    uri = world.put_model("two.tar.gz", b"hello ")
    endpoint = in_service(world, "two", variant(uri, count=2))
    assert endpoint.status == "InService"
    assert endpoint.detail["EndpointConfigName"] == "c1"
    assert endpoint.detail["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert "PendingDeploymentSummary" not in endpoint.detail
    assert endpoint.due_at is None
    assert answers(world, "two") == [b"hello ?", b"hello ?"]
    group = "/aws/sagemaker/Endpoints/two"
    world.until(lambda: len({stream.stream for stream in world.streams(group)}) == 2)  # carried later
    streams = world.streams(group)
    assert len({stream.stream for stream in streams}) == 2
    assert all(stream.stream.startswith("AllTraffic/i-") for stream in streams)
    lines = world.lines("/aws/sagemaker/Endpoints/two", "AllTraffic/")
    assert [line for line in lines if line.startswith("loading#011for ")] == lines[:2]


def test_delete_leaves_nothing(world: World) -> None:
    uri = world.put_model("gone.tar.gz", b"")
    endpoint = in_service(world, "gone", variant(uri))
    delete(world, "gone")
    assert world.route("gone") is None
    assert world.runs(endpoint) == []


def test_a_model_that_cannot_be_loaded_fails_at_once_with_its_cause_and_the_log(world: World) -> None:
    uri = world.put_model("bad.tar.gz", b"refuse")
    endpoint = in_service(world, "bad", variant(uri))
    assert endpoint.status == "Failed"
    reason = endpoint.detail["FailureReason"]
    assert reason.startswith(
        f"Model data {uri}: Model greeting cannot be loaded: it says refuse. Last log lines:\nloading#011for"
    )
    assert world.route("bad") is None
    world.until(lambda: not world.runs(endpoint))
    delete(world, "bad")


def test_an_instance_that_never_answers_fails_the_ping_health_check(world: World) -> None:
    uri = world.put_model("hang.tar.gz", b"hang")
    slow = variant(uri, ContainerStartupHealthCheckTimeoutInSeconds=1)
    endpoint = in_service(world, "hang", slow)
    assert endpoint.status == "Failed"
    assert endpoint.detail["FailureReason"].startswith(
        "The primary container for production variant AllTraffic did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint. Last log lines:\n"
    )
    assert "waiting for nothing" in endpoint.detail["FailureReason"]


def test_an_unknown_image_and_a_missing_artifact_are_named(world: World) -> None:
    other = in_service(world, "image", variant("s3://bucket/data/a.csv", image="busybox:1"))
    assert other.status == "Failed"
    assert other.detail["FailureReason"].startswith(" The image 'busybox:1' does not exist. ")
    absent = in_service(world, "absent", variant("s3://bucket/absent.tar.gz"))
    assert absent.detail["FailureReason"] == "Could not find data at s3://bucket/absent.tar.gz."


def test_an_update_replaces_the_instances_once_the_new_ones_answer(world: World) -> None:
    before = in_service(world, "update", variant(world.put_model("u1.tar.gz", b"old ")))
    spec = endpoint_spec("c2", variant(world.put_model("u2.tar.gz", b"new ")))
    after = update(world, "update", spec)
    assert after.status == "InService"
    assert after.detail["EndpointConfigName"] == "c2"
    assert answers(world, "update") == [b"new ?"]
    world.until(lambda: len(world.runs(before)) == 1)


def test_a_failed_update_leaves_the_old_instances_serving(world: World) -> None:
    old = endpoint_spec("c1", variant(world.put_model("f1.tar.gz", b"old ")))
    create(world, "failing", *old["ProductionVariants"])
    before = world.reaches(Kind.ENDPOINT, "failing", "InService")
    after = update(world, "failing", endpoint_spec("c2", variant(world.put_model("f2.tar.gz", b"refuse"))))
    assert after.status == "InService"
    assert after.detail["EndpointConfigName"] == "c1"
    assert ": Model greeting cannot be loaded" in after.detail["FailureReason"]
    assert "PendingDeploymentSummary" not in after.detail
    assert after.spec == old
    assert answers(world, "failing") == [b"old ?"]
    world.until(lambda: len(world.runs(before)) == 1)
    again = update(world, "failing", endpoint_spec("c3", variant(world.put_model("f3.tar.gz", b"3 "))))
    assert answers(world, "failing") == [b"3 ?"]
    assert "FailureReason" not in again.detail


def test_weights_and_counts_change_without_a_restart(world: World) -> None:
    uri = world.put_model("w.tar.gz", b"")
    first = in_service(world, "weights", variant(uri, "A"), variant(uri, "B"))
    started = {run.run_id: (run.attempt, run.started_at) for run in world.runs(first)}
    spec = endpoint_spec("c1", variant(uri, "A", weight=1), variant(uri, "B", count=2, weight=3))
    world.change(Kind.ENDPOINT, "weights", "Updating", spec)
    after = world.reaches(Kind.ENDPOINT, "weights", "InService")
    route = world.route("weights")
    assert route is not None
    assert [(one.name, one.weight, len(one.addresses)) for one in route.variants] == [
        ("A", 1.0, 1),
        ("B", 3.0, 2),
    ]
    assert [one["CurrentWeight"] for one in after.detail["ProductionVariants"]] == [1, 3]
    now = {run.run_id: (run.attempt, run.started_at) for run in world.runs(after)}
    assert started.items() <= now.items()


def test_a_killed_instance_leaves_the_route_and_is_replaced_from_the_same_bytes(world: World) -> None:
    uri = world.put_model("k.tar.gz", b"first ")
    endpoint = in_service(world, "killed", variant(uri, count=2))
    world.put_model("k.tar.gz", b"second ")
    victim, other = world.runs(endpoint)
    kill(world, victim.run_id)
    world.until(lambda: world.ready(endpoint, 2) and _attempt(world, endpoint, victim.run_id) == 2)
    world.until(lambda: len(answers_of(world, "killed")) == 2)
    assert answers(world, "killed") == [b"first ?", b"first ?"]
    assert _attempt(world, endpoint, other.run_id) == 1
    assert world.reaches(Kind.ENDPOINT, "killed", "InService").detail.get("FailureReason") is None


def answers_of(world: World, name: str) -> tuple[str, ...]:
    route = world.route(name)
    return () if route is None else route.variants[0].addresses


def _attempt(world: World, endpoint: Resource, run_id: str) -> int:
    return next(run.attempt for run in world.runs(endpoint) if run.run_id == run_id)


def test_it_is_in_service_only_when_every_front_door_routes_there(world: World) -> None:
    stop = threading.Event()
    world.routes.acknowledge("front-1", 0, time.time())

    def live() -> None:
        while not stop.wait(0.2):
            world.routes.acknowledge("front-1", 0, time.time())

    heart = threading.Thread(target=live)
    heart.start()
    try:
        create(world, "settling", variant(world.put_model("s.tar.gz", b"")))
        world.until(lambda: world.route("settling"))

        def pending() -> object:
            endpoint = world.get(Kind.ENDPOINT, "settling")
            assert endpoint is not None
            assert endpoint.status == "Creating"
            summary = endpoint.detail.get("PendingDeploymentSummary", {})
            return summary.get("EndpointConfigName")

        assert world.until(pending) == "c1"
        stop.set()
        heart.join()
        world.routes.acknowledge("front-1", world.routes.changes(0).revision, time.time())
        world.reaches(Kind.ENDPOINT, "settling", "InService")
    finally:
        stop.set()
        world.routes.leave("front-1")


def test_after_everything_was_killed_endpoints_answer_again_by_themselves(still: World) -> None:
    with still.reconciling():
        endpoint = in_service(still, "phoenix", variant(still.put_model("p.tar.gz", b"again ")))
        (run,) = still.runs(endpoint)
    folder = RunFolder(still.engine.folder(run.run_id))
    kill(still, run.run_id)
    still.until(lambda: still.runs(endpoint)[0].phase is RunPhase.EXITED)
    folder.exit.unlink()  # nobody was left to note how it ended
    assert still.runs(endpoint)[0].phase is RunPhase.LOST
    with still.reconciling():
        still.until(lambda: still.runs(endpoint)[0].attempt == 2 and answers_of(still, "phoenix"))
        still.until(lambda: still.runs(endpoint)[0].phase is RunPhase.READY)
        still.until(lambda: answers_of(still, "phoenix"))
        assert answers(still, "phoenix") == [b"again ?"]


def test_what_a_reconciler_that_died_had_leased_is_taken_over_at_once(still: World) -> None:
    create(still, "leased", variant(still.put_model("l.tar.gz", b"")))
    assert still.resources.lease("dead", time.time(), LEASE_SECONDS, 8)
    with still.reconciling():
        still.reaches(Kind.ENDPOINT, "leased", "InService")


def test_the_route_of_an_endpoint_that_is_gone_is_withdrawn(still: World) -> None:
    with still.reconciling():
        endpoint = in_service(still, "ghost", variant(still.put_model("g.tar.gz", b"")))
    seen = still.get(Kind.ENDPOINT, "ghost")
    assert seen is not None
    still.resources.delete(still.resources.update(seen, Change(None)))
    with still.reconciling():
        still.until(lambda: still.routes.find(ACCOUNT, REGION, "ghost") is None)
    for run in still.runs(endpoint):
        still.engine.forget(run.run_id)

"""Endpoints whose models are prepared once and hosted by the front doors, on a real engine."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.control.reconciler.world import World, ask, endpoint_spec, variant

from sagestead.domain.resources import Json, Kind, Resource
from sagestead.domain.routes import INLINE
from sagestead.domain.runs import RunPhase
from sagestead.engines.process import lock
from sagestead.worker.run_folder import RunFolder


@pytest.fixture
def inline(still: World) -> Iterator[World]:
    with still.reconciling("inline"):
        yield still


def in_service(world: World, name: str, *variants: Json) -> Resource:
    world.create(Kind.ENDPOINT, name, "Creating", endpoint_spec("c1", *variants))
    return world.reaches(Kind.ENDPOINT, name, "InService", "Failed")


def addresses(world: World, name: str) -> list[str]:
    route = world.route(name)
    assert route is not None
    return [address for one in route.variants for address in one.addresses]


def prepared(world: World, name: str) -> Path:
    (address,) = addresses(world, name)
    assert address.startswith(INLINE)
    return Path(address.removeprefix(INLINE))


def delete(world: World, name: str) -> None:
    world.change(Kind.ENDPOINT, name, "Deleting")
    world.until(lambda: world.get(Kind.ENDPOINT, name) is None)


def test_one_run_prepares_the_model_for_all_instances(inline: World) -> None:
    uri = inline.put_model("mapped.tar.gz", b"hello ")
    endpoint = in_service(inline, "mapped", variant(uri, count=3))
    assert endpoint.status == "InService"
    assert endpoint.detail["ProductionVariants"][0]["CurrentInstanceCount"] == 3
    folder = prepared(inline, "mapped")
    assert [path.name for path in folder.iterdir()] == ["greeting"]
    assert (folder / "greeting").read_bytes() == b"hello "
    assert not RunFolder(folder.parent).layout.root.exists()
    (run,) = inline.runs(endpoint)
    assert (run.phase, run.exit_code, run.attempt) == (RunPhase.EXITED, 0, 1)
    assert inline.lines("/aws/sagemaker/Endpoints/mapped", "AllTraffic/i-") == ["preparing"]
    delete(inline, "mapped")
    assert not folder.parent.exists()


def test_an_update_whose_end_was_not_recorded_leaves_nothing_of_what_served(still: World) -> None:
    first, second = (still.put_model(f"{name}.tar.gz", name.encode()) for name in ("former", "later"))
    with still.reconciling("inline"):
        before = in_service(still, "renewed", variant(first))
        spec = endpoint_spec("c2", variant(second))
        still.change(Kind.ENDPOINT, "renewed", "Updating", spec, new_generation=True)
        still.reaches(Kind.ENDPOINT, "renewed", "InService", "Failed")
    folders = {path.name for path in (still.folder / "runs").iterdir()}
    still.change(Kind.ENDPOINT, "renewed", "Updating", spec, detail=before.detail)
    with still.reconciling("inline"):
        after = still.reaches(Kind.ENDPOINT, "renewed", "InService", "Failed")
    assert after.detail["EndpointConfigName"] == "c2"
    assert {path.name for path in (still.folder / "runs").iterdir()} == folders


def test_other_counts_and_weights_need_no_other_run(inline: World) -> None:
    uri = inline.put_model("scaled.tar.gz", b"hello ")
    endpoint = in_service(inline, "scaled", variant(uri))
    folder = prepared(inline, "scaled")
    spec = endpoint_spec("c1", variant(uri, count=7, weight=2.0))
    inline.change(Kind.ENDPOINT, "scaled", "Updating", spec)
    after = inline.reaches(Kind.ENDPOINT, "scaled", "InService", "Failed")
    assert after.detail["ProductionVariants"][0]["CurrentInstanceCount"] == 7
    assert prepared(inline, "scaled") == folder
    assert [run.attempt for run in inline.runs(endpoint)] == [1]


def test_a_model_that_cannot_be_prepared_fails_with_the_sentence_of_an_instance(inline: World) -> None:
    uri = inline.put_model("bad.tar.gz", b"refuse")
    endpoint = in_service(inline, "inline-bad", variant(uri))
    assert endpoint.status == "Failed"
    assert endpoint.detail["FailureReason"] == (
        f"Model data {uri}: Model greeting cannot be loaded: it says refuse. Last log lines:\npreparing"
    )
    inline.until(lambda: not inline.runs(endpoint))


def test_what_a_crash_leaves_half_is_never_served(inline: World) -> None:
    uri = inline.put_model("half.tar.gz", b"once")
    inline.create(Kind.ENDPOINT, "half", "Creating", endpoint_spec("c1", variant(uri)))
    endpoint = inline.get(Kind.ENDPOINT, "half")
    assert endpoint is not None
    place = inline.until(
        lambda: [RunFolder(inline.engine.folder(run.run_id)) for run in inline.runs(endpoint)]
    )
    inline.until((place[0].path / "met").exists)
    assert inline.route("half") is None
    process_id = lock.process_id(place[0].lock)
    assert process_id is not None
    os.kill(process_id, signal.SIGKILL)
    inline.reaches(Kind.ENDPOINT, "half", "InService")
    assert (prepared(inline, "half") / "greeting").read_bytes() == b"once"
    assert not place[0].draft.exists()


def test_a_prepared_folder_that_was_removed_is_made_again(still: World) -> None:
    with still.reconciling("inline"):
        uri = still.put_model("again.tar.gz", b"hello ")
        in_service(still, "again", variant(uri))
        folder = prepared(still, "again")
    shutil.rmtree(folder)
    with still.reconciling("inline"):
        still.until((folder / "greeting").exists)
        delete(still, "again")


def test_another_version_prepares_models_again_and_what_answers_does_until_then(still: World) -> None:
    with still.reconciling("inline"):
        uri = still.put_model("relaid.tar.gz", b"hello ")
        endpoint = in_service(still, "relaid", variant(uri))
        before = prepared(still, "relaid")
    with still.reconciling("relaid"):
        still.until(lambda: prepared(still, "relaid") != before)  # a route without an address would raise
        assert (prepared(still, "relaid") / "greeting").read_bytes() == b"hello "
        still.until(lambda: not before.exists())
        assert [run.run_id.rpartition("/")[2] for run in still.runs(endpoint)] == ["model-2"]
        delete(still, "relaid")
        still.until(lambda: not still.runs(endpoint))


def test_a_prepared_model_counts_at_once_and_after_a_crash_only_from_the_disk(still: World) -> None:
    with still.reconciling("inline"):
        uri = still.put_model("torn.tar.gz", b"hello ")
        endpoint = in_service(still, "torn", variant(uri))
        run = RunFolder(prepared(still, "torn").parent)
        still.until(run.kept.exists)
    run.kept.unlink()
    (run.prepared / "greeting").write_bytes(b"")  # as a power cut may leave it
    assert [one.prepared for one in still.runs(endpoint)] == [None]
    with still.reconciling("inline"):
        still.until(lambda: run.kept.exists() and addresses(still, "torn"))
        assert (prepared(still, "torn") / "greeting").read_bytes() == b"hello "
        delete(still, "torn")


def test_a_restart_prepares_nothing_anew_and_another_way_of_hosting_takes_over(still: World) -> None:
    with still.reconciling("inline"):
        uri = still.put_model("rehosted.tar.gz", b"hello ")
        endpoint = in_service(still, "rehosted", variant(uri, count=2))
        folder = prepared(still, "rehosted")
    with still.reconciling("inline"):
        in_service(still, "another", variant(uri))
        assert [run.attempt for run in still.runs(endpoint)] == [1]
        assert prepared(still, "rehosted") == folder
    with still.reconciling("worker"):
        still.until(lambda: len(addresses(still, "rehosted")) == 2)
        assert [ask(one, b"?") for one in addresses(still, "rehosted")] == [b"hello ?"] * 2
        still.until(lambda: not folder.exists())
    with still.reconciling("inline"):
        still.until(lambda: len(addresses(still, "rehosted")) == 1)
        assert (prepared(still, "rehosted") / "greeting").read_bytes() == b"hello "
        still.until(lambda: [run.spec.role for run in still.runs(endpoint)] == ["prepare"])
        delete(still, "rehosted")
        delete(still, "another")


def test_what_was_prepared_once_serves_all_that_ask_for_the_same(inline: World) -> None:
    uri = inline.put_model("shared.tar.gz", b"hello ")
    in_service(inline, "shared-1", variant(uri))
    first = prepared(inline, "shared-1")
    inline.until(RunFolder(first.parent).kept.exists)
    endpoint = in_service(inline, "shared-2", variant(uri, count=2))
    second = prepared(inline, "shared-2")
    assert second != first
    assert (second / "greeting").samefile(first / "greeting")
    assert inline.lines("/aws/sagemaker/Endpoints/shared-2", "AllTraffic/i-") == []  # no process wrote one
    assert [(run.phase, run.exit_code, run.attempt) for run in inline.runs(endpoint)] == [
        (RunPhase.EXITED, 0, 1)
    ]
    delete(inline, "shared-1")
    assert not first.parent.exists()
    assert (second / "greeting").read_bytes() == b"hello "
    inline.until(RunFolder(second.parent).kept.exists)
    in_service(inline, "shared-3", variant(uri))
    assert (prepared(inline, "shared-3") / "greeting").samefile(second / "greeting")
    for name in ("shared-2", "shared-3"):
        delete(inline, name)
    in_service(inline, "shared-4", variant(uri))
    assert inline.lines("/aws/sagemaker/Endpoints/shared-4", "AllTraffic/i-") == ["preparing"]
    delete(inline, "shared-4")


def test_another_environment_or_archive_shares_nothing(inline: World) -> None:
    uri = inline.put_model("apart.tar.gz", b"hello ")
    one = variant(uri)
    in_service(inline, "apart-1", one)
    inline.until(RunFolder(prepared(inline, "apart-1").parent).kept.exists)
    other = {**one, "Container": {**one["Container"], "Environment": {"TONE": "kind"}}}
    in_service(inline, "apart-2", other)
    in_service(inline, "apart-3", variant(inline.put_model("apart-too.tar.gz", b"hi ")))
    files = [prepared(inline, f"apart-{number}") / "greeting" for number in (1, 2, 3)]
    assert len({file.stat().st_ino for file in files}) == 3
    for number in (1, 2, 3):
        delete(inline, f"apart-{number}")


def test_what_was_given_and_not_kept_when_the_service_died_is_given_again(still: World) -> None:
    with still.reconciling("inline"):
        uri = still.put_model("regiven.tar.gz", b"hello ")
        in_service(still, "regiven-1", variant(uri))
        first = RunFolder(prepared(still, "regiven-1").parent)
        still.until(first.kept.exists)
        endpoint = in_service(still, "regiven-2", variant(uri))
        second = RunFolder(prepared(still, "regiven-2").parent)
        still.until(second.kept.exists)
    second.kept.unlink()
    (second.prepared / "greeting").unlink()  # as a power cut may leave it
    assert [one.prepared for one in still.runs(endpoint)] == [None]
    with still.reconciling("inline"):
        still.until(lambda: second.kept.exists() and addresses(still, "regiven-2"))
        assert (second.prepared / "greeting").samefile(first.prepared / "greeting")
        for number in (1, 2):
            delete(still, f"regiven-{number}")

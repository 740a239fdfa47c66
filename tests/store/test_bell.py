from __future__ import annotations

import stat
import threading
import time
from pathlib import Path

from sagestead.domain.resources import Key, Kind, Resource
from sagestead.ports import Change
from sagestead.store.bell import Bell
from sagestead.store.database import open_database
from sagestead.store.resources import SqlResources
from sagestead.store.routes import SqlRoutes


def test_everyone_who_listens_hears_a_ring_once(tmp_path: Path) -> None:
    bell = Bell(tmp_path / "bells")
    ears = [bell.listen(name) for name in ("control", "front-0")]
    bell.ring()
    bell.ring()
    assert [ear.wait(5) for ear in ears] == [True, True]
    assert [ear.wait(0) for ear in ears] == [False, False]
    assert stat.S_IMODE((tmp_path / "bells").stat().st_mode) == 0o700
    for ear in ears:
        ear.close()


def test_who_hears_nothing_any_more_holds_nobody_up(tmp_path: Path) -> None:
    bell = Bell(tmp_path / "bells")
    bell.listen("gone").close()
    full = bell.listen("deaf")
    ear = bell.listen("awake")
    for _ in range(70_000):  # more than a pipe holds
        full.wake()
    bell.ring()
    assert ear.wait(5)


def test_a_successor_listens_in_the_place_of_the_one_before(tmp_path: Path) -> None:
    bell = Bell(tmp_path / "bells")
    before, after = bell.listen("control"), bell.listen("control")
    bell.ring()
    assert after.wait(5)
    assert not before.wait(0)


def test_a_write_of_another_process_ends_a_wait_and_a_lease_does_not(tmp_path: Path) -> None:
    waiting, writing = open_database(tmp_path, "control"), open_database(tmp_path)
    resources = SqlResources(writing)
    key = Key(Kind.ENDPOINT, "1", "r", "name")
    made = resources.create(Resource(key, "arn", {}, "Creating", {}, created_at=1.0, due_at=1.0))
    began = time.monotonic()
    waiting.wait(30)
    assert time.monotonic() - began < 20
    (leased,) = resources.lease("holder", 2.0, 10.0, 1)
    assert made.version == leased.version
    woken = threading.Timer(0.05, waiting.wake)
    woken.start()
    began = time.monotonic()
    waiting.wait(30)
    assert 0.03 < time.monotonic() - began < 20
    resources.update(leased, Change(None, durable=False))
    waiting.wait(30)
    assert waiting.revision() == writing.revision()
    for database in (waiting, writing):
        database.close()


def test_that_a_front_door_has_seen_a_route_is_rung_and_that_it_lives_is_not(tmp_path: Path) -> None:
    ear, routes = Bell(tmp_path / "bells").listen("control"), SqlRoutes(open_database(tmp_path))
    routes.acknowledge("front-0", 1, 100.0)
    assert ear.wait(5)
    routes.acknowledge("front-0", 1, 100.5)
    assert not ear.wait(0)
    routes.acknowledge("front-0", 2, 101.0)
    assert ear.wait(5)
    ear.close()

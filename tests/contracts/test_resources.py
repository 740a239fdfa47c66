"""The law of `Resources`, held against every adapter."""

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagestead.domain.resources import Key, Kind, Resource, resource_arn
from sagestead.ports import AlreadyExists, Change, Listing, Resources, Stale
from sagestead.store.database import Database, open_database
from sagestead.store.resources import SqlResources

ACCOUNT, REGION = "123456789012", "us-east-1"
COUNT = itertools.count()
VALUES: dict[str, Callable[[Resource], str | float]] = {
    "name": lambda resource: resource.key.name,
    "created_at": lambda resource: resource.created_at,
    "status": lambda resource: resource.status,
}


class Ticking:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def draft(
    name: str, at: float = 1000.0, kind: Kind = Kind.ENDPOINT, region: str = REGION, **fields: object
) -> Resource:
    key = Key(kind, ACCOUNT, region, name)
    resource = Resource(key, resource_arn(key), {"Name": name}, created_at=at, modified_at=at)
    return replace(resource, **fields)  # type: ignore[arg-type]  # test data by field name


def listing(**fields: object) -> Listing:
    question = Listing(Kind.ENDPOINT, ACCOUNT, REGION, limit=100)
    return replace(question, **fields)  # type: ignore[arg-type]  # test data by field name


def names(found: list[Resource]) -> list[str]:
    return [resource.key.name for resource in found]


class TestSqlResources:
    @pytest.fixture
    def clock(self) -> Ticking:
        return Ticking()

    @pytest.fixture
    def database(self, folder: Path) -> Iterator[Database]:
        database = open_database(folder)
        yield database
        database.close()

    @pytest.fixture
    def resources(self, database: Database, clock: Ticking) -> Resources:
        return SqlResources(database, clock)

    def test_what_is_created_is_read_back(self, resources: Resources) -> None:
        made = resources.create(
            draft("Cats", status="Creating", tags={"a": ""}, due_at=5.0, detail={"x": [1]})
        )
        assert made.version == 1
        assert resources.get(made.key) == made
        assert resources.get(replace(made.key, name="cats")) is None
        assert resources.get(replace(made.key, region="eu-west-1")) is None

    def test_a_name_is_taken_in_any_case(self, resources: Resources) -> None:
        made = resources.create(draft("Cats"))
        with pytest.raises(AlreadyExists) as refusal:
            resources.create(draft("cATS"))
        assert refusal.value.existing == made
        resources.create(draft("cats", kind=Kind.MODEL))

    def test_update_sets_what_the_change_names(self, resources: Resources, clock: Ticking) -> None:
        made = resources.create(draft("a", status="Creating", tags={"k": "v"}, due_at=1.0))
        clock.now = 1002.00049
        now = resources.update(made, Change(due_at=None, status="InService", new_generation=True))
        assert now == resources.get(made.key)
        expected = replace(made, version=2, generation=2, status="InService", due_at=None, modified_at=1002.0)
        assert now == expected
        untouched = resources.update(now, Change(due_at=7.0, detail={"b": 1}, touch=False))
        assert (untouched.modified_at, untouched.generation, untouched.detail) == (1002.0, 2, {"b": 1})
        assert untouched.spec == {"Name": "a"}

    def test_a_write_after_another_is_stale(self, resources: Resources) -> None:
        made = resources.create(draft("a"))
        resources.update(made, Change(due_at=None, status="X"))
        with pytest.raises(Stale):
            resources.update(made, Change(due_at=None, status="Y"))
        with pytest.raises(Stale):
            resources.delete(made)
        current = resources.get(made.key)
        assert current is not None
        assert current.status == "X"
        resources.delete(current)
        assert resources.get(made.key) is None
        with pytest.raises(Stale):
            resources.delete(current)

    def test_a_namesake_made_later_is_another_resource(self, resources: Resources) -> None:
        made = resources.create(draft("a"))
        resources.delete(made)
        resources.create(draft("a", at=1001.0))
        with pytest.raises(Stale):
            resources.update(made, Change(due_at=None, status="Y"))

    def test_a_leased_resource_is_held_until_the_lease_expires(self, resources: Resources) -> None:
        made = resources.create(draft("a", due_at=10.0))
        resources.create(draft("b", due_at=None))
        assert resources.lease("one", 9.9, 5, 10) == []
        [held] = resources.lease("one", 10.0, 5, 10)
        assert held == replace(made, lease=held.lease)
        assert held.lease is not None
        assert resources.lease("two", 14.9, 5, 10) == []
        with pytest.raises(Stale):
            resources.update(made, Change(due_at=None))
        [taken] = resources.lease("two", 15.0, 5, 10)
        with pytest.raises(Stale):
            resources.update(held, Change(due_at=None))
        assert resources.update(taken, Change(due_at=None)).lease is None
        assert resources.lease("one", 99.0, 5, 10) == []

    def test_a_client_that_reads_during_a_lease_may_write_and_the_holder_loses(
        self, resources: Resources
    ) -> None:
        made = resources.create(draft("a", due_at=10.0))
        [held] = resources.lease("one", 10.0, 5, 10)
        read = resources.get(made.key)
        assert read is not None
        resources.update(read, Change(due_at=11.0, status="Stopping"))
        with pytest.raises(Stale):
            resources.update(held, Change(due_at=None, status="Completed"))
        [again] = resources.lease("two", 11.0, 5, 10)
        assert again.status == "Stopping"

    def test_leases_go_to_the_longest_due_first_and_not_beyond_the_limit(self, resources: Resources) -> None:
        for name, due in (("a", 3.0), ("b", 1.0), ("c", 2.0)):
            resources.create(draft(name, due_at=due))
        assert names(resources.lease("one", 10, 5, 2)) == ["b", "c"]
        assert names(resources.lease("two", 10, 5, 2)) == ["a"]

    def test_pages_are_ordered_and_filtered(self, resources: Resources) -> None:
        for name, at, status in (("b", 1.0, "X"), ("A-x", 2.0, "Y"), ("c", 2.0, "X"), ("d", 3.0, "Y")):
            resources.create(draft(name, at=at, status=status))
        resources.create(draft("other", kind=Kind.MODEL))
        assert names(resources.page(listing())) == ["d", "A-x", "c", "b"]
        assert names(resources.page(listing(descending=False))) == ["b", "A-x", "c", "d"]
        assert names(resources.page(listing(sort_by="name", descending=False))) == ["A-x", "b", "c", "d"]
        assert names(resources.page(listing(sort_by="status", descending=False))) == ["b", "c", "A-x", "d"]
        assert names(resources.page(listing(status="Y"))) == ["d", "A-x"]
        assert names(resources.page(listing(name_contains="a-X"))) == ["A-x"]
        assert names(resources.page(listing(named="a-X"))) == ["A-x"]
        assert names(resources.page(listing(named="a"))) == []
        assert names(resources.page(listing(created_after=2.0, created_before=3.0))) == ["A-x", "c"]
        assert names(resources.page(listing(modified_after=3.0))) == ["d"]
        assert names(resources.page(listing(modified_before=2.0))) == ["b"]
        assert names(resources.page(listing(limit=1, after=(2.0, "A-x")))) == ["c"]

    def test_names_are_found_by_their_beginning(self, resources: Resources) -> None:
        for name in ("hunt", "Hunt-001-a", "hunt-002-b", "hunt2-001-c", "hunts"):
            resources.create(draft(name))
        found = resources.page(listing(name_prefix="HUNT-", sort_by="name", descending=False))
        assert names(found) == ["Hunt-001-a", "hunt-002-b"]

    def test_versions_are_told_from_names_and_changes_from_creations(
        self, resources: Resources, clock: Ticking
    ) -> None:
        for at, name in enumerate(("pets", "pets/1", "pets/2", "cats")):
            resources.create(draft(name, 1000.0 + at))
        clock.now = 2000.0
        seen = resources.get(draft("pets/1").key)
        assert seen is not None
        resources.update(seen, Change(None))
        assert names(resources.page(listing(is_version=True))) == ["pets/2", "pets/1"]
        assert names(resources.page(listing(is_version=False))) == ["cats", "pets"]
        assert names(resources.page(listing(sort_by="modified_at", limit=2))) == ["pets/1", "cats"]
        after = (1003.0, "cats")
        assert names(resources.page(listing(sort_by="modified_at", after=after))) == ["pets/2", "pets"]

    def test_revision_tells_of_writes_of_others(self, resources: Resources, folder: Path) -> None:
        second = open_database(folder)
        other = SqlResources(second)
        before = resources.revision()
        assert resources.revision() == before
        made = other.create(draft("a"))
        after = resources.revision()
        assert after != before
        other.update(made, Change(due_at=None, status="X"))
        assert resources.revision() != after
        second.close()

    def test_of_two_threads_one_wins_every_race(self, resources: Resources) -> None:
        counter = resources.create(draft("a", spec={"n": 0}))
        threads = [Thread(target=count_up, args=(resources, counter.key, 20)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        final = resources.get(counter.key)
        assert final is not None
        assert (final.spec["n"], final.version) == (80, 81)

    def test_of_two_processes_one_wins_every_race(self, resources: Resources, folder: Path) -> None:
        counter = resources.create(draft("a", spec={"n": 0}))
        command = [sys.executable, __file__, str(folder)]
        processes = [subprocess.Popen(command) for _ in range(2)]
        assert [process.wait(60) for process in processes] == [0, 0]
        final = resources.get(counter.key)
        assert final is not None
        assert (final.spec["n"], final.version) == (80, 81)

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        times=st.lists(st.integers(0, 4), min_size=1, max_size=12),
        order=st.tuples(st.sampled_from(sorted(VALUES)), st.booleans()),
        limit=st.integers(1, 4),
        adds=st.lists(st.booleans(), min_size=12, max_size=12),
    )
    def test_pages_neither_repeat_nor_skip_what_existed_throughout(
        self,
        resources: Resources,
        times: list[int],
        order: tuple[str, bool],
        limit: int,
        adds: list[bool],
    ) -> None:
        region = f"region-{next(COUNT)}"
        for index, at in enumerate(times):
            resources.create(draft(f"old{index}", at=float(at), status="XY"[index % 2], region=region))
        question = listing(region=region, limit=limit, sort_by=order[0], descending=order[1])
        seen: list[Resource] = []
        for number in range(100):
            page = resources.page(question)
            if not page:
                break
            seen += page
            question = replace(question, after=(VALUES[order[0]](page[-1]), page[-1].key.name))
            if number < len(adds):
                write_between(resources, region, number, adds=adds[number])
        old = [name for name in names(seen) if name.startswith("old")]
        assert sorted(old) == sorted(f"old{index}" for index in range(len(times)))


def count_up(resources: Resources, key: Key, times: int) -> None:
    for _ in range(times):
        while True:
            seen = resources.get(key)
            assert seen is not None
            try:
                resources.update(seen, Change(due_at=None, spec={"n": seen.spec["n"] + 1}))
                break
            except Stale:
                continue


def write_between(resources: Resources, region: str, number: int, *, adds: bool) -> None:
    """What others do between two pages: they add, and they delete what they added."""
    if adds:
        resources.create(draft(f"new{number}", at=float(number % 5), region=region))
    elif found := resources.page(listing(name_contains="new", limit=1, region=region)):
        resources.delete(found[0])


if __name__ == "__main__":
    count_up(SqlResources(open_database(Path(sys.argv[1]))), Key(Kind.ENDPOINT, ACCOUNT, REGION, "a"), 40)

"""The indexes of runs: what is noted, and what a crash leaves noted."""

import threading
from pathlib import Path

from sagestead.engines.process.places import Places


def test_a_run_is_found_by_what_it_belongs_to_until_it_is_removed(tmp_path: Path) -> None:
    index = Places.prepare(tmp_path / "runs").owners
    for run_id in ("a/0", "a/1"):
        index.add("owner", run_id)
        index.add("owner", run_id)
    assert len(list(index.runs("owner"))) == 2
    assert list(index.runs("another")) == []
    index.remove("owner", "a/0")
    index.remove("owner", "a/0")
    assert len(list(index.runs("owner"))) == 1
    index.remove("owner", "a/1")
    assert list(index.folder.iterdir()) == []


def test_what_a_crash_leaves_noted_of_runs_that_are_gone_is_forgotten(tmp_path: Path) -> None:
    places = Places.prepare(tmp_path / "runs")
    for owner, run_id in (("one", "a/0"), ("one", "a/1"), ("two", "b/0")):
        places.owners.add(owner, run_id)
    kept = places.run("a/1").path
    kept.mkdir()
    places.owners.tidy(threading.Lock())
    assert [run.path for run in places.owners.runs("one")] == [kept]
    assert list(places.owners.runs("two")) == []
    assert len(list(places.owners.folder.iterdir())) == 1

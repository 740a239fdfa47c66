from __future__ import annotations

from pathlib import Path

import pytest

from sagestead.worker.progress import Begun, Progress, page_of, working_since


@pytest.fixture
def address(tmp_path: Path) -> Path:
    return tmp_path / "instance"


def test_what_is_begun_is_known_by_connection_and_after_another_process_has_started(address: Path) -> None:
    progress = Progress(address)
    places = [progress.take_place() for _ in range(2)]
    found = [Begun.find(str(address), progress.greeting(place)) for place in places]
    assert all(one is not None and not one.has(0) for one in found)
    progress.note(places[1], 6)
    Progress(address)
    one, other = found
    assert one is not None
    assert other is not None
    assert [one.has(0), *(other.has(identity) for identity in (0, 6, 7, 900))] == [
        False,
        True,
        True,
        False,
        False,
    ]


def test_ids_that_begin_anew_at_their_end_are_in_order(address: Path) -> None:
    progress = Progress(address)
    place = progress.take_place()
    progress.note(place, 2**32 - 1)
    begun = Begun.find(str(address), progress.greeting(place))
    assert begun is not None
    assert [begun.has(identity) for identity in (2**32 - 2, 2**32 - 1, 0, 1)] == [True, True, False, False]


def test_the_page_of_another_process_is_not_taken_for_ones_own(address: Path) -> None:
    progress = Progress(address)
    greeting = progress.greeting(progress.take_place())
    assert Begun.find(str(address), greeting + (1 << 9)) is None
    assert Begun.find(str(address), 0) is None
    page_of(address).write_bytes(b"short")
    assert Begun.find(str(address), greeting) is None
    page_of(address).unlink()
    assert Begun.find(str(address), greeting) is None


def test_places_are_given_again_with_nothing_begun_and_those_beyond_the_last_note_nothing(
    address: Path,
) -> None:
    progress = Progress(address)
    places = [progress.take_place() for _ in range(600)]
    assert len(set(places)) == 511
    progress.note(places[-1], 7)
    assert Begun.find(str(address), progress.greeting(places[-1])) is None
    progress.free_place(places[-1])
    progress.note(places[3], 7)
    progress.free_place(places[3])
    assert progress.take_place() == places[3]
    again = Begun.find(str(address), progress.greeting(places[3]))
    assert again is not None
    assert not again.has(7)
    assert progress.take_place() == places[-1]


def test_since_when_a_model_works_is_seen_from_outside(address: Path) -> None:
    assert working_since(address) is None
    progress = Progress(address)
    assert working_since(address) is None
    progress.work(12.5)
    assert working_since(address) == 12.5
    progress.work(0.0)
    assert working_since(address) is None

"""When something that ended is started again, or tried again.

Rule: the first time at once, then after 1, 2, 4… up to 30 seconds while it keeps happening; a process that
lived a minute starts the count anew.
"""

from __future__ import annotations

from sagestead.domain.resources import Json
from sagestead.domain.runs import RunPhase, RunState

LONGEST_SECONDS = 30.0
SOUND_SECONDS = 60.0

ENDED = frozenset({RunPhase.EXITED, RunPhase.LOST})


def delay(deaths: int) -> float:
    """Return the seconds to wait after the nth death in a row (from 1)."""
    return 0.0 if deaths <= 1 else min(LONGEST_SECONDS, 2.0 ** min(deaths - 2, 10))


def count_death(before: Json | None, run: RunState) -> Json:
    """Return {"attempt", "count"}: deaths in a row of a run, `before` being the last such record.

    Each attempt of a run dies once, however often it is looked at.
    """
    if before is not None and before["attempt"] == run.attempt:
        return before
    earlier = 0 if before is None else int(before["count"])
    is_sound = run.ended_at is not None and run.ended_at - run.started_at >= SOUND_SECONDS
    lost = run.phase is RunPhase.LOST
    return {"attempt": run.attempt, "count": 1 if is_sound or lost else earlier + 1}


def restart_at(run: RunState, deaths: int) -> float:
    """Return when an ended run is started again (seconds since the epoch)."""
    return (run.ended_at if run.ended_at is not None else run.started_at) + delay(deaths)

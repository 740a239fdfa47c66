"""What can be seen of a run, from the files in its folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from sagestead.domain.runs import RunPhase, RunSpec, RunState
from sagestead.worker.run_folder import RunFolder, read_json, write_json


@dataclass(frozen=True, slots=True)
class Record:
    """Content of spec.json. `started_at`: seconds since the epoch; `interruptions`: of earlier attempts."""

    run_id: str
    spec: RunSpec
    attempt: int
    interruptions: int
    started_at: float

    def write(self, run: RunFolder) -> None:
        """Store it."""
        write_json(run.spec, asdict(self))


def read_record(run: RunFolder) -> Record | None:
    """Return the content of spec.json; None for a folder whose run was never started."""
    value = read_json(run.spec)
    if value is None:
        return None
    return Record(**{"interruptions": 0, **value, "spec": RunSpec.from_json(value["spec"])})


def observe(run: RunFolder, *, lives: bool) -> RunState | None:
    """Return the run's state; None for a folder whose run was never started."""
    record = read_record(run)
    if record is None:
        return None
    ready = read_json(run.ready) if lives else None
    end = None if lives else read_json(run.exit)
    prepared = record.spec.role == "prepare" and run.prepared.is_dir() and (lives or run.kept.exists())
    if prepared:
        lives = False  # to whoever wants the model; what is left to do is for a power cut
        end = {"code": 0, "at": end["at"] if end else run.prepared.stat().st_mtime}
    return RunState(
        run_id=record.run_id,
        phase=_phase(lives=lives, ready=ready is not None, ended=end is not None),
        spec=record.spec,
        attempt=record.attempt,
        interruptions=record.interruptions + (not lives and run.interrupted.exists()),
        started_at=record.started_at,
        ended_at=end["at"] if end else None,
        exit_code=end["code"] if end else None,
        address=ready["address"] if ready else None,
        prepared=str(run.prepared) if prepared else None,
        failure=None if prepared else _text(run.failure),
        equipped=record.spec.runtime is None or run.equipped.exists(),
    )


def _phase(*, lives: bool, ready: bool, ended: bool) -> RunPhase:
    if lives:
        return RunPhase.READY if ready else RunPhase.STARTING
    return RunPhase.EXITED if ended else RunPhase.LOST


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sagestead.domain.runs import RunPhase, RunSpec
from sagestead.domain.transform import TransformObject, TransformTask
from sagestead.engines.process.engine import ProcessEngine
from sagestead.worker.run_folder import RunFolder, read_json, write_json, write_text

PROGRAMS = str(Path(__file__).parent)
Run = Callable[[RunSpec], int]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessEngine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", PROGRAMS)
        engine = ProcessEngine(tmp_path_factory.mktemp("data") / "runs", time.time)
        engine.start()
        yield engine
        engine.close()


@pytest.fixture
def here(engine: ProcessEngine) -> Iterator[RunFolder]:
    """The folder of a run that has not started."""
    yield RunFolder(engine.folder("run"))
    engine.forget("run")


@pytest.fixture
def run(engine: ProcessEngine, here: RunFolder) -> Run:
    """Start the run in `here` and return its exit code."""

    def until_exit(asked: RunSpec) -> int:
        engine.ensure("run", asked)
        deadline = time.monotonic() + 20
        while (state := engine.runs("arn")[0]).phase is not RunPhase.EXITED:
            assert time.monotonic() < deadline, here.log.read_text()
            engine.changed(0.1)
        assert state.exit_code is not None
        return state.exit_code

    return until_exit


def spec(role: str, entry: str = "programs:load", **environment: str) -> RunSpec:
    return RunSpec("arn", role, entry, "image:1", environment)  # type: ignore[arg-type] # a Literal


def test_a_transform_writes_its_outputs_and_result(here: RunFolder, run: Run) -> None:
    (here.path / "in").write_bytes(b"1,2\n3,4\n")
    task = TransformTask([TransformObject("s3://b/in", "in", "in.out")], content_type="text/csv")
    write_json(here.path / "transform.json", task.to_json())
    code = run(spec("transform"))
    assert code == 0, here.log.read_text()
    assert (here.path / "in.out").read_bytes() == b"1,2\n3,4\n"
    result = read_json(here.transform_result)
    assert result is not None
    assert result["done"] == ["s3://b/in"]
    ended = read_json(here.exit)
    assert ended is not None
    assert ended["code"] == 0
    assert here.data_log.exists()


def test_a_transform_that_fails_says_why(here: RunFolder, run: Run) -> None:
    (here.path / "in").write_bytes(b"status 400")
    task = TransformTask([TransformObject("s3://b/in", "in", "in.out")])
    write_json(here.path / "transform.json", task.to_json())
    code = run(spec("transform"))
    assert code == 1
    result = read_json(here.transform_result)
    assert result is not None
    assert result["failed"] == ["s3://b/in"]
    assert here.failure.read_text() == result["reason"]


@pytest.mark.parametrize("entry", ["programs:missing", "no_such_module:load"])
def test_an_unknown_entry_fails_with_its_name(here: RunFolder, run: Run, entry: str) -> None:
    code = run(spec("serve", entry))
    assert code == 1
    assert entry.partition(":")[0] in here.failure.read_text()


def test_an_artifact_that_is_missing_is_refused(here: RunFolder, run: Run) -> None:
    code = run(RunSpec("arn", "serve", "programs:load", "image:1", digest="0" * 64))
    assert (code, here.failure.read_text()) == (1, "The model artifact is missing from the instance.")


def test_training_starts_from_an_empty_model_folder(here: RunFolder, run: Run) -> None:
    left_over = here.layout.model / "half"
    left_over.parent.mkdir(parents=True)
    left_over.touch()
    code = run(spec("train", "programs:train"))
    assert code == 0
    assert [path.name for path in here.layout.model.iterdir()] == ["weights"]
    assert here.layout.output_data.is_dir()


def test_a_library_loaded_before_the_fork_keeps_to_the_runs_threads(here: RunFolder, run: Run) -> None:
    assert run(spec("train", "programs:train", SCRIPT="count threads")) == 0
    assert "used 1 threads" in here.log.read_text()


def test_a_failure_is_one_short_paragraph(tmp_path: Path) -> None:
    here = RunFolder(tmp_path)
    here.fail("  why " + "x" * 5000)
    assert len(here.failure.read_text()) == 1024
    here.fail("\ud800")
    assert here.failure.read_text() == "?"


def test_half_a_file_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    assert read_json(path) is None
    path.write_text('{"a": ')
    assert read_json(path) is None
    path.write_text("[1]")
    assert read_json(path) is None
    write_text(path, json.dumps({"a": 1}))
    assert read_json(path) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.json"]

from __future__ import annotations

from pathlib import Path

from tests.worker.toolkit.standing import NAME, VERSION, standing_runtime
from typer.testing import CliRunner

from sagestead.cli import app
from sagestead.domain.runtimes import RUNTIMES

runner = CliRunner()


def test_every_runtime_is_listed_with_its_python_and_its_state(tmp_path: Path) -> None:
    standing_runtime(tmp_path / "runtimes")
    shown = runner.invoke(app, ["runtime", "list", "--data", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    lines = {line.split("│")[1].strip(): line for line in shown.output.splitlines() if line.count("│") > 2}
    assert set(RUNTIMES) <= set(lines)
    assert [cell.strip() for cell in lines[NAME].split("│")[2:4]] == [VERSION, "built"]
    assert "not built" in lines["sklearn:0.20.0"]


def test_what_is_built_is_not_built_again_and_can_be_removed(tmp_path: Path) -> None:
    path = standing_runtime(tmp_path / "runtimes").path
    built = runner.invoke(app, ["runtime", "build", NAME, "--data", str(tmp_path)])
    assert built.output == f"{NAME} has Python {VERSION}, in {path}\n"
    removed = runner.invoke(app, ["runtime", "remove", NAME, "--data", str(tmp_path)])
    assert removed.output == f"{NAME} is removed.\n"
    assert not Path(path).exists()
    again = runner.invoke(app, ["runtime", "remove", NAME, "--data", str(tmp_path)])
    assert again.exit_code == 1
    assert f"The runtime {NAME} is not built" in again.output


def test_a_runtime_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    refused = runner.invoke(app, ["runtime", "build", "sklearn:9", "--data", str(tmp_path)])
    assert refused.exit_code == 1
    assert "There is no runtime sklearn:9. There are sklearn:0.20.0" in refused.output

"""Packages that the user's code asks for, laid upon a runtime: kept by content, installed with no rights.

Rules: the same requirements upon the same runtime are installed once; code that installs itself, or names
files of its own, counts with all of its files. Whatever the installer runs, it runs in the enclosure, as the
programs' user, and nobody can write to what it made afterwards.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sagestead.domain.refused_model import ModelRefused
from sagestead.domain.runtimes import digest_of
from sagestead.worker.archives import entries
from sagestead.worker.toolkit.enclosure import OPT_ML, Enclosure, Program
from sagestead.worker.toolkit.environments import (
    PIP_OPTIONS,
    READABLE,
    Environment,
    Environments,
    followed,
    is_offline,
    shortened,
)

REQUIREMENTS = "requirements.txt"
SETUP = "setup.py"


class InstallFailed(ModelRefused):
    """What the user's code asks for could not be installed; the text is as the toolkits of AWS write it."""


def provide(
    environments: Environments, base: Environment, enclosure: Enclosure, code: Path, seen: str
) -> Environment:
    """Return the runtime with what the user's code asks for; the runtime itself when that is nothing.

    Args:
        environments: where runtimes are.
        base: the runtime.
        enclosure: where the installer runs.
        code: the folder of the code.
        seen: how the enclosure sees that folder.

    Raises:
        InstallFailed: the installer failed.
    """
    text = _text(code / REQUIREMENTS)
    is_package = (code / SETUP).is_file()
    if not is_package and not any(map(_is_wanted, text.splitlines())):
        return base
    content = [text, *(_tree(code) if is_package or _names_files(text) else [])]
    digest = digest_of(base.version, content, Path(base.path).name)
    with environments.building(digest, f"{base.name} with the packages of {REQUIREMENTS}") as path:
        known = [one for one in environments.built() if one.path == str(path)]
        if known:
            return known[0]
        layer = Environment(str(path), base.name, base.version, (text,), base.prefix, base.path)
        _make(environments, base, layer)
        wanted = [*(["-r", REQUIREMENTS] if text else []), *(["."] if is_package else [])]
        _install(environments, layer, enclosure, wanted, seen)
        return environments.note(layer)


def _make(environments: Environments, base: Environment, layer: Environment) -> None:
    """Make an empty virtual environment that sees the packages of another."""
    command = [base.python, "-m", "venv", "--without-pip", layer.path]
    subprocess.run(  # noqa: S603 - our own command
        command, env=environments.variables, check=True, capture_output=True, cwd="/", umask=READABLE
    )
    (layer.site / "base.pth").write_text(f"{base.site}\n", encoding="utf-8")


def _install(
    environments: Environments, layer: Environment, enclosure: Enclosure, wanted: list[str], folder: str
) -> None:
    environments.say(f"Installing {' '.join(wanted)}")
    command = [layer.python, "-m", "pip", "install", *PIP_OPTIONS, "--no-cache-dir", *wanted]
    variables = {**environments.settings(layer), "HOME": OPT_ML}
    program = Program(command, variables, folder, layer.needs[1:], [Path(layer.path)])
    enclosure.lend(Path(layer.path))
    try:
        lines = followed(
            enclosure.start(program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT), environments.say
        )
    finally:
        enclosure.take_back(Path(layer.path))
    if lines is not None:
        raise InstallFailed(
            f'InstallRequirementsError:\nErrorMessage "{shortened(lines)}"\n'
            f'Command "pip install {" ".join(wanted)}"{_advice(lines)}'
        )


def _advice(lines: Sequence[str]) -> str:
    if not is_offline(lines):
        return ""
    return (
        "\nThe package index could not be reached: try again once it can be, or put the packages into "
        "source_dir."
    )


def _is_wanted(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _names_files(text: str) -> bool:
    """Say whether requirements name files or options of their own, whose content counts as well."""
    lines = [line.strip() for line in text.splitlines()]
    return any(line.startswith(("-", ".", "/")) or "file:" in line for line in lines)


def _tree(folder: Path) -> list[str]:
    """Return every file below a folder with its digest."""
    return [
        f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for name, path, is_folder in entries(folder)
        if not is_folder
    ]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""

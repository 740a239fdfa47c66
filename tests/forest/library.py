"""The corpus: models of many XGBoost versions, with what each version predicted (see `generate_corpus`)."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ARCHIVE = Path(__file__).with_name("corpus") / "models.tar.xz"


@dataclass(frozen=True)
class Case:
    """One model of one version, in some formats.

    Attributes:
        files: suffix (`bin`, `json`, `ubj`, `pickle0`...) -> content.
        rows: float32[20, 5], NaN where a cell is missing.
        margin, prediction: float32, what the version predicted for them.
        trees: how many trees it predicted with.
    """

    version: str
    name: str
    files: dict[str, bytes]
    rows: NDArray[np.float32]
    margin: NDArray[np.float32]
    prediction: NDArray[np.float32]
    trees: int


@cache
def cases() -> dict[tuple[str, str], Case]:
    """Return all cases by version and name."""
    with tarfile.open(ARCHIVE) as archive:
        content = {member.name: _content(archive, member) for member in archive}
    versions = sorted({name.partition("/")[0] for name in content})
    return {(case.version, case.name): case for version in versions for case in _cases(version, content)}


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file
    return file.read()


def _cases(version: str, content: dict[str, bytes]) -> Iterator[Case]:
    rows = {name: numbers(each) for name, each in json.loads(content[f"{version}/rows.json"]).items()}
    for name, case in json.loads(content[f"{version}/cases.json"])["cases"].items():
        yield Case(
            version=version,
            name=name,
            files={suffix: content[f"{version}/{name}.{suffix}"] for suffix in case["files"]},
            rows=rows[case["rows"]],
            margin=numbers(case["margin"]),
            prediction=numbers(case["prediction"]),
            trees=case["trees"],
        )


def numbers(values: list[Any]) -> NDArray[np.float32]:
    """Return lists of numbers, in which NaN and infinities are texts, as an array."""
    return np.array(values, np.float64).astype(np.float32)

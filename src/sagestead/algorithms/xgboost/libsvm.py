"""LIBSVM text: `label[:weight] [qid:group] index:value …`, one example a line (spec: xgboost-builtin.md 2.2).

Rule: indices are columns as written, from 0 on; whoever counts from 1 has a first column without values,
until `without_first_column` takes it away. Text after `#` is a comment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from sagestead.algorithms.xgboost.examples import Examples, Unreadable, as_float32, is_checked, joined
from sagestead.algorithms.xgboost.faults import UserFault
from sagestead.algorithms.xgboost.report import say

_BLOCK = 8 << 20
_GREATEST_INDEX = (1 << 31) - 2
_COLON, _SPACE = b": "


def read_libsvm(files: Sequence[Path]) -> Examples:
    """Read all files as one matrix; raise `UserFault` for the first line, `Unreadable` for others."""
    for file in filter(is_checked, files):
        _check_form(file)
    blocks = [block for file in files for block in _blocks(file)]
    if not blocks:
        raise Unreadable(f"{files[0].name} has no lines with examples.")
    counts, indices = joined([b.counts for b in blocks]), joined([b.indices for b in blocks])
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    shape = (counts.size, int(indices.max(initial=-1)) + 1)
    weights, groups = joined([b.weights for b in blocks]), joined([b.groups for b in blocks])
    return Examples(
        features=csr_matrix((as_float32(joined([b.values for b in blocks])), indices, starts), shape=shape),
        labels=as_float32(joined([b.labels for b in blocks])),
        weights=None if np.isnan(weights).all() else as_float32(np.nan_to_num(weights, nan=1.0)),
        groups=None if (groups < 0).all() else groups.astype(np.uint32),
    )


def names_column_0(data: Examples) -> bool:
    """Say whether any line names column 0."""
    return bool((data.features.indices == 0).any())


def without_first_column(data: Examples) -> Examples:
    """Return the examples with every column moved to the place before it."""
    return replace(data, features=data.features[:, 1:])


@dataclass(frozen=True, slots=True)
class _Block:
    """Some lines. `weights` NaN and `groups` -1 stand for none; `counts`: features a line."""

    labels: NDArray[np.float64]
    weights: NDArray[np.float64]
    groups: NDArray[np.int64]
    counts: NDArray[np.int64]
    indices: NDArray[np.int64]
    values: NDArray[np.float64]


def _blocks(file: Path) -> Iterator[_Block]:
    number = 1
    with file.open("rb") as stream:
        while lines := stream.readlines(_BLOCK):
            try:
                block = _block(lines)
            except (ValueError, OverflowError):
                _name_bad_line(file, number, lines)
            if block.counts.size:
                yield block
            number += len(lines)


def _block(lines: list[bytes]) -> _Block:
    """Parse lines together; raise ValueError if any is not of the form."""
    labels, weights, groups, counts, pairs = [], [], [], [], []
    for line in lines:
        tokens = line.partition(b"#")[0].split()
        if not tokens:
            continue
        label, colon, weight = tokens[0].partition(b":")
        labels.append(float(label))
        weights.append(float(weight) if colon else np.nan)
        start = 1
        if len(tokens) > 1 and tokens[1].startswith(b"qid:"):
            start = 2
        groups.append(int(tokens[1][4:]) if start > 1 else -1)
        counts.append(len(tokens) - start)
        pairs += tokens[start:]
    indices, values = _pairs(pairs)
    return _Block(
        np.array(labels, np.float64),
        np.array(weights, np.float64),
        np.array(groups, np.int64),
        np.array(counts, np.int64),
        indices,
        values,
    )


def _pairs(pairs: list[bytes]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return indices and values of `index:value` tokens; raise ValueError if any is not of the form."""
    if not pairs:
        return np.zeros(0, np.int64), np.zeros(0, np.float64)
    text = b" ".join(pairs)
    characters = np.frombuffer(text, np.uint8)
    marks = characters[(characters == _COLON) | (characters == _SPACE)]
    if marks.size != 2 * len(pairs) - 1 or (marks[::2] != _COLON).any() or (marks[1::2] != _SPACE).any():
        raise ValueError
    halves = text.replace(b":", b" ").split(b" ")
    indices = np.fromiter(map(int, halves[::2]), np.int64, len(pairs))
    if indices.min() < 0 or indices.max() > _GREATEST_INDEX:
        raise ValueError
    return indices, np.fromiter(map(float, halves[1::2]), np.float64, len(pairs))


def _name_bad_line(file: Path, number: int, lines: list[bytes]) -> NoReturn:
    """Raise `Unreadable` with the first line that is not of the form."""
    for at, line in enumerate(lines, number):
        try:
            _block([line])
        except (ValueError, OverflowError):
            text = line[:50].decode(errors="replace").rstrip()
            raise Unreadable(
                f"{file.name}, line {at}: '{text}' is not of the form label[:weight] index:value …"
            ) from None
    raise Unreadable(f"{file.name}: the lines from {number} on cannot be read together.")


def _check_form(file: Path) -> None:
    """Look at the lines up to the first with features, as the container does before it reads."""
    with file.open("rb") as stream:
        for line in stream:
            try:
                counts = _block([line]).counts
            except (ValueError, OverflowError):
                snippet = line.decode(errors="ignore")[:50]
                raise UserFault(
                    f"First line '{snippet}...' of file '{file.name}' is not 'LIBSVM' format. "
                    "Please ensure the file is in 'LIBSVM' format."
                ) from None
            if counts.size and counts[0]:
                return
    say(f"File {file.name} has labels but no features.")

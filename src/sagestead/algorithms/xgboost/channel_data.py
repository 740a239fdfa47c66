"""The examples of a job's channels, made to fit each other.

Rule: validation data has the columns of the training data, counted and weighted alike; what would not fit
into memory or could not be served is refused before training begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from sagestead.algorithms.xgboost.channels import channel_files, container_path, no_data, piped_files
from sagestead.algorithms.xgboost.examples import Examples
from sagestead.algorithms.xgboost.faults import UserFault
from sagestead.algorithms.xgboost.formats import Format
from sagestead.algorithms.xgboost.libsvm import names_column_0, without_first_column
from sagestead.algorithms.xgboost.reading import read_examples
from sagestead.algorithms.xgboost.report import say
from sagestead.algorithms.xgboost.structure import MOST_FEATURES
from sagestead.domain.images import BuiltInImage
from sagestead.worker.layout import Layout
from sagestead.worker.run_folder import RunFolder

_MOST_MARGINS = 1 << 30


@dataclass(frozen=True, slots=True)
class Read:
    """What the channels of one host hold; `from_one`: its training data counts columns from 1."""

    training: Examples | None
    validation: Examples | None
    from_one: bool

    def facts(self) -> dict[str, Any]:
        """Return what other hosts must know of it."""
        training = self.training
        return {
            "rows": training.rows if training else 0,
            "columns": training.columns if training else 0,
            "sparse": training is not None and sparse.issparse(training.features),
            "validates": self.validation is not None,
            "from_one": self.from_one,
        }


@dataclass(frozen=True, slots=True)
class Common:
    """What is true of the data of all hosts together: its columns, how they count, whether it validates."""

    columns: int
    from_one: bool
    validates: bool

    @classmethod
    def of(cls, facts: Sequence[Mapping[str, Any]]) -> Common:
        """Return it for the facts of the hosts that have training data; raise `UserFault`."""
        columns = {one["columns"] for one in facts}
        if len(columns) > 1 and not all(one["sparse"] for one in facts):
            raise UserFault(
                f"feature_names mismatch: the training data of some hosts has {min(columns)} columns of "
                f"features, that of others {max(columns)}."
            )
        return cls(
            max(columns), all(one["from_one"] for one in facts), any(one["validates"] for one in facts)
        )


@dataclass(frozen=True, slots=True)
class Channels:
    """How the channels of a job are read.

    Attributes:
        layout: has their files.
        image: decides how LIBSVM columns are counted.
        data_format: of both channels.
        weighted: the second column of CSV holds weights.
        classes: predictions a row.
    """

    layout: Layout
    image: BuiltInImage
    data_format: Format
    weighted: bool
    classes: int

    def read(self, channels: Mapping[str, Mapping[str, Any]]) -> Read:
        """Return what the channels hold, None for one without data; raise `UserFault`."""
        training = self._examples("train", channels)
        validation = self._examples("validation", channels, like=training)
        return Read(training, validation, training is not None and self._counts_from_one(training))

    def settled(self, found: Read, common: Common) -> tuple[Examples, Examples | None]:
        """Return the examples to train and validate on, made to fit each other and those of other hosts."""
        training, validation = found.training, found.validation
        if training is None:
            raise no_data("train")
        if common.from_one:
            say("No column 0 is named: columns are counted from 1.")
            training = without_first_column(training)
        columns = common.columns - common.from_one
        training = _as_wide(training, columns, "train")
        say(f"Train matrix has {training.rows} rows and {training.columns} columns")
        self._check_size(training)
        if not common.validates:
            return training, None
        if validation is None:
            return training, _none_of(training)
        if common.from_one:
            if names_column_0(validation):
                raise UserFault(
                    f"The data in {container_path('validation')} names column 0, but the training data "
                    "counts its columns from 1."
                )
            validation = without_first_column(validation)
        say(f"Validation matrix has {validation.rows} rows")
        return training, _as_wide(validation, columns, "validation")

    def _examples(
        self, name: str, channels: Mapping[str, Mapping[str, Any]], like: Examples | None = None
    ) -> Examples | None:
        """Read a channel; data `like` weighted data has weights, too, if it has the columns for them."""
        if name not in channels:
            return None
        if channels[name].get("TrainingInputMode") == "Pipe":
            with piped_files(self.layout, name) as files:
                return self._of_files(files, like)
        return self._of_files(channel_files(self.layout, name), like)

    def _of_files(self, files: Sequence[Path], like: Examples | None) -> Examples | None:
        if not files:
            return None
        weighted = self.weighted and self.data_format == "csv"
        place = RunFolder(self.layout.root.parent).kept_data
        kept = place if place.is_dir() else None
        if like is None:
            return read_examples(files, self.data_format, weights=weighted, kept=kept)
        data = read_examples(files, self.data_format, weights=False, kept=kept)
        if weighted and data.columns == like.columns + 1:
            return replace(data, features=data.features[:, 1:], weights=data.features[:, 0])
        return data

    def _counts_from_one(self, data: Examples) -> bool:
        """Find out, as the image does for requests, whether columns are counted from 0 or 1."""
        detects = self.data_format == "libsvm" and self.image.at_least("3.0-5")
        return detects and data.columns > 0 and not names_column_0(data)

    def _check_size(self, data: Examples) -> None:
        """Refuse what would end in the system's killing the job, or in a model that is not served."""
        if data.columns > MOST_FEATURES:
            raise UserFault(
                f"The data in {container_path('train')} has {data.columns} columns of features; "
                f"{MOST_FEATURES} are accepted."
            )
        if data.rows * self.classes > _MOST_MARGINS:
            raise UserFault(
                f"Hyperparameter num_class: {self.classes} classes of {data.rows} rows are more than "
                f"{_MOST_MARGINS} numbers; use fewer classes or rows."
            )


def stacked(first: Examples, second: Examples) -> Examples:
    """Return both as one; a weight of 1 where only the other has weights."""
    if sparse.issparse(first.features) or sparse.issparse(second.features):
        features = sparse.vstack([first.features, second.features], format="csr")
    else:
        features = np.concatenate([first.features, second.features])
    weights = None
    if first.weights is not None or second.weights is not None:
        weights = np.concatenate(
            [np.ones(d.rows, np.float32) if d.weights is None else d.weights for d in (first, second)]
        )
    return Examples(features, np.concatenate([first.labels, second.labels]), weights)


def _as_wide(data: Examples, columns: int, name: str) -> Examples:
    """Give sparse data the width that all training data has; raise `UserFault` if it has another."""
    if data.columns < columns and sparse.issparse(data.features):
        data.features.resize(data.rows, columns)
    if data.columns != columns:
        raise UserFault(
            f"feature_names mismatch: the data in {container_path(name)} has {data.columns} columns "
            f"of features, the training data {columns}."
        )
    return data


def _none_of(data: Examples) -> Examples:
    """Return no rows of the same kind, for a host that has nothing to validate on while others have."""
    weights = None if data.weights is None else data.weights[:0]
    groups = None if data.groups is None else data.groups[:0]
    return Examples(data.features[:0], data.labels[:0], weights, groups)

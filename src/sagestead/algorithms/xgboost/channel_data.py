"""The examples of a job's channels, made to fit each other.

Rule: validation data has the columns of the training data, counted and weighted alike; what would not fit
into memory or could not be served is refused before training begins.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from sagestead.algorithms.xgboost.channels import channel_files, container_path
from sagestead.algorithms.xgboost.examples import Examples
from sagestead.algorithms.xgboost.faults import UserFault
from sagestead.algorithms.xgboost.formats import Format
from sagestead.algorithms.xgboost.libsvm import names_column_0, without_first_column
from sagestead.algorithms.xgboost.reading import read_examples
from sagestead.algorithms.xgboost.report import say
from sagestead.algorithms.xgboost.structure import MOST_FEATURES
from sagestead.domain.images import BuiltInImage
from sagestead.worker.layout import Layout

_MOST_MARGINS = 1 << 30


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

    def read(self, names: Container[str]) -> tuple[Examples, Examples | None]:
        """Return the examples of `train` and, if it is among the names, `validation`; raise `UserFault`."""
        training = self._examples("train")
        from_one = self._counts_from_one(training)
        if from_one:
            say("No column 0 is named: columns are counted from 1.")
            training = without_first_column(training)
        say(f"Train matrix has {training.rows} rows and {training.columns} columns")
        self._check_size(training)
        if "validation" not in names:
            return training, None
        validation = self._examples("validation", like=training)
        if from_one:
            if names_column_0(validation):
                raise UserFault(
                    f"The data in {container_path('validation')} names column 0, but the training data "
                    "counts its columns from 1."
                )
            validation = without_first_column(validation)
        say(f"Validation matrix has {validation.rows} rows")
        return training, _as_wide(validation, training.columns)

    def _examples(self, name: str, like: Examples | None = None) -> Examples:
        """Read a channel; data `like` weighted data has weights, too, if it has the columns for them."""
        weighted = self.weighted and self.data_format == "csv"
        files = channel_files(self.layout, name)
        if like is None:
            return read_examples(files, self.data_format, weights=weighted)
        data = read_examples(files, self.data_format, weights=False)
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


def _as_wide(data: Examples, columns: int) -> Examples:
    """Give sparse validation data the width of the training data; raise `UserFault` if it has another."""
    if data.columns < columns and sparse.issparse(data.features):
        data.features.resize(data.rows, columns)
    if data.columns != columns:
        raise UserFault(
            f"feature_names mismatch: the data in {container_path('validation')} has {data.columns} columns "
            f"of features, the training data {columns}."
        )
    return data

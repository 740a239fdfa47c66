"""One invocation of the built-in XGBoost, in the container's order of checks (spec: xgboost-builtin.md 6).

Rule: empty body 204; unreadable 415; not predictable 400; Accept 406; then the answer in the shape that
belongs to the image tag. Nothing that a client sends raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from sagestead.algorithms.xgboost import selectable
from sagestead.algorithms.xgboost.decoding import Matrix, Rows, Undecodable, decode
from sagestead.algorithms.xgboost.encoding import (
    CSV,
    PAGE,
    NoEncoder,
    NotAcceptable,
    Predictions,
    accept_of,
    content_type,
    encode,
    reads_accept,
)
from sagestead.algorithms.xgboost.model_files import find, read
from sagestead.algorithms.xgboost.predicting import Booster, Unpredictable, threads_of
from sagestead.domain.images import BuiltInImage, built_in_image, no_such_image
from sagestead.forest.scoring import together
from sagestead.worker.contract import Answer, Invocation, Model, ModelRefused

DEFAULT_MAX_CONTENT_LENGTH = 6 << 20
_NUMBER = re.compile(r"[0-9]{1,18}")
_OLD_CAP = 20 << 20
_TEXT = "text/html; charset=utf-8"
_TOO_LARGE = PAGE.format(
    413, "Request Entity Too Large", "The data value transmitted exceeds the capacity limit."
)
_REFUSALS = (Undecodable, Unpredictable, NotAcceptable, NoEncoder, selectable.NotSelectable)


def load(model_dir: Path, image: str, environment: Mapping[str, str]) -> Model:
    """Load every model file of a folder (contract: worker.contract.Load).

    Environment: OMP_NUM_THREADS, SAGEMAKER_BATCH, SAGEMAKER_INFERENCE_OUTPUT, SAGEMAKER_INFERENCE_ENSEMBLE,
    SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT, MAX_CONTENT_LENGTH.

    Raises:
        ModelRefused: the image is no built-in, or the model cannot be read.
    """
    built_in = built_in_image(image)
    if built_in is None:
        raise ModelRefused(no_such_image(image))
    paths = find(model_dir)
    if environment.get("SAGEMAKER_INFERENCE_ENSEMBLE", "true") != "true":
        paths = paths[:1]
    threads = threads_of(environment)
    boosters = [Booster(read(path), threads) for path in paths]
    if len({booster.ensemble.groups for booster in boosters}) > 1:
        raise ModelRefused(
            "The models of the archive have different numbers of classes and cannot be combined."
        )
    return XgboostModel(boosters, built_in, environment)


class XgboostModel:
    """A loaded model or ensemble behind one image tag. Several threads may invoke it at a time."""

    parallel = True

    def __init__(
        self, boosters: Sequence[Booster], image: BuiltInImage, environment: Mapping[str, str]
    ) -> None:
        self._boosters = boosters
        self._image = image
        self._environment = environment
        self._ensemble = boosters[0].ensemble
        self._batch = bool(environment.get("SAGEMAKER_BATCH"))
        self._limit = max_content_length(environment, image)
        setting = environment.get("SAGEMAKER_INFERENCE_OUTPUT")
        self._keys = selectable.keys_of(setting) if setting is not None and image.at_least("1.0-1") else None

    def invoke(self, invocation: Invocation) -> Answer:
        """Answer one request; see the module's rule."""
        if not invocation.body:
            return _answer(204, "")
        if len(invocation.body) > self._limit:
            return _answer(413, _TOO_LARGE)
        try:
            predictions = self._predict(decode(invocation.body, invocation.content_type, self._image))
            return self._encode(predictions, invocation.accept)
        except _REFUSALS as error:
            prefix = "Unable to evaluate payload provided: " if isinstance(error, Unpredictable) else ""
            return _answer(error.status, f"{prefix}{error}")

    def _predict(self, rows: Rows) -> Predictions:
        matrix = rows.matrix
        if not self._image.at_least("1.3-1"):
            matrix = _as_older_images(rows, self._ensemble.features)
        found = [booster.predict(matrix) for booster in self._boosters]
        return found[0] if len(found) == 1 else together(self._ensemble.objective, found)

    def _encode(self, predictions: Predictions, header: str | None) -> Answer:
        looks = reads_accept(self._image) or self._keys is not None
        accept = accept_of(header, self._environment) if looks else CSV
        if self._keys is not None:
            of = self._ensemble
            selected = selectable.select(predictions, self._keys, of.objective, of.classes, self._image)
            body = selectable.encode(selected, self._keys, accept, batch=self._batch)
        else:
            body = encode(predictions, accept, self._image, batch=self._batch).encode()
        return Answer(200, content_type(accept), body)


def max_content_length(environment: Mapping[str, str], image: BuiltInImage) -> int:
    """Return how many bytes of body are accepted (MAX_CONTENT_LENGTH; at most 20 MiB up to 1.2-1)."""
    text = environment.get("MAX_CONTENT_LENGTH", "")
    limit = int(text) if _NUMBER.fullmatch(text) else DEFAULT_MAX_CONTENT_LENGTH
    return limit if image.at_least("1.2-2") else min(limit, _OLD_CAP)


def _as_older_images(rows: Rows, features: int) -> Matrix:
    """Apply the column check of images whose models were pickles; one column too many is not looked at."""
    columns = rows.matrix.shape[1]
    if rows.kind == "libsvm" and columns > features + 1:
        raise Unpredictable(
            f"Feature size of libsvm inference data {columns} is larger than "
            f"feature size of trained model {features}."
        )
    if rows.kind != "libsvm" and columns not in (features, features + 1):
        raise Unpredictable(
            f"Feature size of {rows.kind} inference data {columns} is not consistent with feature size of "
            f"trained model {features}."
        )
    first: Matrix = rows.matrix[:, :features]
    return first


def _answer(status: int, text: str) -> Answer:
    return Answer(status, _TEXT, text.encode())

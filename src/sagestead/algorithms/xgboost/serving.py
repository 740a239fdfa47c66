"""One invocation of the built-in XGBoost, in the container's order of checks (spec: xgboost-builtin.md 6).

Rule: empty body 204; unreadable 415; not predictable 400; Accept 406; then the answer in the shape that
belongs to the image tag. Nothing that a client sends raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sagestead.algorithms.xgboost import selectable
from sagestead.algorithms.xgboost.costs import seconds
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
from sagestead.forest.ensemble import Ensemble
from sagestead.forest.scoring import Mold, together
from sagestead.forest.threads import CORES
from sagestead.wire.frames import BrokenFrame, answer_mold, joined, request_mold, request_texts, texts_at
from sagestead.worker.contract import Answer, Invocation, Model, ModelRefused

DEFAULT_MAX_CONTENT_LENGTH = 6 << 20
_NUMBER = re.compile(r"[0-9]{1,18}")
_OLD_CAP = 20 << 20
_CSV_TEXT = content_type(CSV)
_CSV_TYPES = frozenset({CSV, "csv"})
_CSV_ACCEPTS = frozenset({None, "", "*/*", CSV})
_SHORT = 1 << 13
"""Bytes of a row that is read in a few microseconds."""
_FEW_STEPS = 1 << 14
"""Steps that a row takes through the trees in some ten microseconds."""
_OK = 200
_TEXT = "text/html; charset=utf-8"
_TOO_LARGE = PAGE.format(
    413, "Request Entity Too Large", "The data value transmitted exceeds the capacity limit."
)
_REFUSALS = (Undecodable, Unpredictable, NotAcceptable, NoEncoder, selectable.NotSelectable)


@dataclass(frozen=True, slots=True)
class Settings:
    """What an image and its environment say; models of the same share one.

    Attributes:
        image: whose behaviour the answers have.
        threads: how many score one request.
        text_threads: how many score a request of plain CSV, which they read as well.
        limit: bytes of a body.
        batch: whether a batch transform asks.
        accept: the answer's type where a request names none.
        keys: what selectable output was asked for, None without.
    """

    image: BuiltInImage
    threads: int
    text_threads: int
    limit: int
    batch: bool
    accept: str
    keys: tuple[str, ...] | None


ENVIRONMENT = (
    "MAX_CONTENT_LENGTH",
    "OMP_NUM_THREADS",
    "SAGEMAKER_BATCH",
    "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT",
    "SAGEMAKER_INFERENCE_ENSEMBLE",
    "SAGEMAKER_INFERENCE_OUTPUT",
)
"""The members of a container's environment that are looked at."""


def settings_of(image: str, environment: Mapping[str, str]) -> Settings:
    """Read the environment of a container; raise `ModelRefused` when the image is no built-in."""
    built_in = built_in_image(image)
    if built_in is None:
        raise ModelRefused(no_such_image(image))
    output = environment.get("SAGEMAKER_INFERENCE_OUTPUT")
    selects = output is not None and built_in.at_least("1.0-1")
    return Settings(
        image=built_in,
        threads=threads_of(environment),
        text_threads=_text_threads(environment),
        limit=max_content_length(environment, built_in),
        batch=bool(environment.get("SAGEMAKER_BATCH")),
        accept=environment.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", CSV),
        keys=tuple(selectable.keys_of(output)) if output is not None and selects else None,
    )


def ensembles_of(model_dir: Path, environment: Mapping[str, str]) -> list[Ensemble]:
    """Read the model files of a folder that predict together; raise `ModelRefused`."""
    paths = find(model_dir)
    if environment.get("SAGEMAKER_INFERENCE_ENSEMBLE", "true") != "true":
        paths = paths[:1]
    found = [read(path) for path in paths]
    if len({ensemble.groups for ensemble in found}) > 1:
        raise ModelRefused(
            "The models of the archive have different numbers of classes and cannot be combined."
        )
    return found


def load(model_dir: Path, image: str, environment: Mapping[str, str]) -> Model:
    """Load every model file of a folder (contract: worker.contract.Load); `ENVIRONMENT` names what counts.

    Raises:
        ModelRefused: the image is no built-in, or the model cannot be read.
    """
    settings = settings_of(image, environment)
    ensembles = ensembles_of(model_dir, environment)
    return XgboostModel([Booster.of(ensemble, settings.threads) for ensemble in ensembles], settings)


class XgboostModel:
    """A loaded model or ensemble behind one image tag. Several threads may invoke it at a time."""

    __slots__ = ("_after_one", "_boosters", "_first", "_is_quick", "_settings", "_steps", "_takes_any_width")

    parallel = True

    def __init__(self, boosters: Sequence[Booster], settings: Settings) -> None:
        self._boosters = tuple(boosters)
        self._first = boosters[0]
        self._settings = settings
        self._steps = sum(booster.scorer.steps for booster in boosters)
        self._after_one = _after_one(settings) if len(boosters) == 1 else None
        self._is_quick = self._after_one is not None and self._steps <= _FEW_STEPS
        self._takes_any_width = settings.image.at_least("1.3-1")

    def invoke(self, invocation: Invocation) -> Answer:
        """Answer one request; see the module's rule."""
        if (answer := self._of_one(invocation)) is not None:
            return answer
        if not invocation.body:
            return _answer(204, "")
        if len(invocation.body) > self._settings.limit:
            return _answer(413, _TOO_LARGE)
        try:
            predictions = self._at_once(invocation)
            if predictions is None:
                image = self._settings.image
                predictions = self._predict(decode(invocation.body, invocation.content_type, image))
            return self._encode(predictions, invocation.accept)
        except _REFUSALS as error:
            prefix = "Unable to evaluate payload provided: " if isinstance(error, Unpredictable) else ""
            return _answer(error.status, f"{prefix}{error}")

    def at_once(self, invocation: Invocation) -> Answer | None:
        """Answer one row of CSV by a small model (contract: worker.contract.InlineModel)."""
        return self._of_one(invocation) if self._is_quick and len(invocation.body) <= _SHORT else None

    def _of_one(self, invocation: Invocation) -> Answer | None:
        """Answer one plain row of CSV; None if it is no such request."""
        body, after = invocation.body, self._after_one
        plain = invocation.content_type in _CSV_TYPES and invocation.accept in _CSV_ACCEPTS
        if after is None or not plain:
            return None
        if len(body) > self._settings.limit or body.find(b"\n", 0, -1) >= 0:
            return None
        prediction = self._first.scorer.score_row(body)
        return None if prediction is None else Answer(_OK, _CSV_TEXT, b"%r%b" % (prediction, after))

    def invoke_many(self, invocations: Sequence[Invocation]) -> list[Answer]:
        """Answer requests, whose answers then leave together (contract: worker.contract.BatchModel)."""
        return [self.invoke(invocation) for invocation in invocations]

    def count_simple(self, frames: bytes, start: int, most: int) -> tuple[int, int]:
        """Return how many rows of CSV are there (contract: worker.contract.FrameModel)."""
        count, last, _, _ = self._of_frames(frames, start, most, begin=False)
        return count, last

    def answer_simple(self, frames: bytes, start: int, count: int) -> tuple[bytes, int]:
        """Answer rows of CSV (contract: worker.contract.FrameModel)."""
        _, _, following, answers = self._of_frames(frames, start, count, begin=True)
        return answers, following

    def _of_frames(self, frames: bytes, start: int, most: int, *, begin: bool) -> tuple[int, int, int, bytes]:
        texts, after = texts_at(frames, start), self._after_one
        if texts is not None and after is not None and len(frames) <= self._settings.limit:
            mold = _mold(texts, after)
            if mold is not None:
                return self._first.scorer.answer_envelopes(frames, start, most, mold, begin=begin)
        return 0, 0, start, b""

    def cost(self, invocation: Invocation) -> float:
        """Return about how many seconds `invoke` will take (contract: worker.contract.InlineModel)."""
        return seconds(invocation, self._steps, selects=self._settings.keys is not None)

    def _at_once(self, invocation: Invocation) -> Predictions | None:
        """Return the predictions of plain CSV for a single model, None of anything else."""
        plain = invocation.content_type in _CSV_TYPES and len(self._boosters) == 1 and self._takes_any_width
        return self._first.scorer.score_csv(invocation.body, self._settings.text_threads) if plain else None

    def _predict(self, rows: Rows) -> Predictions:
        matrix = rows.matrix
        if not self._takes_any_width:
            matrix = _as_older_images(rows, self._first.scorer.features)
        found = [booster.predict(matrix) for booster in self._boosters]
        return found[0] if len(found) == 1 else together(self._first.objective, found)

    def _encode(self, predictions: Predictions, header: str | None) -> Answer:
        image, keys, batch = self._settings.image, self._settings.keys, self._settings.batch
        looks = reads_accept(image) or keys is not None
        accept = accept_of(header, self._settings.accept) if looks else CSV
        if keys is not None:
            of = self._first
            selected = selectable.select(predictions, keys, of.objective, of.classes, image)
            body = selectable.encode(selected, keys, accept, batch=batch)
        else:
            body = encode(predictions, accept, image, batch=batch)
        return Answer(_OK, content_type(accept), body)


def _text_threads(environment: Mapping[str, str]) -> int:
    """Return all cores, unless a number is asked for; a batch transform uses them for other requests."""
    if environment.get("SAGEMAKER_BATCH"):
        return 1
    return threads_of(environment) if "OMP_NUM_THREADS" in environment else CORES


@lru_cache(maxsize=64)
def _mold(texts: bytes, after: bytes) -> Mold | None:
    """Return the mold of requests with these texts; None when they are for more than a row of plain CSV."""
    try:
        sent, accept, *_ = request_texts(texts)
    except BrokenFrame:
        return None
    if sent not in _CSV_TYPES or accept not in _CSV_ACCEPTS:
        return None
    return Mold(request_mold(texts), answer_mold(_OK, joined(_CSV_TEXT, None)), after)


def _after_one(settings: Settings) -> bytes | None:
    """Return what follows the number of one row in an answer of CSV; None when it is not told so simply."""
    if settings.keys is not None or settings.accept != CSV:
        return None
    return b"\n" if settings.batch or reads_accept(settings.image) else b""


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

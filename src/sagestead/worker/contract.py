"""What an algorithm offers to the process that runs it.

An entry point is named `module:function` in the RunSpec. For `serve` and `transform` it is a `Load` or a
`Mapped`, for `train` a `Train`. The worker finds it by name, so that the floors below the algorithms never
import them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from sagestead.domain.refused_model import ModelRefused
from sagestead.worker.layout import Layout

__all__ = [
    "Answer",
    "BatchModel",
    "FrameModel",
    "InlineModel",
    "Invocation",
    "Load",
    "Mapped",
    "Model",
    "ModelRefused",
    "Open",
    "Prepare",
    "Train",
]


@dataclass(slots=True)
class Invocation:
    """One request to a model, as a container sees it (spec: container-contract.md section 2).

    Nobody changes one; it is not frozen because that makes it five times as dear, with every request.
    """

    body: bytes
    content_type: str | None = None
    accept: str | None = None
    custom_attributes: str | None = None
    target_model: str | None = None
    inference_id: str | None = None


@dataclass(slots=True)
class Answer:
    """What the container answers: an HTTP status, a content type and a body. Nobody changes one."""

    status: int
    content_type: str
    body: bytes
    custom_attributes: str | None = None


class Model(Protocol):
    """A loaded model. Law: `invoke` never raises for bad input; it answers with a 4xx status and a text."""

    def invoke(self, invocation: Invocation) -> Answer:
        """Answer one request. Called from one thread at a time, unless `parallel` says otherwise."""
        ...


@runtime_checkable
class BatchModel(Model, Protocol):
    """A model that takes several requests at a time, which an instance then gives it whenever it can.

    Law: each answer is the one that `invoke` gives. When the instance ends in the middle, every request
    of the batch may have been begun, so none of them is given to another instance.
    """

    def invoke_many(self, invocations: Sequence[Invocation]) -> Sequence[Answer]:
        """Answer requests, in their order; called from one thread at a time."""
        ...


@runtime_checkable
class FrameModel(BatchModel, Protocol):
    """A model that answers the simplest requests from the frames that they come in, several by one call.

    Law: each answer has the bytes of the frame in which the answer of `invoke` would leave. What is not
    simple is left to `invoke`, in the order of arrival.
    """

    def count_simple(self, frames: bytes, start: int, most: int) -> tuple[int, int]:
        """Return how many simple requests stand at a place one after another, and the id of the last one."""
        ...

    def answer_simple(self, frames: bytes, start: int, count: int) -> tuple[bytes, int]:
        """Answer so many, or fewer; returns the frames of the answers, and where what is left begins."""
        ...


class Load(Protocol):
    """Entry point of role `serve` and `transform`: read the model from `/opt/ml/model`."""

    def __call__(self, model_dir: Path, image: str, environment: Mapping[str, str]) -> Model:
        """Return the model; raise `ModelRefused` with a sentence when it cannot be read."""
        ...


class Prepare(Protocol):
    """Entry point of role `prepare`: read the model from `/opt/ml/model` and leave it ready to be mapped.

    It runs in a process of its own, once for each variant of a generation whose model holds no user code.
    """

    def __call__(self, model_dir: Path, image: str, environment: Mapping[str, str], prepared: Path) -> None:
        """Write everything that `Open` needs into the empty folder `prepared`; raise `ModelRefused`."""
        ...


class InlineModel(Protocol):
    """A prepared model as a front door holds it. Law: `invoke` never raises for bad input."""

    def at_once(self, invocation: Invocation) -> Answer | None:
        """Return what `invoke` would, if that takes some ten microseconds; else None, after no longer."""
        ...

    def cost(self, invocation: Invocation) -> float:
        """Return about how many seconds `invoke` will take, in a few microseconds at most."""
        ...

    def invoke(self, invocation: Invocation) -> Answer:
        """Answer one request; may be called from several threads at a time.

        Long work releases the GIL and comes back to the interpreter every few milliseconds.
        """
        ...


class Open(Protocol):
    """How a front door opens what `Prepare` left: by mapping it, without reading the model's file again."""

    def __call__(self, prepared: Path) -> InlineModel:
        """Return the model; raise `ModelRefused` when the folder is not whole."""
        ...


@dataclass(frozen=True, slots=True)
class Mapped:
    """Entry point of roles `serve` and `transform`, in the place of a `Load`, for models without user code.

    A process of its own prepares the model and ends. The instance only maps what that left: it starts sooner
    than if it had read the model itself, and holds a third less, for good.
    """

    prepare: Prepare
    open: Open


class Train(Protocol):
    """Entry point of role `train`: read the layout's input, write its model and output."""

    def __call__(self, layout: Layout, image: str, threads: int) -> int:
        """Return the exit code; on failure write `layout.failure` first."""
        ...

"""The process of one run, from its birth to its exit code.

Rules: what goes wrong ends in one paragraph in `failure` and a traceback in the log; an orderly end is
written to exit.json by the process itself, so that it is known even when nobody watches.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn, cast

from sagestead.domain.runs import RunSpec
from sagestead.domain.transform import TransformTask
from sagestead.worker.apart import do_apart
from sagestead.worker.archives import extract
from sagestead.worker.contract import Load, Mapped, Model, ModelRefused, Prepare, Train
from sagestead.worker.pipes import feed
from sagestead.worker.run_folder import RunFolder, read_json, write_json
from sagestead.worker.serve import InstanceServer
from sagestead.worker.toolkit import commands, serving, training
from sagestead.worker.toolkit.environments import CannotBuild
from sagestead.worker.toolkit.workshop import Workshop, leave
from sagestead.worker.transform import transform

TERMINATED = 128 + signal.SIGTERM
_JOBS = frozenset({"train", "process"})


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker is given.

    Attributes:
        run: its run.
        spec: what to do.
        address: where to listen.
        notices: whom to tell that something happened.
        installing: environment of programs that install others, for runs that need a runtime.
    """

    run: RunFolder
    spec: RunSpec
    address: Path
    notices: Path
    installing: Mapping[str, str] = field(default_factory=dict)

    def workshop(self) -> Workshop:
        """Have the runtime that the run needs, and say so once it is there; raises `ModelRefused`."""
        return Workshop.open(self.run, self.spec, self.installing, lambda: tell(self.notices, self.run))


def work(task: Work) -> int:
    """Do the run's work, write exit.json and return the exit code."""
    roles: dict[str, Callable[[Work], int]] = {
        "serve": _serve,
        "prepare": _prepare,
        "train": _train,
        "transform": _transform,
        "process": _process,
    }
    try:
        code = roles[task.spec.role](task)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except ModelRefused as refused:
        print(refused, file=sys.stderr)  # noqa: T201 - the log of the run
        task.run.fail(_because(task.spec, refused))
        code = 1
    except BaseException as error:  # noqa: BLE001 - the last place that can say why
        traceback.print_exc()
        task.run.fail(_paragraph(task.spec, error))
        code = 1
    _record_exit(task, code)
    return code


def tell(notices: Path, run: RunFolder) -> None:
    """Tell whoever listens at `notices` that a run changed; nobody there, or many notices, is fine."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(0)
        try:
            sender.sendto(run.path.name.encode(), str(notices))
        except OSError:
            return


def _serve(task: Work) -> int:
    stop_early = _Flag()
    signal.signal(signal.SIGTERM, stop_early.raise_flag)
    afterwards = ExitStack()
    model = _load(task, afterwards)
    server = InstanceServer(model, task.address)
    signal.signal(signal.SIGTERM, lambda _number, _frame: server.stop())
    if stop_early.raised:
        return 0
    server.ping()
    write_json(task.run.ready, {"address": str(task.address)})
    tell(task.notices, task.run)
    afterwards.close()
    server.serve()
    return 0


def _prepare(task: Work) -> int:
    """Leave the model where front doors can map it: whole or not at all.

    Nobody waits until it is on the disk as well: before `kept` says so, it counts while this process lives.
    """
    run = task.run
    if run.kept.exists():
        return 0
    _leave_prepared(task, cast(Prepare, _entry(task.spec.entry)))
    tell(task.notices, run)
    run.keep()
    return 0


def _leave_prepared(task: Work, prepare: Prepare) -> None:
    """Unpack the artifact and prepare the model; only what is prepared is left."""
    run = task.run
    shutil.rmtree(run.draft, ignore_errors=True)
    run.draft.mkdir()
    _unpack(task)
    prepare(run.layout.model, task.spec.image, task.spec.environment, run.draft)
    shutil.rmtree(run.layout.root, ignore_errors=True)
    run.draft.rename(run.prepared)


def _train(task: Work) -> int:
    layout = task.run.layout
    shutil.rmtree(layout.model, ignore_errors=True)
    shutil.rmtree(layout.failure.parent, ignore_errors=True)
    for folder in (layout.model, layout.output_data):
        folder.mkdir(parents=True)

    feed(task.run)
    if task.spec.runtime is not None:
        signal.signal(signal.SIGTERM, leave)
        return training.train(task.workshop())

    def terminate(_number: int, _frame: FrameType | None) -> NoReturn:
        _record_exit(task, TERMINATED)
        sys.stdout.flush()
        os._exit(TERMINATED)

    signal.signal(signal.SIGTERM, terminate)
    train = cast(Train, _entry(task.spec.entry))
    code = train(layout, task.spec.image, task.spec.threads)
    if code and layout.failure.is_file():
        task.run.fail(layout.failure.read_text(encoding="utf-8", errors="replace"))
    return code


def _process(task: Work) -> int:
    signal.signal(signal.SIGTERM, leave)
    return commands.run(task.workshop())


def _transform(task: Work) -> int:
    value = read_json(task.run.transform_task)
    if value is None:
        raise FileNotFoundError(task.run.transform_task)
    stopping = _Flag()
    signal.signal(signal.SIGTERM, stopping.raise_flag)
    with ExitStack() as afterwards:
        model = _load(task, afterwards)
    with task.run.data_log.open("w", encoding="utf-8", errors="replace") as data_log:

        def log(line: str) -> None:
            data_log.write(line.rstrip("\n") + "\n")
            data_log.flush()

        result = transform(
            TransformTask.from_json(value),
            model,
            task.run.path,
            task.spec.environment,
            log,
            lambda: stopping.raised,
        )
    write_json(task.run.transform_result, result.to_json())
    if result.reason:
        task.run.fail(result.reason)
    return 1 if result.failed else 0


class _Flag:
    """Remembers that a signal came."""

    def __init__(self) -> None:
        self.raised = False

    def raise_flag(self, _number: int, _frame: FrameType | None) -> None:
        self.raised = True


def _load(task: Work, afterwards: ExitStack) -> Model:
    """Unpack the artifact, if there is one, and load the model.

    What is left to do is put into `afterwards`, which is to be closed when there is time.

    Raises:
        ModelRefused: the artifact or the model cannot be used.
    """
    if task.spec.runtime is not None:
        _unpack(task)
        return serving.load(task.workshop())
    entry = _entry(task.spec.entry)
    if isinstance(entry, Mapped):
        reader = do_apart(partial(_leave_prepared, task, entry.prepare))
        afterwards.callback(os.waitpid, reader, 0)
        return entry.open(task.run.prepared)
    _unpack(task)
    load = cast(Load, entry)
    return load(task.run.layout.model, task.spec.image, task.spec.environment)


def _unpack(task: Work) -> None:
    """Unpack the artifact, if there is one.

    Raises:
        ModelRefused: it cannot be used.
    """
    run = task.run
    if run.archive.exists():
        shutil.rmtree(run.layout.model, ignore_errors=True)
        extract(run.archive, run.layout.model, digest=task.spec.digest)
    elif task.spec.digest is not None:
        raise ModelRefused("The model artifact is missing from the instance.")


def _entry(name: str) -> object:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def _paragraph(spec: RunSpec, error: BaseException) -> str:
    cause = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if spec.role in _JOBS:
        return f"AlgorithmError: {cause}"
    return f"The model could not be loaded or run: {cause}"


def _because(spec: RunSpec, refused: ModelRefused) -> str:
    """Return a refusal as FailureReason has it: a job's client can mend that its runtime cannot be had."""
    return (
        f"ClientError: {refused}" if spec.role in _JOBS and isinstance(refused, CannotBuild) else str(refused)
    )


def _record_exit(task: Work, code: int) -> None:
    write_json(task.run.exit, {"code": code, "at": time.time()})

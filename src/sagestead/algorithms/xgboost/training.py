"""Entry point of training jobs with the built-in XGBoost.

Rule: everything comes from the layout and goes to it. A failure is one text in `layout.failure`, beginning
`ClientError: ` when the user can mend it and `AlgorithmError: ` otherwise.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from xgboost import Booster, DMatrix
from xgboost.callback import TrainingCallback

from sagestead.algorithms.xgboost.artifacts import (
    MODEL_NAME,
    keep_models_only,
    newest_checkpoint,
    write_model,
)
from sagestead.algorithms.xgboost.boosting import Plan, boost, plan_boosting
from sagestead.algorithms.xgboost.channel_data import Channels, Common, Read, stacked
from sagestead.algorithms.xgboost.channels import check_channels, no_data
from sagestead.algorithms.xgboost.company import Company, assembled
from sagestead.algorithms.xgboost.examples import Examples
from sagestead.algorithms.xgboost.faults import AlgorithmFault, UserFault, library_text
from sagestead.algorithms.xgboost.folds import cross_validate
from sagestead.algorithms.xgboost.formats import Format
from sagestead.algorithms.xgboost.hyperparameters import validate
from sagestead.algorithms.xgboost.job import Job, read_job
from sagestead.algorithms.xgboost.report import say
from sagestead.algorithms.xgboost.rounds import (
    Checkpoints,
    IntermediateModel,
    SharedThreads,
    useful_threads,
)
from sagestead.algorithms.xgboost.stopping import Stopped, StopRequest
from sagestead.algorithms.xgboost.translation import to_library
from sagestead.algorithms.xgboost.versions import behaviour
from sagestead.domain.images import BuiltInImage, built_in_image, no_such_image
from sagestead.domain.instances import threads as instance_threads
from sagestead.domain.instances import vcpus
from sagestead.worker.layout import Layout
from sagestead.worker.run_folder import RunFolder


def train(layout: Layout, image: str, threads: int) -> int:
    """Run the job in the layout; return its exit code (0 also when SIGTERM ended it)."""
    stop = StopRequest()
    try:
        with stop:
            _run(layout, image, threads, stop)
    except Stopped:
        keep_models_only(layout.model)
        say("Stopped by SIGTERM; the model folder keeps the models that are finished.")
        return 0
    except Exception as fault:  # noqa: BLE001 - whatever it is, the job fails with a reason
        if stop.asked:
            keep_models_only(layout.model)
            say("Stopped by SIGTERM, as the other instances were.")
            return 0
        return _failed(layout, _reason(fault))
    return 0


def _reason(fault: Exception) -> str:
    if isinstance(fault, UserFault):
        return f"ClientError: {fault}"
    if isinstance(fault, AlgorithmFault):
        return f"AlgorithmError: {fault}"
    traceback.print_exception(fault)
    return f"AlgorithmError: {type(fault).__name__}: {library_text(str(fault))}"


def _failed(layout: Layout, text: str) -> int:
    say(text)
    layout.failure.parent.mkdir(parents=True, exist_ok=True)
    layout.failure.write_text(text, "utf-8")
    return 1


@dataclass(frozen=True, slots=True)
class _Task:
    """A job whose configuration has passed every check."""

    layout: Layout
    job: Job
    image: BuiltInImage
    settings: Mapping[str, Any]
    data_format: Format
    threads: int
    stop: StopRequest


def _run(layout: Layout, image_uri: str, threads: int, stop: StopRequest) -> None:
    image = built_in_image(image_uri)
    if image is None:
        raise UserFault(no_such_image(image_uri))
    job = read_job(layout)
    say(_threads_line(job, threads))
    if "sagemaker_program" in job.hyperparameters:
        raise UserFault(
            "Hyperparameter sagemaker_program asks for script mode, which is not offered; leave it out."
        )
    settings = validate(job.hyperparameters, image)
    task = _Task(layout, job, image, settings, check_channels(job.channels, image), threads, stop)
    layout.model.mkdir(parents=True, exist_ok=True)
    if "_kfold" not in settings:
        _run_once(task)
    elif len(job.hosts) == 1:
        _run_folds(task)
    else:
        raise UserFault("Hyperparameter _kfold: folds are not divided among instances; train on 1 instance.")


def _threads_line(job: Job, threads: int) -> str:
    nominal = vcpus(job.instance_type)
    size = f"{nominal} vCPUs" if nominal else "no known size"
    cores = _cores()
    used = f"{threads} thread{'s' * (threads > 1)}"
    return f"Using {used}: {job.instance_type} is nominal ({size}), this machine has {cores} cores."


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run_once(task: _Task) -> None:
    channels = _channels(task)
    found = channels.read(task.job.channels)
    if len(task.job.hosts) == 1:
        _check_data(task, found)
    with assembled(task.job, task.layout, found.facts()) as company:
        if company.is_left_out:
            say("This instance has no training data; the others train without it.")
            return
        common = Common.of([company.facts[host] for host in company.members])
        with company.connected():
            _train_with(task, company, channels.settled(found, common))


def _check_data(task: _Task, found: Read) -> None:
    """Refuse channels without data; with several hosts some may have none."""
    for name, examples in (("train", found.training), ("validation", found.validation)):
        if name in task.job.channels and examples is None:
            raise no_data(name)


def _train_with(task: _Task, company: Company, data: tuple[Examples, Examples | None]) -> None:
    train_data, validation_data = data
    plan = replace(
        _plan(task, train_data, len(company.members)),
        mean=company.mean,
        is_quiet=not company.is_master,
    )
    watched = [(_matrix(task, train_data), "train")]
    if validation_data:
        watched.append((_matrix(task, validation_data), "validation"))
    del train_data, validation_data, data
    model, done = _begun(task, company)
    path = task.layout.model / MODEL_NAME
    booster, _ = boost(plan, watched, done=done, model=model, further=_further(task, company, plan, done))
    if company.is_master:
        write_model(booster, path)


def _begun(task: _Task, company: Company) -> tuple[Booster | None, int]:
    """Return the newest checkpoint of the master, and the rounds it has."""
    checkpoints = task.job.checkpoints
    if not checkpoints:
        return None, 0
    own, done = newest_checkpoint(checkpoints)
    content = company.of_master(bytes(own.save_raw("ubj")) if own else b"")
    if not content:
        return None, 0
    model = own if own and company.is_master else Booster(model_file=bytearray(content))
    done = done if company.is_master else 0
    done = int.from_bytes(company.of_master(done.to_bytes(4, "big")), "big")
    say(f"Checkpoint loaded. Resuming from iteration {done}")
    return model, done


def _further(task: _Task, company: Company, plan: Plan, done: int) -> list[TrainingCallback]:
    """Return what else happens in every round."""
    further: list[TrainingCallback] = []
    if plan.params["nthread"] > 1:
        further.append(SharedThreads(RunFolder(task.layout.root.parent).threads, plan.params["nthread"]))
    if task.job.checkpoints and company.is_master:
        further.append(Checkpoints(task.job.checkpoints, done))
    if task.settings.get("save_model_on_termination") == "true" and company.is_master:
        further.append(IntermediateModel(task.layout.model / MODEL_NAME))
    return [*further, task.stop]


def _run_folds(task: _Task) -> None:
    channels = _channels(task)
    found = channels.read(task.job.channels)
    _check_data(task, found)
    train_data, validation_data = channels.settled(found, Common.of([found.facts()]))
    if train_data.groups is not None:
        raise UserFault("Hyperparameter _kfold: data with groups (qid) is not divided; leave _kfold out.")
    data = stacked(train_data, validation_data) if validation_data else train_data
    cross_validate(task.settings, _plan(task, data), _matrix(task, data), task.layout, task.stop)


def _plan(task: _Task, data: Examples, hosts: int = 1) -> Plan:
    most = _most_threads(task, data)
    params, notes = to_library(task.settings, behaviour(task.image), data.rows, most, hosts)
    for note in notes:
        say(note)
    return plan_boosting(task.settings, params, task.image)


def _most_threads(task: _Task, data: Examples) -> int:
    """Return how many threads the job may ever use: it may have more once others have ended."""
    most = task.threads
    if RunFolder(task.layout.root.parent).threads.exists():
        most = instance_threads(task.job.instance_type, _cores())
    useful = useful_threads(data.cells, most)
    if useful < most:
        say(f"The data has {data.cells} cells, for which {useful} of {most} threads are of use.")
    return useful


def _channels(task: _Task) -> Channels:
    weighted = task.settings.get("csv_weights") == 1
    if weighted and task.data_format != "csv":
        say(f"Hyperparameter csv_weights=1 has no effect: the data is {task.data_format}, not CSV.")
    classes = task.settings.get("num_class", 1)
    return Channels(task.layout, task.image, task.data_format, weighted, classes)


def _matrix(task: _Task, data: Examples) -> DMatrix:
    try:
        return DMatrix(data.features, data.labels, weight=data.weights, qid=data.groups, nthread=task.threads)
    except ValueError as fault:  # XGBoostError is one
        text = library_text(str(fault))
        raise UserFault(f"Failed to load {task.data_format} data with exception:\n{text}") from fault

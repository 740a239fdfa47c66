"""Entry point of training jobs with the built-in XGBoost.

Rule: everything comes from the layout and goes to it. A failure is one text in `layout.failure`, beginning
`ClientError: ` when the user can mend it and `AlgorithmError: ` otherwise.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xgboost import DMatrix
from xgboost.callback import TrainingCallback

from sagestead.algorithms.xgboost.artifacts import (
    MODEL_NAME,
    keep_models_only,
    newest_checkpoint,
    write_model,
)
from sagestead.algorithms.xgboost.boosting import Plan, boost, plan_boosting
from sagestead.algorithms.xgboost.channel_data import Channels, stacked
from sagestead.algorithms.xgboost.channels import check_channels
from sagestead.algorithms.xgboost.examples import Examples
from sagestead.algorithms.xgboost.faults import AlgorithmFault, UserFault, library_text
from sagestead.algorithms.xgboost.folds import cross_validate
from sagestead.algorithms.xgboost.formats import Format
from sagestead.algorithms.xgboost.hyperparameters import validate
from sagestead.algorithms.xgboost.job import Job, read_job
from sagestead.algorithms.xgboost.report import say
from sagestead.algorithms.xgboost.rounds import Checkpoints, IntermediateModel
from sagestead.algorithms.xgboost.stopping import Stopped, StopRequest
from sagestead.algorithms.xgboost.translation import to_library
from sagestead.algorithms.xgboost.versions import behaviour
from sagestead.domain.images import BuiltInImage, built_in_image, no_such_image
from sagestead.domain.instances import vcpus
from sagestead.worker.layout import Layout


def train(layout: Layout, image: str, threads: int) -> int:
    """Run the job in the layout; return its exit code (0 also when SIGTERM ended it)."""
    try:
        with StopRequest() as stop:
            _run(layout, image, threads, stop)
    except Stopped:
        keep_models_only(layout.model)
        say("Stopped by SIGTERM; the model folder keeps the models that are finished.")
        return 0
    except UserFault as fault:
        return _failed(layout, f"ClientError: {fault}")
    except AlgorithmFault as fault:
        return _failed(layout, f"AlgorithmError: {fault}")
    except Exception as fault:  # noqa: BLE001 - whatever it is, the job fails with a reason
        traceback.print_exc()
        return _failed(layout, f"AlgorithmError: {type(fault).__name__}: {library_text(str(fault))}")
    return 0


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
    if len(job.hosts) > 1:
        raise UserFault(f"ResourceConfig.InstanceCount {len(job.hosts)} is not offered; train on 1 instance.")
    say(_threads_line(job, threads))
    if "sagemaker_program" in job.hyperparameters:
        raise UserFault(
            "Hyperparameter sagemaker_program asks for script mode, which is not offered; leave it out."
        )
    settings = validate(job.hyperparameters, image)
    task = _Task(layout, job, image, settings, check_channels(job.channels, image), threads, stop)
    layout.model.mkdir(parents=True, exist_ok=True)
    if "_kfold" in settings:
        _run_folds(task)
    else:
        _run_once(task)


def _threads_line(job: Job, threads: int) -> str:
    nominal = vcpus(job.instance_type)
    size = f"{nominal} vCPUs" if nominal else "no known size"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    used = f"{threads} thread{'s' * (threads > 1)}"
    return f"Using {used}: {job.instance_type} is nominal ({size}), this machine has {cores} cores."


def _run_once(task: _Task) -> None:
    train_data, validation_data = _examples(task)
    plan = _plan(task, train_data.rows)
    watched = [(_matrix(task, train_data), "train")]
    if validation_data:
        watched.append((_matrix(task, validation_data), "validation"))
    del train_data, validation_data
    checkpoints, path = task.job.checkpoints, task.layout.model / MODEL_NAME
    model, done = newest_checkpoint(checkpoints) if checkpoints else (None, 0)
    if model:
        say(f"Checkpoint loaded. Resuming from iteration {done}")
    further: list[TrainingCallback] = []
    if checkpoints:
        further.append(Checkpoints(checkpoints, done))
    if task.settings.get("save_model_on_termination") == "true":
        further.append(IntermediateModel(path))
    further.append(task.stop)
    booster, _ = boost(plan, watched, done=done, model=model, further=further)
    write_model(booster, path)


def _run_folds(task: _Task) -> None:
    train_data, validation_data = _examples(task)
    if train_data.groups is not None:
        raise UserFault("Hyperparameter _kfold: data with groups (qid) is not divided; leave _kfold out.")
    data = stacked(train_data, validation_data) if validation_data else train_data
    cross_validate(task.settings, _plan(task, data.rows), _matrix(task, data), task.layout, task.stop)


def _plan(task: _Task, rows: int) -> Plan:
    params, notes = to_library(task.settings, behaviour(task.image), rows, task.threads)
    for note in notes:
        say(note)
    return plan_boosting(task.settings, params, task.image)


def _examples(task: _Task) -> tuple[Examples, Examples | None]:
    weighted = task.settings.get("csv_weights") == 1
    if weighted and task.data_format != "csv":
        say(f"Hyperparameter csv_weights=1 has no effect: the data is {task.data_format}, not CSV.")
    classes = task.settings.get("num_class", 1)
    return Channels(task.layout, task.image, task.data_format, weighted, classes).read(task.job.channels)


def _matrix(task: _Task, data: Examples) -> DMatrix:
    try:
        return DMatrix(data.features, data.labels, weight=data.weights, qid=data.groups, nthread=task.threads)
    except ValueError as fault:  # XGBoostError is one
        text = library_text(str(fault))
        raise UserFault(f"Failed to load {task.data_format} data with exception:\n{text}") from fault

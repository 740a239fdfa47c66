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

import numpy as np
from scipy import sparse
from xgboost import DMatrix
from xgboost.callback import TrainingCallback

from sagestead.algorithms.xgboost.artifacts import (
    MODEL_NAME,
    keep_models_only,
    newest_checkpoint,
    write_model,
)
from sagestead.algorithms.xgboost.boosting import Plan, boost, plan_boosting
from sagestead.algorithms.xgboost.channels import channel_files, check_channels, container_path
from sagestead.algorithms.xgboost.examples import Examples
from sagestead.algorithms.xgboost.faults import AlgorithmFault, UserFault, library_text
from sagestead.algorithms.xgboost.folds import cross_validate
from sagestead.algorithms.xgboost.formats import Format
from sagestead.algorithms.xgboost.hyperparameters import validate
from sagestead.algorithms.xgboost.job import Job, read_job
from sagestead.algorithms.xgboost.libsvm import counts_from_one, without_first_column
from sagestead.algorithms.xgboost.reading import read_examples
from sagestead.algorithms.xgboost.report import say
from sagestead.algorithms.xgboost.rounds import Checkpoints, IntermediateModel
from sagestead.algorithms.xgboost.stopping import Stopped, StopRequest
from sagestead.algorithms.xgboost.structure import MOST_FEATURES
from sagestead.algorithms.xgboost.translation import to_library
from sagestead.algorithms.xgboost.versions import behaviour
from sagestead.domain.images import BuiltInImage, built_in_image, no_such_image
from sagestead.domain.instances import vcpus
from sagestead.worker.layout import Layout

_MOST_MARGINS = 1 << 30


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
    train_data, validation_data = _read(task)
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
    train_data, validation_data = _read(task)
    if train_data.groups is not None:
        raise UserFault("Hyperparameter _kfold: data with groups (qid) is not divided; leave _kfold out.")
    data = _stacked(train_data, validation_data) if validation_data else train_data
    cross_validate(task.settings, _plan(task, data.rows), _matrix(task, data), task.layout, task.stop)


def _plan(task: _Task, rows: int) -> Plan:
    params, notes = to_library(task.settings, behaviour(task.image), rows, task.threads)
    for note in notes:
        say(note)
    return plan_boosting(task.settings, params, task.image)


def _read(task: _Task) -> tuple[Examples, Examples | None]:
    """Return the examples of `train` and, if there is one, `validation`, with as many columns each."""
    weighted = task.settings.get("csv_weights") == 1
    if weighted and task.data_format != "csv":
        say(f"Hyperparameter csv_weights=1 has no effect: the data is {task.data_format}, not CSV.")
        weighted = False
    train_data = read_examples(channel_files(task.layout, "train"), task.data_format, weights=weighted)
    from_one = _detects_base(task) and counts_from_one(train_data)
    if from_one:
        say("No column 0 is named: columns are counted from 1.")
        train_data = without_first_column(train_data)
    say(f"Train matrix has {train_data.rows} rows and {train_data.columns} columns")
    _check_size(task.settings, train_data)
    if "validation" not in task.job.channels:
        return train_data, None
    validation_data = read_examples(channel_files(task.layout, "validation"), task.data_format, weights=False)
    if from_one:
        if not counts_from_one(validation_data):
            raise UserFault(
                f"The data in {container_path('validation')} names column 0, but the training data counts "
                "its columns from 1."
            )
        validation_data = without_first_column(validation_data)
    if weighted and validation_data.columns == train_data.columns + 1:
        features = validation_data.features
        validation_data = replace(validation_data, features=features[:, 1:], weights=features[:, 0])
    say(f"Validation matrix has {validation_data.rows} rows")
    return train_data, _as_wide(validation_data, train_data.columns)


def _detects_base(task: _Task) -> bool:
    """Say whether the image finds out if columns are counted from 0 or 1, as it does for requests."""
    return task.data_format == "libsvm" and task.image.at_least("3.0-5")


def _check_size(settings: Mapping[str, Any], data: Examples) -> None:
    """Refuse what would end in the system's killing the job, or in a model that is not served."""
    if data.columns > MOST_FEATURES:
        raise UserFault(
            f"The data in {container_path('train')} has {data.columns} columns of features; "
            f"{MOST_FEATURES} are accepted."
        )
    classes = settings.get("num_class", 1)
    if data.rows * classes > _MOST_MARGINS:
        raise UserFault(
            f"Hyperparameter num_class: {classes} classes of {data.rows} rows are more than "
            f"{_MOST_MARGINS} numbers; use fewer classes or rows."
        )


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


def _stacked(first: Examples, second: Examples) -> Examples:
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


def _matrix(task: _Task, data: Examples) -> DMatrix:
    try:
        return DMatrix(data.features, data.labels, weight=data.weights, qid=data.groups, nthread=task.threads)
    except ValueError as fault:  # XGBoostError is one
        text = library_text(str(fault))
        raise UserFault(f"Failed to load {task.data_format} data with exception:\n{text}") from fault

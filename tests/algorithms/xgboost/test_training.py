from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from xgboost import Booster, DMatrix

from sagestead.algorithms.xgboost import rounds
from sagestead.algorithms.xgboost.serving import load
from sagestead.algorithms.xgboost.training import train
from sagestead.domain.metrics import Expressions, built_in_metric_definitions
from sagestead.worker.contract import Invocation
from sagestead.worker.layout import Layout
from sagestead.worker.run_folder import RunFolder

HOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
ROWS = 200

Job = Callable[..., Layout]


def image(tag: str) -> str:
    return f"{HOST}/sagemaker-xgboost:{tag}"


def csv_rows(seed: int, classes: int = 2) -> str:
    """Rows of a label and four features; the first feature says the label, nearly."""
    random = np.random.default_rng(seed)
    features = random.random((ROWS, 4)).round(4)
    labels = np.minimum((features[:, 0] + random.normal(0, 0.1, ROWS)).clip(0, 0.999) * classes, classes - 1)
    return "".join(",".join(map(str, [int(y), *x])) + "\n" for y, x in zip(labels, features, strict=True))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A function that fills a folder as the platform fills /opt/ml."""

    def make(
        hyperparameters: Mapping[str, str],
        data: Mapping[str, str] | None = None,
        content_type: str = "text/csv",
        **config: Any,
    ) -> Layout:
        layout = Layout(tmp_path / "opt-ml")
        layout.config.mkdir(parents=True, exist_ok=True)
        channels = data or {"train": csv_rows(0), "validation": csv_rows(1)}
        members = {
            "ContentType": content_type,
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
        resources = {"current_host": "algo-1", "hosts": ["algo-1"], "current_instance_type": "ml.m5.xlarge"}
        files = {
            "hyperparameters": hyperparameters,
            "inputdataconfig": dict.fromkeys(channels, members),
            "resourceconfig": resources,
            **config,
        }
        for name, content in files.items():
            (layout.config / f"{name}.json").write_text(json.dumps(content))
        for name, text in channels.items():
            layout.channel(name).mkdir(parents=True, exist_ok=True)
            (layout.channel(name) / "part").write_text(text)
        return layout

    return make


def booster_of(content: bytes) -> Booster:
    return Booster(model_file=bytearray(content))


def booster(path: Path) -> Booster:
    return booster_of(path.read_bytes())


def failure(layout: Layout, tag: str = "1.7-1") -> str:
    assert train(layout, image(tag), 1) == 1
    return layout.failure.read_text()


def test_a_job_leaves_a_model_that_predicts_and_prints_metrics_that_are_found(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = job(
        {"num_round": "5", "objective": "binary:logistic", "eval_metric": "auc,accuracy", "max_depth": "3"}
    )
    assert train(layout, image("1.7-1"), 1) == 0
    assert [path.name for path in layout.model.iterdir()] == ["xgboost-model"]
    model = booster(layout.model / "xgboost-model")
    assert model.num_boosted_rounds() == 5
    predictions = model.predict(DMatrix(np.array([[0.05, 0.5, 0.5, 0.5], [0.95, 0.5, 0.5, 0.5]])))
    assert predictions[0] < 0.4
    assert predictions[1] > 0.6
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Using 1 thread: ml.m5.xlarge is nominal (4 vCPUs), this machine has ")
    expressions = Expressions(built_in_metric_definitions())
    last = dict(expressions.extract(lines[-1].replace("\t", "#011"), lambda *_: None))
    assert lines[-1].startswith("[4]\ttrain-auc:0.9")
    assert list(last) == ["train:accuracy", "validation:accuracy", "train:auc", "validation:auc"]
    assert 0.9 < last["validation:accuracy"] <= 1


@pytest.mark.parametrize(
    ("tag", "line"),
    [
        ("0.90-2-cpu-py3", r"\[0\]\ttrain-error:0\.[0-9]{1,6}\tvalidation-error:0\.[0-9]{1,6}"),
        ("1.2-2", r"\[0\]\ttrain-error:0\.[0-9]{5}\tvalidation-error:0\.[0-9]{5}"),
        ("1.3-1", r"\[0\]\ttrain-logloss:0\.[0-9]{5}\tvalidation-logloss:0\.[0-9]{5}"),
    ],
)
def test_metric_and_number_format_are_those_of_the_image(
    job: Job, capsys: pytest.CaptureFixture[str], tag: str, line: str
) -> None:
    layout = job({"num_round": "1", "objective": "binary:logistic"})
    assert train(layout, image(tag), 1) == 0
    assert re.fullmatch(line, capsys.readouterr().out.splitlines()[-1])


def test_the_same_job_gives_the_same_bytes(job: Job) -> None:
    hyperparameters = {"num_round": "5", "subsample": "0.5", "seed": "7", "tree_method": "hist"}
    models = []
    for _ in range(2):
        layout = job(hyperparameters)
        assert train(layout, image("1.5-1"), 2) == 0
        models.append((layout.model / "xgboost-model").read_bytes())
    assert models[0] == models[1]


def test_the_threads_that_a_job_may_use_just_now_change_no_bit_of_its_model(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "CELLS_A_THREAD", ROWS)
    models = []
    for threads in ("1", "2", "no number"):
        layout = job({"num_round": "5", "subsample": "0.5", "tree_method": "hist"})
        RunFolder(layout.root.parent).threads.write_text(threads)
        assert train(layout, image("1.7-1"), 2) == 0
        models.append((layout.model / "xgboost-model").read_bytes())
    assert models[0] == models[1] == models[2]


def test_a_trial_that_finds_its_data_read_gives_the_same_bytes(job: Job) -> None:
    models = []
    for turn in range(3):
        layout = job({"num_round": "5", "subsample": "0.5", "tree_method": "hist", "csv_weights": "1"})
        kept = RunFolder(layout.root.parent).kept_data
        if turn:
            kept.mkdir(exist_ok=True)
        assert train(layout, image("1.7-1"), 1) == 0
        models.append((layout.model / "xgboost-model").read_bytes())
    assert len(list(kept.iterdir())) == 2
    assert models[0] == models[1] == models[2]


def test_small_data_is_trained_on_with_one_thread(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    assert [rounds.useful_threads(cells, 8) for cells in (0, 399_999, 400_000, 10**9)] == [1, 1, 2, 8]
    assert train(job({"num_round": "1"}), image("1.7-1"), 2) == 0
    assert "cells, for which 1 of 2 threads are of use." in capsys.readouterr().out


@pytest.mark.parametrize(("tag", "shortened"), [("1.2-2", False), ("1.3-1", True)])
def test_early_stopping_keeps_the_best_rounds_from_1_3_on(job: Job, tag: str, shortened: bool) -> None:  # noqa: FBT001 - a table
    layout = job(
        {
            "num_round": "50",
            "objective": "binary:logistic",
            "eval_metric": "auc,logloss",
            "eta": "1",
            "early_stopping_rounds": "3",
        }
    )
    assert train(layout, image(tag), 1) == 0
    model = booster(layout.model / "xgboost-model")
    assert model.num_boosted_rounds() == model.best_iteration + (1 if shortened else 4) < 50


def test_weights_of_the_second_column_count(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    text = "0,1,5\n1,3,5\n"
    layout = job(
        {"num_round": "1", "csv_weights": "1", "eta": "1", "lambda": "0"}, {"train": text, "validation": text}
    )
    assert train(layout, image("1.7-1"), 1) == 0
    prediction = booster(layout.model / "xgboost-model").predict(DMatrix(np.array([[5.0]])))
    assert prediction.tolist() == [0.75]
    assert "1 columns" in capsys.readouterr().out


def test_libsvm_validation_may_have_fewer_columns_but_not_more(job: Job) -> None:
    wide, narrow = "1 0:1 3:1\n0 0:2\n", "1 0:1\n0 0:2\n"
    layout = job({"num_round": "1"}, {"train": wide, "validation": narrow}, "text/libsvm")
    assert train(layout, image("1.7-1"), 1) == 0
    layout = job({"num_round": "1"}, {"train": narrow, "validation": wide}, "text/libsvm")
    assert failure(layout).startswith(
        "ClientError: feature_names mismatch: the data in /opt/ml/input/data/validation"
    )


def test_folds_leave_a_model_each_and_predictions_for_every_row(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = job(
        {
            "num_round": "2",
            "objective": "multi:softprob",
            "num_class": "3",
            "_kfold": "3",
            "_num_cv_round": "2",
        }
    )
    for channel in ("train", "validation"):
        (layout.channel(channel) / "part").write_text(csv_rows(0, classes=3))
    assert train(layout, image("1.7-1"), 1) == 0
    assert sorted(path.name for path in layout.model.iterdir()) == [f"xgboost-model-{n}" for n in range(6)]
    table = np.loadtxt(layout.output_data / "predictions.csv", delimiter=",")
    assert table.shape == (2 * ROWS, 3)
    assert (table[:, 0] == table[:, 2]).mean() > 0.8
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("[2]\ttrain-mlogloss:")
    assert "\tvalidation-mlogloss:" in line


@pytest.mark.parametrize("channels", [["train"], ["train", "validation"]])
def test_groups_are_not_divided_into_folds(job: Job, channels: list[str]) -> None:
    text = "".join(f"{n % 2} qid:{n // 4} 0:{n}\n" for n in range(40))
    layout = job(
        {"num_round": "1", "objective": "rank:pairwise", "_kfold": "2"},
        dict.fromkeys(channels, text),
        "text/libsvm",
    )
    assert failure(layout).startswith("ClientError: Hyperparameter _kfold: data with groups (qid)")


@pytest.mark.parametrize(("tag", "base", "columns"), [("1.7-1", 1, 3), ("3.0-5", 1, 2), ("3.0-5", 0, 2)])
def test_whoever_counts_columns_from_1_is_understood_in_requests_too(
    job: Job, tag: str, base: int, columns: int
) -> None:
    rows = [(n % 2, f"{base}:{n % 2} {base + 1}:{n}") for n in range(20)]
    text = "".join(f"{label} {features}\n" for label, features in rows)
    layout = job(
        {"num_round": "5", "objective": "binary:logistic", "min_child_weight": "0"},
        {"train": text, "validation": text},
        "text/libsvm",
    )
    assert train(layout, image(tag), 1) == 0
    assert booster(layout.model / "xgboost-model").num_features() == columns
    body = "\n".join(features for _, features in rows).encode()
    answer = load(layout.model, image(tag), {}).invoke(Invocation(body, "text/libsvm"))
    scores = [float(line) for line in answer.body.decode().split()]
    assert [score > 0.5 for score in scores] == [label == 1 for label, _ in rows]


def test_both_channels_count_columns_alike(job: Job) -> None:
    channels = {"train": "1 1:1\n0 1:0\n", "validation": "1\n0\n"}
    assert train(job({"num_round": "1"}, channels, "text/libsvm"), image("3.0-5"), 1) == 0
    channels = {"train": "1 1:1\n0 1:0\n", "validation": "1 0:1\n"}
    message = failure(job({"num_round": "1"}, channels, "text/libsvm"), "3.0-5")
    assert "validation names column 0, but the training data counts its columns from 1" in message


def test_a_column_number_beyond_reason_is_refused(job: Job) -> None:
    layout = job({"num_round": "1"}, {"train": "1 0:1\n0 2147483646:1\n"}, "text/libsvm")
    assert "has 2147483647 columns of features; 10000000 are accepted" in failure(layout)


def test_a_job_resumes_from_its_newest_checkpoint(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoints = {"S3Uri": "s3://b/c", "LocalPath": "/opt/ml/checkpoints/"}
    layout = job({"num_round": "7"}, checkpointconfig=checkpoints)
    assert train(layout, image("1.5-1"), 1) == 0
    kept = {path.name for path in layout.checkpoints.iterdir()}
    assert kept == {f"xgboost-checkpoint.{n}" for n in range(2, 7)}
    (layout.checkpoints / "xgboost-checkpoint.6").write_bytes(b"torn")
    capsys.readouterr()
    layout = job({"num_round": "9"}, checkpointconfig=checkpoints)
    assert train(layout, image("1.5-1"), 1) == 0
    out = capsys.readouterr().out
    assert "Resuming from iteration 6" in out
    assert [line[:3] for line in out.splitlines() if line.startswith("[")] == ["[6]", "[7]", "[8]"]
    assert booster(layout.model / "xgboost-model").num_boosted_rounds() == 9


@pytest.mark.parametrize("booster_name", ["gbtree", "gblinear", "dart"])
def test_a_finished_checkpoint_of_any_booster_is_the_model(job: Job, booster_name: str) -> None:
    checkpoints = {"S3Uri": "s3://b/c", "LocalPath": "/opt/ml/checkpoints"}
    hyperparameters = {"num_round": "3", "booster": booster_name}
    layout = job(hyperparameters, checkpointconfig=checkpoints)
    assert train(layout, image("1.7-1"), 1) == 0
    (layout.model / "xgboost-model").unlink()
    layout = job({**hyperparameters, "early_stopping_rounds": "2"}, checkpointconfig=checkpoints)
    assert train(layout, image("1.7-1"), 1) == 0
    finished = (layout.checkpoints / "xgboost-checkpoint.2").read_bytes()
    assert booster(layout.model / "xgboost-model").save_raw("json") == booster_of(finished).save_raw("json")


@pytest.mark.parametrize(
    ("hyperparameters", "text"),
    [
        ({}, "ClientError: Missing required hyperparameter: num_round"),
        ({"num_round": "1", "eta": "3"}, "ClientError: Hyperparameter eta: 3.0 is not in [0, 1]"),
        (
            {"num_round": "1", "objective": "multi:softmax", "num_class": "2"},
            "ClientError: ",
        ),
        (
            {"num_round": "1", "objective": "multi:softprob", "num_class": "5", "eval_metric": "f1_binary"},
            "ClientError: Target is multiclass but average='binary'",
        ),
        ({"num_round": "1", "max_depth": "0"}, "ClientError: "),
        (
            {"num_round": "1", "objective": "aft_loss_distribution"},
            "AlgorithmError: XGB train call failed with exception:\n Unknown objective function",
        ),
        (
            {"num_round": "1", "objective": "multi:softmax", "num_class": "1000000000"},
            "ClientError: Hyperparameter num_class: 1000000000 classes of ",
        ),
    ],
)
def test_a_failure_says_whose_it_is(job: Job, hyperparameters: dict[str, str], text: str) -> None:
    layout = job(hyperparameters, {"train": csv_rows(0, classes=5)})
    assert failure(layout).startswith(text)
    assert "Stack trace" not in layout.failure.read_text()
    assert not any(layout.model.iterdir()) if layout.model.exists() else True


def test_labels_outside_zero_and_one_are_the_users_fault(job: Job) -> None:
    layout = job({"num_round": "1", "objective": "binary:logistic"}, {"train": "2,1\n3,2\n"})
    assert failure(layout).startswith("ClientError: ")
    assert "label must be in" in layout.failure.read_text()


@pytest.mark.parametrize(
    ("content_type", "text"),
    [("text/csv", "1,inf\n0,2\n"), ("text/libsvm", "1 qid:2 0:1\n0 qid:1 0:2\n")],
)
def test_data_that_the_library_refuses_is_the_users_fault(job: Job, content_type: str, text: str) -> None:
    message = failure(job({"num_round": "1"}, {"train": text}, content_type))
    assert re.match(r"ClientError: Failed to load (csv|libsvm) data with exception:\n.*(inf|sorted)", message)


def test_script_mode_is_refused_by_name(job: Job) -> None:
    layout = job({"sagemaker_program": "train.py", "num_round": "1"})
    assert failure(layout).startswith("ClientError: Hyperparameter sagemaker_program asks for script mode")


def test_folds_on_several_hosts_and_foreign_checkpoint_paths_are_refused_by_name(job: Job) -> None:
    layout = job({"num_round": "1", "_kfold": "2"}, resourceconfig={"hosts": ["algo-1", "algo-2"]})
    assert "Hyperparameter _kfold: folds are not divided among instances" in failure(layout)
    layout = job({"num_round": "1"}, checkpointconfig={"LocalPath": "/etc"})
    assert "CheckpointConfig.LocalPath /etc is not below /opt/ml" in failure(layout)


def test_an_unknown_image_names_those_that_are_known(job: Job) -> None:
    assert "with tag 0.90-1, 0.90-2" in failure(job({"num_round": "1"}), "9.9-9")


@pytest.mark.parametrize(
    ("keeps", "verbosity", "files"),
    [("true", "1", ["xgboost-model"]), ("false", "1", []), ("true", "3", ["xgboost-model"])],
)
def test_a_stopped_job_ends_well_and_keeps_its_model_if_asked(
    job: Job, keeps: str, verbosity: str, files: list[str]
) -> None:
    layout = job({"num_round": "100000", "save_model_on_termination": keeps, "verbosity": verbosity})
    program = (
        "import sys; from pathlib import Path; from sagestead.worker.layout import Layout\n"
        "from sagestead.algorithms.xgboost.training import train\n"
        f"sys.exit(train(Layout(Path(sys.argv[1])), {image('1.7-1')!r}, 1))"
    )
    command = [sys.executable, "-c", program, str(layout.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any(line.startswith("[3]") for line in process.stdout)
        process.send_signal(signal.SIGTERM)
        out = process.stdout.read()
    assert process.returncode == 0
    assert "Stopped by SIGTERM" in out
    assert [path.name for path in layout.model.iterdir()] == files


@pytest.mark.parametrize(
    "objective",
    [
        "binary:logitraw",
        "binary:hinge",
        "count:poisson",
        "multi:softmax",
        "rank:pairwise",
        "rank:ndcg",
        "rank:map",
        "reg:linear",
        "reg:logistic",
        "reg:gamma",
        "reg:squaredlogerror",
        "reg:tweedie",
        "reg:absoluteerror",
        "reg:pseudohubererror",
        "survival:cox",
    ],
)
@pytest.mark.parametrize("booster_name", ["gbtree", "gblinear", "dart"])
def test_every_objective_trains_with_every_booster(
    job: Job, capfd: pytest.CaptureFixture[str], objective: str, booster_name: str
) -> None:
    hyperparameters = {"num_round": "2", "objective": objective, "booster": booster_name}
    if objective == "multi:softmax":
        hyperparameters["num_class"] = "2"
    text = csv_rows(0)
    if objective == "reg:gamma":
        text = "".join(f"{int(line[0]) + 1}{line[1:]}\n" for line in text.splitlines())
    layout = job(hyperparameters, {"train": text, "validation": text})
    assert train(layout, image("1.7-1"), 1) == 0, layout.failure.read_text()
    assert "are not used" not in capfd.readouterr().out

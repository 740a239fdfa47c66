from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from sagestead.algorithms.xgboost.channels import channel_files, check_channels, no_data, piped_files
from sagestead.algorithms.xgboost.faults import UserFault
from sagestead.domain.images import BuiltInImage
from sagestead.worker.layout import Layout

NEW = BuiltInImage("xgboost", "3.0-5")
OLD = BuiltInImage("xgboost", "1.7-1")


def channel(content_type: str | None = "text/csv", mode: str = "File") -> dict[str, str]:
    members = {
        "TrainingInputMode": mode,
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    }
    return members | ({"ContentType": content_type} if content_type else {})


def fill(root: Path, *names: str) -> Layout:
    layout = Layout(root)
    for name in names:
        path = layout.channel("train") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("" if name.startswith("empty") else "1,2\n")
    return layout


@pytest.mark.parametrize(
    ("content_type", "data_format"),
    [
        (None, "libsvm"),
        ("csv", "csv"),
        ("text/x-libsvm", "libsvm"),
        ("application/x-parquet", "parquet"),
        ("application/x-recordio-protobuf", "recordio-protobuf"),
    ],
)
def test_content_type_gives_the_format(content_type: str | None, data_format: str) -> None:
    assert check_channels({"train": channel(content_type, "FastFile")}, NEW) == data_format


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ({}, "Missing required channel: train"),
        ({"validation": channel()}, "Missing required channel: train"),
        ({"train": channel(), "test": channel()}, "Extraneous channel found: test"),
        ({"train": channel(), "code": channel("text/python")}, "Channel 'code' belongs to script mode"),
        (
            {"train": channel("text/csv;label_size=1")},
            (
                "Channel configuration for 'train' channel is not supported: {'TrainingInputMode': 'File', "
                "'S3DistributionType': 'FullyReplicated', 'RecordWrapperType': 'None', "
                "'ContentType': 'text/csv;label_size=1'}"
            ),
        ),
        ({"train": channel("libsvm", "Pipe")}, "Channel configuration for 'train' channel is not supported"),
        (
            {"train": channel("csv", "Pipe")},
            (
                "Pipe mode for CSV is no longer supported. Please use Fast File mode (default) instead. "
                "Set input_mode='File' in your SageMaker Estimator or TrainingInput."
            ),
        ),
    ],
)
def test_other_channels_are_refused_in_the_containers_words(
    channels: dict[str, dict[str, str]], message: str
) -> None:
    with pytest.raises(UserFault) as refused:
        check_channels(channels, NEW)
    assert message in str(refused.value)


def test_a_pipe_is_read_to_its_end_and_leaves_nothing(tmp_path: Path) -> None:
    assert check_channels({"train": channel("csv", "Pipe")}, OLD) == "csv"
    layout = Layout(tmp_path)
    layout.channel("train").parent.mkdir(parents=True)
    os.mkfifo(layout.channel("train_0"))
    writer = threading.Thread(target=layout.channel("train_0").write_bytes, args=(b"1,2\n",))
    writer.start()
    with piped_files(layout, "train") as (file,):
        assert file.read_bytes() == b"1,2\n"
    writer.join()
    assert [path.name for path in (tmp_path / "input").iterdir()] == ["data"]


def test_files_come_in_name_order_from_three_folders_deep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = fill(tmp_path, "b", "a/1", "a/b/c/2", "a/b/c/d/3", "empty", "x.dtrain.cache")
    names = [str(path.relative_to(layout.channel("train"))) for path in channel_files(layout, "train")]
    assert names == ["a/1", "a/b/c/2", "b"]
    assert "a/b/c/d/3 of channel train is not read" in capsys.readouterr().out


def test_a_hidden_file_anywhere_fails(tmp_path: Path) -> None:
    with pytest.raises(UserFault, match=r"Hidden file found in the data path! Remove that before training."):
        channel_files(fill(tmp_path, "a", "b/.DS_Store"), "train")


def test_no_data_names_the_path_of_the_container(tmp_path: Path) -> None:
    assert channel_files(fill(tmp_path, "empty"), "train") == []
    assert str(no_data("train")) == "No data in training channel path /opt/ml/input/data/train"
    assert str(no_data("validation")) == "No data in validation channel path /opt/ml/input/data/validation"

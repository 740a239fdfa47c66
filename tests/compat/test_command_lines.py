"""The AWS CLI, s3cmd and rclone."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.compat

Run = Callable[..., str]
LARGE = 20_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "tree"
    (place / "sub dir").mkdir(parents=True)
    (place / "a.txt").write_text("alpha")
    (place / "sub dir" / "ü+&.txt").write_text("odd name")
    (place / "large.bin").write_bytes(bytes(range(256)) * (LARGE // 256))
    return place


def same(left: Path, right: Path) -> bool:
    names = sorted(p.relative_to(left) for p in left.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(right) for p in right.rglob("*") if p.is_file())
    return all((left / name).read_bytes() == (right / name).read_bytes() for name in names)


def test_aws_s3(run: Run, interpreter: Callable[[str], Path], folder: Path, tmp_path: Path) -> None:
    aws = interpreter("awscli").with_name("aws")
    run(aws, "s3", "mb", "s3://cli-bucket")
    run(aws, "s3", "sync", folder, "s3://cli-bucket/tree")
    listed = run(aws, "s3", "ls", "--recursive", "s3://cli-bucket/tree/")
    assert "tree/sub dir/ü+&.txt" in listed
    run(aws, "s3", "cp", "s3://cli-bucket/tree/large.bin", "s3://cli-bucket/copy.bin")
    run(aws, "s3", "cp", "--recursive", "s3://cli-bucket/tree", tmp_path / "back")
    assert same(folder, tmp_path / "back")
    run(aws, "s3", "rm", "--recursive", "s3://cli-bucket")
    run(aws, "s3", "rb", "s3://cli-bucket")
    assert "cli-bucket" not in run(aws, "s3", "ls")


def test_aws_sagemaker_iam_sts(run: Run, interpreter: Callable[[str], Path]) -> None:
    aws = interpreter("awscli").with_name("aws")
    assert '"Account": "123456789012"' in run(aws, "sts", "get-caller-identity")
    assert "SagesteadExecutionRole" in run(aws, "iam", "list-roles")
    assert "TrainingJobSummaries" in run(aws, "sagemaker", "list-training-jobs")


def test_s3cmd(
    run: Run, interpreter: Callable[[str], Path], environment: dict[str, str], folder: Path, tmp_path: Path
) -> None:
    host = environment["AWS_ENDPOINT_URL"].removeprefix("http://")
    command = (
        interpreter("awscli").with_name("s3cmd"), "--no-ssl", f"--host={host}", f"--host-bucket={host}",
        f"--access_key={environment['AWS_ACCESS_KEY_ID']}",
        f"--secret_key={environment['AWS_SECRET_ACCESS_KEY']}", "--multipart-chunk-size-mb=5",
    )  # fmt: skip
    run(*command, "mb", "s3://s3cmd-bucket")
    run(*command, "sync", f"{folder}/", "s3://s3cmd-bucket/tree/")
    assert "s3://s3cmd-bucket/tree/sub dir/ü+&.txt" in run(*command, "ls", "-r", "s3://s3cmd-bucket")
    (tmp_path / "back").mkdir()
    run(*command, "sync", "s3://s3cmd-bucket/tree/", f"{tmp_path / 'back'}/")
    assert same(folder, tmp_path / "back")
    run(*command, "rb", "--recursive", "--force", "s3://s3cmd-bucket")


def test_rclone(run: Run, environment: dict[str, str], folder: Path, tmp_path: Path) -> None:
    if shutil.which("rclone") is None:
        pytest.skip("rclone is absent (Debian: apt install rclone)")
    options = {
        "RCLONE_CONFIG_HERE_TYPE": "s3",
        "RCLONE_CONFIG_HERE_PROVIDER": "Other",
        "RCLONE_CONFIG_HERE_ENV_AUTH": "true",
        "RCLONE_CONFIG_HERE_ENDPOINT": environment["AWS_ENDPOINT_URL"],
        "RCLONE_CONFIG_HERE_REGION": "us-east-1",
    }
    run("rclone", "mkdir", "here:rclone-bucket", **options)
    run("rclone", "copy", folder, "here:rclone-bucket/tree", **options)
    run("rclone", "check", folder, "here:rclone-bucket/tree", **options)
    run("rclone", "copy", "here:rclone-bucket/tree", tmp_path / "back", **options)
    assert same(folder, tmp_path / "back")
    run("rclone", "purge", "here:rclone-bucket", **options)

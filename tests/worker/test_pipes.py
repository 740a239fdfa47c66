from __future__ import annotations

import gzip
import signal
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagestead.algorithms.xgboost.recordio import read_recordio
from sagestead.worker.pipes import Part, Pipe, Unfeedable, stream
from sagestead.worker.run_folder import RunFolder, write_json


def written(pipe: Pipe, folder: Path, epoch: int = 0) -> bytes:
    to = BytesIO()
    stream(pipe, folder, epoch, to)
    return to.getvalue()


def test_records_follow_each_other_or_are_wrapped(tmp_path: Path) -> None:
    (tmp_path / "0").write_bytes(gzip.compress(b"one") + gzip.compress(b"!"))
    records = [[Part("0"), Part(text="7")], [Part(text="two")]]
    assert written(Pipe("c", records, is_gzip=True), tmp_path) == b"one!7two"
    wrapped = written(Pipe("c", records, is_gzip=True, is_wrapped=True), tmp_path)
    assert list(read_recordio(BytesIO(wrapped))) == [b"one!", b"7", b"two"]


def test_what_is_not_gzip_cannot_be_fed(tmp_path: Path) -> None:
    whole = gzip.compress(b"x" * 100)
    for content in (b"plain", whole[:20], whole[:-8] + b"\0" * 8):
        (tmp_path / "0").write_bytes(content)
        with pytest.raises(Unfeedable, match="object s3://b/k of channel c cannot be decompressed"):
            written(Pipe("c", [[Part("0", "s3://b/k")]], is_gzip=True), tmp_path)


@given(st.integers(0, 12), st.integers(1, 4), st.integers(-(2**31), 2**31), st.integers(0, 3))
def test_shares_of_an_epoch_are_all_records_once(count: int, hosts: int, seed: int, epoch: int) -> None:
    records = [[Part(text=str(number))] for number in range(count)]
    shares = [Pipe("c", records, (host, hosts), seed).order(epoch) for host in range(hosts)]
    assert sorted(record[0].text for share in shares for record in share) == sorted(map(str, range(count)))
    assert Pipe.from_json(Pipe("c", records, (0, hosts), seed).to_json()) == Pipe(
        "c", records, (0, hosts), seed
    )


def test_epochs_have_orders_of_their_own() -> None:
    pipe = Pipe("c", [[Part(text=str(number))] for number in range(9)], seed=1)
    assert pipe.order(0) == pipe.order(0) != pipe.order(1)


READER = """
import sys
from pathlib import Path
from sagestead.worker.pipes import feed
from sagestead.worker.run_folder import RunFolder
run = RunFolder(Path(sys.argv[1]))
feed(run)
for epoch in range(3):
    with run.layout.channel(f"train_{epoch}").open("rb") as data:
        print(epoch, data.read() if epoch != 1 else data.read(1), flush=True)
"""


def read_in_a_process(run: RunFolder) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", READER, str(run.path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)


def laid_down(folder: Path, pipe: Pipe) -> RunFolder:
    run = RunFolder(folder)
    run.pipes.mkdir()
    run.layout.channel("train").parent.mkdir(parents=True)
    write_json(run.pipes / "train.json", pipe.to_json())
    return run


def test_every_epoch_has_its_pipe_also_after_one_that_was_not_read_to_its_end(tmp_path: Path) -> None:
    run = laid_down(tmp_path, Pipe("train", [[Part(text="a" * 3)], [Part(text="b")]]))
    assert read_in_a_process(run).stdout == "0 b'aaab'\n1 b'a'\n2 b'aaab'\n"


def test_what_cannot_be_fed_ends_the_reader_and_says_why(tmp_path: Path) -> None:
    run = laid_down(tmp_path, Pipe("train", [[Part("0", "s3://b/k")]], is_gzip=True))
    (run.pipes / "0").write_bytes(b"plain")
    command = [sys.executable, "-c", READER, str(run.path)]
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE) as process:
        assert process.wait(20) == -signal.SIGKILL
    assert run.layout.failure.read_text().startswith("ClientError: The object s3://b/k of channel train")
    assert run.failure.exists()

"""Processing jobs with boto3 against a real server; the runtime is one that needs no package index."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import pytest

from sagestead.domain.runtimes import RUNTIMES
from sagestead.worker.isolation import can_leave_network
from sagestead.worker.run_folder import write_json

Start = Callable[..., AbstractContextManager[subprocess.Popen[bytes]]]
RUNTIME = RUNTIMES["xgboost:3.0-5"]
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
BUCKET = "sagemaker-us-east-1-123456789012"
ENDED = {"Completed", "Failed", "Stopped"}
LIMIT = 60.0
CODE = "/opt/ml/processing/input/code"


class Processor:
    """What the SDK does with a processing job."""

    def __init__(self, environment: dict[str, str], client_of: Callable[..., Any]) -> None:
        self.sagemaker = client_of(environment, "sagemaker")
        self.logs = client_of(environment, "logs")
        self.s3 = client_of(environment, "s3")
        self.role = environment["SAGEMAKER_ROLE_ARN"]
        self.s3.create_bucket(Bucket=BUCKET)

    def put(self, key: str, body: bytes | str) -> str:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"

    def get(self, key: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return body

    def keys(self, prefix: str) -> list[str]:
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return [item["Key"] for item in found]

    def run(self, name: str, script: str, **more: Any) -> None:
        code = self.put(f"{name}/code/run.py", script)
        inputs = [given("code", code, CODE), *more.pop("inputs", [])]
        application = {
            "ImageUri": more.pop("image", IMAGE),
            "ContainerEntrypoint": more.pop("entrypoint", ["python3", f"{CODE}/run.py"]),
            **({"ContainerArguments": more.pop("arguments")} if "arguments" in more else {}),
        }
        outputs = [
            {
                "OutputName": one,
                "S3Output": {
                    "S3Uri": f"s3://{BUCKET}/{name}/out/{one}",
                    "LocalPath": f"/opt/ml/processing/{one}",
                    "S3UploadMode": mode,
                },
            }
            for one, mode in more.pop("outputs", {}).items()
        ]
        cluster = {"InstanceType": "ml.m5.large", "InstanceCount": more.pop("hosts", 1), "VolumeSizeInGB": 30}
        self.sagemaker.create_processing_job(
            ProcessingJobName=name,
            ProcessingInputs=inputs,
            ProcessingOutputConfig={"Outputs": outputs},
            ProcessingResources={"ClusterConfig": cluster},
            AppSpecification=application,
            RoleArn=self.role,
            **more,
        )

    def describe(self, name: str) -> Any:
        return self.sagemaker.describe_processing_job(ProcessingJobName=name)

    def ended(self, name: str) -> Any:
        deadline = time.monotonic() + LIMIT
        while (answer := self.describe(name))["ProcessingJobStatus"] not in ENDED:
            assert time.monotonic() < deadline, answer
        return answer

    def lines(self, name: str, host: str = "algo-1") -> list[str]:
        group = "/aws/sagemaker/ProcessingJobs"
        found = self.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/{host}-")
        events = self.logs.get_log_events(
            logGroupName=group, logStreamName=found["logStreams"][0]["logStreamName"], startFromHead=True
        )
        return [event["message"] for event in events["events"]]

    def until(self, look: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LIMIT
        while not look():
            assert time.monotonic() < deadline


def given(name: str, uri: str, path: str, **more: str) -> Any:
    """A ProcessingInput as the SDK writes it."""
    source = {
        "S3Uri": uri,
        "LocalPath": path,
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        "S3DataDistributionType": "FullyReplicated",
        "S3CompressionType": "None",
        **more,
    }
    return {"InputName": name, "AppManaged": False, "S3Input": source}


def lay_runtime(data: Path) -> None:
    """Leave a runtime without its packages, as if it had been built: this test's own Python."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    path = data / "runtimes" / "laid"
    venv.create(path, with_pip=False)
    site = path / "lib" / f"python{python}" / "site-packages"
    shutil.copytree(Path(sysconfig.get_path("purelib")) / "pip", site / "pip")
    write_json(
        path / "built.json",
        {
            "path": str(path),
            "name": RUNTIME.name,
            "version": f"{python}.{sys.version_info.micro}",
            "requirements": RUNTIME.requirements_for(python),
            "prefix": sys.base_prefix,
        },
    )


@pytest.fixture(scope="module")
def processor(
    tmp_path_factory: pytest.TempPathFactory,
    start: Start,
    variables_of: Callable[..., dict[str, str]],
    client_of: Callable[..., Any],
) -> Iterator[Processor]:
    data = tmp_path_factory.mktemp("processing") / "data"
    lay_runtime(data)
    with start(data):
        yield Processor(variables_of(data), client_of)


WHOLE = """
import json, os, pathlib, sys
root = pathlib.Path("/opt/ml/processing")
out = root / "out"
words = (root / "data" / "deep" / "words.txt").read_text()
(out / "below").mkdir()
(out / "below" / "upper.txt").write_text(words.upper())
config = json.loads(pathlib.Path("/opt/ml/config/processingjobconfig.json").read_text())
hosts = json.loads(pathlib.Path("/opt/ml/config/resourceconfig.json").read_text())
(out / "seen.json").write_text(json.dumps([sys.argv[1:], os.environ["COLOUR"], config, hosts]))
pathlib.Path("/opt/ml/output/message").write_text("all words are upper")
print("processed by", os.environ["PROCESSING_JOB_NAME"])
"""


def test_inputs_become_outputs(processor: Processor) -> None:
    data = processor.put("whole/in/deep/words.txt", "one two").removesuffix("/deep/words.txt")
    processor.run(
        "whole",
        WHOLE,
        inputs=[given("data", data, "/opt/ml/processing/data")],
        outputs={"out": "EndOfJob"},
        arguments=["--share", "0.2"],
        Environment={"COLOUR": "blue"},
        Tags=[{"Key": "team", "Value": "cats"}],
    )
    job = processor.ended("whole")
    assert job["ProcessingJobStatus"] == "Completed", (job, processor.lines("whole"))
    assert job["ExitMessage"] == "all words are upper"
    assert job["ProcessingStartTime"] <= job["ProcessingEndTime"]
    assert job["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == 1
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    assert processor.keys("whole/out/") == ["whole/out/out/below/upper.txt", "whole/out/out/seen.json"]
    assert processor.get("whole/out/out/below/upper.txt") == b"ONE TWO"
    arguments, colour, config, hosts = json.loads(processor.get("whole/out/out/seen.json"))
    assert (arguments, colour) == (["--share", "0.2"], "blue")
    assert config["AppSpecification"] == job["AppSpecification"]
    assert config["ProcessingJobArn"] == job["ProcessingJobArn"]
    assert hosts == {"current_host": "algo-1", "hosts": ["algo-1"]}
    assert "processed by whole" in processor.lines("whole")
    waiter = processor.sagemaker.get_waiter("processing_job_completed_or_stopped")
    waiter.wait(ProcessingJobName="whole")
    tags = processor.sagemaker.list_tags(ResourceArn=job["ProcessingJobArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "cats"}]


def test_a_failed_program_says_why_and_stores_what_is_stored_continuously(processor: Processor) -> None:
    script = (
        "import sys\nfor name in ('now', 'later'):\n"
        "    open(f'/opt/ml/processing/{name}/x.txt', 'w').write(name)\n"
        "open('/opt/ml/output/message', 'w').write('no rows')\nsys.exit('the table is empty')\n"
    )
    processor.run("failed", script, outputs={"now": "Continuous", "later": "EndOfJob"})
    job = processor.ended("failed")
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: ")
    assert "the table is empty" in job["FailureReason"]
    assert job["FailureReason"].endswith(", exit code: 1")
    assert job["ExitMessage"] == "no rows"
    assert processor.keys("failed/out/") == ["failed/out/now/x.txt"]
    assert [one["ProcessingJobName"] for one in processor.sagemaker.list_processing_jobs(
        StatusEquals="Failed", NameContains="fail")["ProcessingJobSummaries"]] == ["failed"]  # fmt: skip


PATIENT = """
import pathlib, signal, sys, threading
ended = threading.Event()
def leave(number, frame):
    pathlib.Path("/opt/ml/processing/out/last.txt").write_text("stopped in order")
    ended.set()
signal.signal(signal.SIGTERM, leave)
pathlib.Path("/opt/ml/processing/live/first.txt").write_text("early")
print("waiting")
while not ended.wait(0.05):
    pass
sys.exit(3)
"""


def test_a_job_is_stopped_with_time_to_end_in_order(processor: Processor) -> None:
    processor.run("stopped", PATIENT, outputs={"live": "Continuous", "out": "EndOfJob"})
    processor.until(lambda: processor.keys("stopped/out/") == ["stopped/out/live/first.txt"])
    (row,) = processor.sagemaker.list_processing_jobs(NameContains="stopped")["ProcessingJobSummaries"]
    assert row["ProcessingJobStatus"] == "InProgress"
    assert "waiting" in processor.lines("stopped")
    processor.sagemaker.stop_processing_job(ProcessingJobName="stopped")
    job = processor.ended("stopped")
    assert job["ProcessingJobStatus"] == "Stopped"
    assert "FailureReason" not in job
    assert processor.get("stopped/out/out/last.txt") == b"stopped in order"


def test_a_job_that_takes_too_long_is_stopped(processor: Processor) -> None:
    processor.run("long", PATIENT, outputs={"live": "EndOfJob", "out": "EndOfJob"},
        StoppingCondition={"MaxRuntimeInSeconds": 1})  # fmt: skip
    job = processor.ended("long")
    assert job["ProcessingJobStatus"] == "Stopped"
    assert job["FailureReason"] == "ClientError: The job ran for MaxRuntimeInSeconds (1) and was stopped."


def test_hosts_share_out_objects(processor: Processor) -> None:
    for name in "abc":
        uri = processor.put(f"shared/in/{name}.txt", name)
    script = (
        "import json, os, pathlib\nroot = pathlib.Path('/opt/ml/processing')\n"
        "me = json.loads(pathlib.Path('/opt/ml/config/resourceconfig.json').read_text())['current_host']\n"
        "(root / 'out' / me).write_text(' '.join(sorted(os.listdir(root / 'part'))))\n"
    )
    part = given("part", uri.removesuffix("c.txt"), "/opt/ml/processing/part",
        S3DataDistributionType="ShardedByS3Key")  # fmt: skip
    processor.run("shared", script, hosts=2, inputs=[part], outputs={"out": "EndOfJob"})
    assert processor.ended("shared")["ProcessingJobStatus"] == "Completed"
    assert processor.keys("shared/out/") == ["shared/out/out/algo-1", "shared/out/out/algo-2"]
    assert processor.get("shared/out/out/algo-1") == b"a.txt c.txt"
    assert processor.get("shared/out/out/algo-2") == b"b.txt"
    assert processor.lines("shared", "algo-2")


RUNPROC = """#!/bin/bash
cd /opt/ml/processing/input/code/
tar -xzf sourcedir.tar.gz
set -e
if [[ -f 'requirements.txt' ]]; then
    pip uninstall --yes typing
    python -m pip install --no-index -r requirements.txt
fi
python run.py "$@"
"""


def test_a_shell_script_unpacks_and_installs(processor: Processor) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in {
            "requirements.txt": "./tiny\n",
            "tiny/pyproject.toml": (
                '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
            ),
            "tiny/backend.py": BACKEND,
            "run.py": "import tiny, sys\nprint('tiny is', tiny.SIZE, sys.argv[1:])\n",
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    entry = processor.put("shell/runproc.sh", RUNPROC)
    source = processor.put("shell/source/sourcedir.tar.gz", packed.getvalue())
    places = [
        given("source", source, CODE),
        given("entrypoint", entry, "/opt/ml/processing/input/entrypoint"),
    ]
    processor.run("shell", "", inputs=places, arguments=["--one"],
        entrypoint=["/bin/bash", "/opt/ml/processing/input/entrypoint/runproc.sh"])  # fmt: skip
    job = processor.ended("shell")
    assert job["ProcessingJobStatus"] == "Completed", (job, processor.lines("shell"))
    assert "tiny is 7 ['--one']" in processor.lines("shell")


BACKEND = """
import zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "tiny-1-py3-none-any.whl"
    info = "tiny-1.dist-info/"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("tiny.py", "SIZE = 7")
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\n")
        tags = "Root-Is-Purelib: true\\nTag: py3-none-any\\n"
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\n" + tags)
        wheel.writestr(info + "RECORD", "")
    return name
"""


def test_an_isolated_program_reaches_no_network(processor: Processor) -> None:
    port = processor.s3.meta.endpoint_url.rpartition(":")[2].strip("/")
    script = (
        f"import socket\ntry:\n    socket.create_connection(('127.0.0.1', {port}), 5)\n"
        "except OSError as error:\n    print('reached', type(error).__name__)\n"
    )
    request = {"NetworkConfig": {"EnableNetworkIsolation": True}}
    if not can_leave_network():
        with pytest.raises(processor.sagemaker.exceptions.ClientError, match="EnableNetworkIsolation"):
            processor.run("isolated", script, **request)
        return
    processor.run("isolated", script, **request)
    assert processor.ended("isolated")["ProcessingJobStatus"] == "Completed"
    assert "reached ConnectionRefusedError" in processor.lines("isolated")


def test_a_job_without_its_input_or_its_image_fails(processor: Processor) -> None:
    absent = given("absent", f"s3://{BUCKET}/nothing/", "/opt/ml/processing/absent")
    processor.run("absent", "", inputs=[absent])
    processor.run("unknown", "", image=IMAGE.replace("3.0-5", "9.9-9"))
    reason = processor.ended("unknown")["FailureReason"]
    assert reason.startswith("ClientError: Image 683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgb")
    reason = processor.ended("absent")["FailureReason"]
    assert reason.startswith(f'ClientError: No S3 objects found under S3 URL "s3://{BUCKET}/nothing/"')


def test_a_link_is_not_followed(processor: Processor) -> None:
    script = "import os\nos.symlink('/etc/passwd', '/opt/ml/processing/out/x')\n"
    processor.run("link", script, outputs={"out": "EndOfJob"})
    job = processor.ended("link")
    assert job["FailureReason"] == "ClientError: 'x' is a symbolic link; only files and folders are stored."
    assert processor.keys("link/out/") == []


def test_an_ended_job_can_be_deleted(processor: Processor) -> None:
    processor.run("gone", "print('hello')")
    processor.ended("gone")

    def delete() -> bool:
        with suppress(processor.sagemaker.exceptions.ClientError):  # it is tidied up for a moment
            processor.sagemaker.delete_processing_job(ProcessingJobName="gone")
            return True
        return False

    processor.until(delete)
    with pytest.raises(processor.sagemaker.exceptions.ClientError, match="Could not find requested job"):
        processor.describe("gone")

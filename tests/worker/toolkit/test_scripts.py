"""Scripts of users in real processes, from the engine down."""

from __future__ import annotations

import io
import json
import os
import socket
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.worker.toolkit.standing import NAME, standing_runtime

from sagestead.domain.runs import Role, RunPhase, RunSpec, RunState
from sagestead.domain.transform import TransformObject, TransformTask
from sagestead.engines.process.engine import ProcessEngine
from sagestead.wire.frames import AnswerFrame, Decoder, RequestFrame, encode

OWNER = "arn:aws:sagemaker:eu-west-1:123456789012:training-job/script"
DEADLINE = 20.0

MODEL = """
import json, os, signal
import numpy as np
def model_fn(model_dir):
    return json.load(open(os.path.join(model_dir, "factor.json")))
def input_fn(body, content_type):
    if body == "die":
        os._exit(7)
    if body == "hang":
        signal.pause()
    return np.array(json.loads(body))
def predict_fn(data, model):
    return data * model["factor"]
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessEngine]:
    data = tmp_path_factory.mktemp("data")
    standing_runtime(data / "runtimes")
    (data / "store.db").write_text("secrets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_SECRET_ACCESS_KEY", "of the service")
        one = ProcessEngine(data / "runs", time.time)
        one.start()
        yield one
        for run in one.runs(OWNER):
            one.forget(run.run_id)
        one.close()


def run_id_of(name: str) -> str:
    return f"training-job/123456789012/eu-west-1/{name}/algo-1"


def archive(path: Path, **files: str) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name.replace("__", "/").replace("_py", ".py").replace("_json", ".json"))
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))


def train(engine: ProcessEngine, name: str, script: str, program: str = "train.py", **more: str) -> str:
    """Start a training job whose program is a script; returns its run id."""
    run_id = run_id_of(name)
    folder = engine.folder(run_id)
    config = folder / "opt-ml" / "input" / "config"
    config.mkdir(parents=True)
    channel = folder / "opt-ml" / "input" / "data" / "train"
    channel.mkdir(parents=True)
    (channel / "data.csv").write_text("1,2\n")
    hyperparameters = {"sagemaker_program": json.dumps(program), "depth": "3", "name": '"a b"', **more}
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    (config / "inputdataconfig.json").write_text('{"train": {"TrainingInputMode": "File"}}')
    (config / "resourceconfig.json").write_text('{"current_host": "algo-1", "hosts": ["algo-1"]}')
    archive(folder / "source.tar.gz", train_py=script)
    engine.ensure(run_id, spec("train", TRAINING_JOB_NAME=name, COLOUR="blue", AWS_REGION="eu-west-1"))
    return run_id


def command(engine: ProcessEngine, name: str, *words: str) -> str:
    """Start a training job that names its command; returns its run id."""
    run_id = run_id_of(name)
    config = engine.folder(run_id) / "opt-ml" / "input" / "config"
    config.mkdir(parents=True)
    engine.ensure(run_id, replace(spec("train", TRAINING_JOB_NAME=name), command=words))
    return run_id


def spec(role: Role, **environment: str) -> RunSpec:
    return RunSpec(OWNER, role, "", "image", environment, threads=1, runtime=NAME)


def until(engine: ProcessEngine, run_id: str, *phases: RunPhase) -> RunState:
    deadline = time.monotonic() + DEADLINE
    while True:
        state = next(one for one in engine.runs(OWNER) if one.run_id == run_id)
        if state.phase in phases:
            return state
        assert time.monotonic() < deadline, (state, engine.log(run_id, 0, 9999))
        engine.changed(1)


def ended(engine: ProcessEngine, run_id: str) -> tuple[RunState, str]:
    state = until(engine, run_id, RunPhase.EXITED, RunPhase.LOST)
    return state, engine.log(run_id, 0, 100_000).decode()


TELLING = """
import json, os, sys
seen = {
    "arguments": sys.argv[1:],
    "environment": dict(os.environ),
    "user": os.getuid(),
    "folder": os.getcwd(),
    "channel": open(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "data.csv")).read(),
}
open(os.path.join(os.environ["SM_MODEL_DIR"], "model.json"), "w").write("{}")
open(os.path.join(os.environ["SM_OUTPUT_DATA_DIR"], "seen.json"), "w").write(json.dumps(seen))
print("trained")
"""


def test_a_script_is_told_what_a_container_tells_it(engine: ProcessEngine) -> None:
    run_id = train(engine, "telling", TELLING)
    state, log = ended(engine, run_id)
    assert state.exit_code == 0, log
    assert "python" in log
    assert "train.py --depth 3 --name 'a b'\n\ntrained\n" in log.replace("\n\n\n", "\n\n")
    opt_ml = engine.folder(run_id) / "opt-ml"
    assert (opt_ml / "model" / "model.json").exists()
    seen = json.loads((opt_ml / "output" / "data" / "seen.json").read_text())
    assert seen["arguments"] == ["--depth", "3", "--name", "a b"]
    assert seen["channel"] == "1,2\n"
    assert seen["folder"].endswith("/code")
    environment = seen["environment"]
    assert environment["COLOUR"] == "blue"
    assert environment["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert environment["SM_HP_DEPTH"] == "3"
    assert environment["SM_CHANNEL_TRAIN"] == environment["SM_INPUT_DIR"] + "/data/train"
    assert json.loads(environment["SM_TRAINING_ENV"])["hyperparameters"] == {"depth": 3, "name": "a b"}
    assert "AWS_SECRET_ACCESS_KEY" not in environment
    assert seen["user"] != 0 or "runs as the service's own user" in log


def test_a_failing_script_is_reported_in_the_words_of_the_toolkits(engine: ProcessEngine) -> None:
    state, log = ended(engine, train(engine, "failing", "print('begun')\nraise ValueError('too deep')\n"))
    assert state.exit_code == 1
    assert state.failure is not None
    assert state.failure.startswith('ExecuteUserScriptError:\nExitCode 1\nErrorMessage "Traceback')
    assert 'ValueError: too deep"\nCommand "python3.' in state.failure
    assert state.failure.endswith("train.py --depth 3 --name 'a b'\"")
    assert "begun" in log


@pytest.mark.parametrize(
    ("name", "program", "reason"),
    [
        (
            "missing",
            "other.py",
            "ClientError: The program other.py is not in the source archive, which holds train.py.",
        ),
        ("unnamed", "", "ClientError: No program is named"),
    ],
)
def test_a_program_that_is_not_there_is_said(
    engine: ProcessEngine, name: str, program: str, reason: str
) -> None:
    state, _ = ended(engine, train(engine, name, "", program))
    assert state.failure is not None
    assert state.failure.startswith(reason)


def test_a_program_that_is_no_python_is_run_by_a_shell(engine: ProcessEngine) -> None:
    script = '#!/bin/sh\necho "$@" > $SM_MODEL_DIR/said\nexit 5\n'
    run_id = train(engine, "shell", script, "train.py")
    folder = engine.folder(run_id)
    ended(engine, run_id)
    archive(folder / "source.tar.gz", run=script)
    config = folder / "opt-ml" / "input" / "config" / "hyperparameters.json"
    config.write_text(json.dumps({"sagemaker_program": '"run"', "depth": "3"}))
    engine.ensure(run_id, spec("train"))
    state, log = ended(engine, run_id)
    assert 'Command "/bin/sh -c "./run --depth 3""' in (state.failure or ""), log


STOPPABLE = """
import os, signal, sys, time
def stop(*_):
    open(os.environ["SM_MODEL_DIR"] + "/half", "w").write("half")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
open(os.environ["SM_OUTPUT_DATA_DIR"] + "/started", "w").close()
while True:
    signal.pause()
"""


def test_a_script_is_asked_to_stop_and_leaves_what_it_has(engine: ProcessEngine) -> None:
    run_id = train(engine, "stopped", STOPPABLE)
    opt_ml = engine.folder(run_id) / "opt-ml"
    deadline = time.monotonic() + DEADLINE
    while not (opt_ml / "output" / "data" / "started").exists():
        assert time.monotonic() < deadline
        engine.changed(0.02)
    engine.stop(run_id, 20)
    state, _ = ended(engine, run_id)
    assert state.exit_code == 0
    assert (opt_ml / "model" / "half").read_text() == "half"


def test_a_command_is_run_with_the_runtimes_python_and_its_code_is_the_jobs(engine: ProcessEngine) -> None:
    tell = "import sys; open('/opt/ml/model/made', 'w').close(); print(sys.prefix)"
    run_id = command(
        engine,
        "command",
        "/bin/sh",
        "-c",
        f'python3 -c "{tell}" && echo far > /opt/ml/output/failure; exit 6',
    )
    state, log = ended(engine, run_id)
    folder = engine.folder(run_id)
    assert state.exit_code == 6, log
    assert f"{folder.parent.parent}/runs/" in log
    assert (folder / "opt-ml" / "output" / "failure").read_text() == "far\n"
    assert (folder / "opt-ml" / "model" / "made").exists()


def test_all_that_a_command_started_is_asked_to_stop_and_awaited(engine: ProcessEngine) -> None:
    run_id = run_id_of("asked")
    code = engine.folder(run_id) / "opt-ml" / "code"
    code.mkdir(parents=True)
    (code / "wait.py").write_text(STOPPABLE)
    model = "SM_MODEL_DIR=/opt/ml/model SM_OUTPUT_DATA_DIR=/opt/ml/output/data"
    command(engine, "asked", "/bin/sh", "-c", f"{model} python3 /opt/ml/code/wait.py; true")
    opt_ml = engine.folder(run_id) / "opt-ml"
    deadline = time.monotonic() + DEADLINE
    while not (opt_ml / "output" / "data" / "started").exists():
        assert time.monotonic() < deadline, engine.log(run_id, 0, 9999)
        engine.changed(0.02)
    engine.stop(run_id, 20)
    state, log = ended(engine, run_id)
    assert state.exit_code == 143, log
    assert (opt_ml / "model" / "half").read_text() == "half"


LEAVING = """
import os, subprocess
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
open(os.environ["SM_MODEL_DIR"] + "/child", "w").write(str(child.pid))
"""


def test_nothing_that_a_script_started_outlives_it(engine: ProcessEngine) -> None:
    run_id = train(engine, "leaving", LEAVING)
    ended(engine, run_id)
    child = int((engine.folder(run_id) / "opt-ml" / "model" / "child").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


LOOKING = """
import os, sys
data = os.path.dirname(os.path.dirname(os.path.dirname(sys.argv[sys.argv.index("--folder") + 1])))
print("sees", sorted(os.listdir(data)) if os.path.isdir(data) else None)
"""


def test_a_script_sees_nothing_of_the_service(engine: ProcessEngine) -> None:
    run_id = run_id_of("looking")
    folder = str(engine.folder(run_id) / "opt-ml")
    _, log = ended(engine, train(engine, "looking", LOOKING, folder=json.dumps(folder)))
    if "allows no mounts" not in log:
        assert "sees ['runtimes']" in log


@pytest.fixture(scope="module")
def endpoint(engine: ProcessEngine) -> str:
    """The run id of an instance whose model multiplies."""
    return instance(engine, "factor", MODEL)


def instance(engine: ProcessEngine, name: str, script: str, **environment: str) -> str:
    """Start an instance whose model is a script; returns its run id."""
    run_id = f"endpoint/123456789012/eu-west-1/{name}/1/AllTraffic/0"
    archive(engine.folder(run_id) / "model.tar.gz", factor_json='{"factor": 2.5}', code__model_py=script)
    engine.ensure(run_id, spec("serve", SAGEMAKER_PROGRAM="model.py", **environment))
    return run_id


def ask(engine: ProcessEngine, run_id: str, body: bytes, kind: str, accept: str | None = None) -> AnswerFrame:
    state = until(engine, run_id, RunPhase.READY, RunPhase.EXITED)
    assert state.address is not None, (state, engine.log(run_id, 0, 9999))
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(DEADLINE)
        client.connect(state.address)
        client.sendall(encode(RequestFrame(1, body, kind, accept)))
        decoder = Decoder()
        while True:
            for frame in decoder.feed(client.recv(65536)):
                if isinstance(frame, AnswerFrame):
                    return frame


def test_a_serving_script_answers_with_the_frameworks_defaults_where_it_has_none(
    engine: ProcessEngine, endpoint: str
) -> None:
    told = ask(engine, endpoint, b"[1, 2]", "application/json; charset=utf-8")
    assert (told.status, told.content_type, told.body) == (200, "application/json", b"[2.5, 5.0]")
    rows = ask(engine, endpoint, b"[[1, 2], [3, 4]]", "application/json", "text/csv")
    assert (rows.content_type, rows.body) == ("text/csv", b"2.5,5.0\n7.5,10.0\n")
    array = ask(engine, endpoint, b"[4]", "application/json", "application/x-npy")
    assert np.load(io.BytesIO(array.body)).tolist() == [10.0]


def test_an_answer_that_cannot_be_given_says_whose_fault_it_is(engine: ProcessEngine, endpoint: str) -> None:
    answer = ask(engine, endpoint, b"[1]", "application/json", "image/png")
    assert answer.status == 406
    assert json.loads(answer.body)["error-message"].startswith("Accept type image/png is not supported")
    broken = ask(engine, endpoint, b"[1", "application/json")
    assert (broken.status, broken.content_type) == (500, "text/html")
    assert "JSONDecodeError" in engine.log(endpoint, 0, 100_000).decode()


def test_a_script_that_dies_spoils_one_answer_only(engine: ProcessEngine, endpoint: str) -> None:
    answer = ask(engine, endpoint, b"die", "application/json")
    assert answer.status == 500
    assert answer.body == b"The script's process ended with code 7 while it answered."
    assert ask(engine, endpoint, b"[1]", "application/json").body == b"[2.5]"


def test_a_script_that_gives_no_answer_is_ended(engine: ProcessEngine) -> None:
    run_id = instance(engine, "slow", MODEL, SAGEMAKER_MODEL_SERVER_TIMEOUT="1")
    answer = ask(engine, run_id, b"hang", "application/json")
    assert answer.body == b"The script gave no answer in 1 seconds and was ended."
    assert ask(engine, run_id, b"[1]", "application/json").body == b"[2.5]"


MEETING = """
import os, pathlib, time
def model_fn(model_dir):
    return pathlib.Path(model_dir).parent / "meeting"
def input_fn(body, content_type):
    return body
def predict_fn(data, folder):
    if data == "die":
        os._exit(7)
    folder.mkdir(exist_ok=True)
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + 10
    while len(list(folder.iterdir())) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    return len(list(folder.iterdir()))
"""


def test_as_many_processes_answer_at_a_time_as_there_should_be(engine: ProcessEngine) -> None:
    run_id = instance(engine, "crew", MEETING, SAGEMAKER_MODEL_SERVER_WORKERS="3")
    state = until(engine, run_id, RunPhase.READY, RunPhase.EXITED)
    assert state.address is not None, engine.log(run_id, 0, 9999)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(DEADLINE)
        client.connect(state.address)
        client.sendall(b"".join(encode(RequestFrame(i, b"[]", "application/json")) for i in (1, 2, 3)))
        decoder, answers = Decoder(), list[AnswerFrame]()
        while len(answers) < 3:
            answers += [one for one in decoder.feed(client.recv(65536)) if isinstance(one, AnswerFrame)]
    assert [answer.body for answer in answers] == [b"3", b"3", b"3"]
    assert ask(engine, run_id, b"die", "application/json").status == 500
    assert ask(engine, run_id, b"[]", "application/json").body == b"3"


ALONE = """
import socket
def model_fn(model_dir):
    return sorted(name for _, name in socket.if_nameindex())
def input_fn(body, content_type):
    return body
def predict_fn(data, model):
    return model
"""


def test_an_isolated_model_reaches_only_itself(engine: ProcessEngine) -> None:
    run_id = "endpoint/123456789012/eu-west-1/alone/1/AllTraffic/0"
    archive(engine.folder(run_id) / "model.tar.gz", code__model_py=ALONE)
    engine.ensure(run_id, replace(spec("serve", SAGEMAKER_PROGRAM="model.py"), isolated=True))
    assert ask(engine, run_id, b"[]", "application/json").body == b'["lo"]'


@pytest.mark.parametrize(
    ("name", "script", "reason"),
    [
        ("none", "x = 1\n", "NotImplementedError: Please provide a model_fn implementation."),
        (
            "mixed",
            f"{MODEL}\ndef transform_fn(model, body, content_type, accept): ...\n",
            "Cannot use transform_fn",
        ),
        ("raising", "def model_fn(model_dir): raise OSError('no such thing')\n", "OSError: no such thing"),
        ("exiting", "import os\nos._exit(3)\n", "ended with code 3 before it had loaded the model"),
    ],
)
def test_a_script_that_loads_no_model_says_why(
    engine: ProcessEngine, name: str, script: str, reason: str
) -> None:
    state = until(engine, instance(engine, name, script), RunPhase.EXITED)
    assert state.failure is not None
    assert reason in state.failure


def test_a_transform_job_asks_the_script_too(engine: ProcessEngine) -> None:
    run_id = "transform-job/123456789012/eu-west-1/script/0"
    folder = engine.folder(run_id)
    archive(folder / "model.tar.gz", factor_json='{"factor": 2}', code__model_py=MODEL)
    (folder / "input").mkdir()
    (folder / "input" / "000000").write_bytes(b"[1, 2]")
    request = {
        "TransformInput": {"ContentType": "application/json", "DataSource": {}},
        "TransformOutput": {"Accept": "application/json"},
    }
    objects = [TransformObject("s3://b/k.json", "input/000000", "output/000000")]
    (folder / "transform.json").write_text(json.dumps(TransformTask.of_request(request, objects).to_json()))
    engine.ensure(run_id, spec("transform", SAGEMAKER_PROGRAM="model.py"))
    state, log = ended(engine, run_id)
    assert state.exit_code == 0, log
    assert (folder / "output" / "000000").read_bytes() == b"[2, 4]"

"""Scripts with SageMaker's SDK 3.27, unmodified: `ModelTrainer` with `SourceCode`, `ModelBuilder`.

The first uploads drivers of its own and has the container run them: `/bin/bash -c …/sm_train.sh`; the second
puts the code beside the model in one archive.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.compat, pytest.mark.xdist_group("runtimes"), pytest.mark.timeout(600)]

Run = Callable[..., str]

START = """
import logging, os, sys, time, boto3, numpy
from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.parameter import CategoricalParameter
from sagemaker.core.resources import HyperParameterTuningJob, TrainingJob
from sagemaker.core.shapes import MetricDefinition
from sagemaker.core.training.configs import Compute, InputData, Networking, SourceCode
from sagemaker.serve import ModelBuilder
from sagemaker.train import ModelTrainer
from sagemaker.train.tuner import HyperparameterTuner
logging.basicConfig(level=logging.INFO, stream=sys.stdout, force=True)
session, role = Session(), os.environ["SAGEMAKER_ROLE_ARN"]
bucket, region, client = session.default_bucket(), session.boto_region_name, boto3.client("sagemaker")
x = numpy.random.default_rng(1).normal(size=(200, 3))
numpy.savetxt("train.csv", numpy.c_[x.sum(axis=1) > 0, x], delimiter=",")
numpy.savetxt("x.csv", x, delimiter=",")
data = InputData(channel_name="train", data_source=session.upload_data("train.csv", bucket, "v3-scripts"))
def served(builder, **request):
    builder.build()
    endpoint = builder.deploy(initial_instance_count=1, instance_type="ml.m5.large", wait=False)
    endpoint.wait_for_status("InService", poll=1)
    answer = endpoint.invoke(**request).body.read().decode()
    endpoint.delete()
    return answer
"""

SKLEARN = """
trainer = ModelTrainer(
    training_image=image_uris.retrieve("sklearn", region, "1.2-1", py_version="py3",
        instance_type="ml.m5.large"),
    source_code=SourceCode(source_dir="code", entry_script="train.py", requirements="needs.txt"),
    compute=Compute(instance_type="ml.m5.large", instance_count=1), role=role, base_job_name="v3-sklearn",
    hyperparameters={"depth": 3, "name": "a b"}, environment={"COLOUR": "blue"}, sagemaker_session=session,
).with_metric_definitions([MetricDefinition(name="accuracy", regex="accuracy=([0-9.]+)")])
trainer.train(input_data_config=[data], wait=True, logs=True)
job = TrainingJob.get(trainer._latest_training_job.training_job_name)
print("TRAINED", job.training_job_status, job.final_metric_data_list[0].value > 0.9)
print("COMMAND", *job.algorithm_specification.container_entrypoint,
    *job.algorithm_specification.container_arguments)
failing = trainer.model_copy(update={"hyperparameters": {"depth": -1, "name": "none"}})
try:
    failing.train(input_data_config=[data], wait=True, logs=False)
except Exception as error:
    print("REASON", str(error).replace("\\n", " "))
commanded = ModelTrainer(training_image=trainer.training_image, role=role, base_job_name="v3-command",
    source_code=SourceCode(source_dir="code", command="python stop.py"), sagemaker_session=session,
    compute=Compute(instance_type="ml.m5.large", instance_count=1))
commanded.train(wait=False)
name = commanded._latest_training_job.training_job_name
logs = boto3.client("logs")
while not logs.filter_log_events(logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=name,
        filterPattern="waiting")["events"]:
    time.sleep(0.1)
client.stop_training_job(TrainingJobName=name)
job = TrainingJob.get(name)
job.wait(poll=1)
print("STOPPED", job.training_job_status)
session.boto_session.client("s3").download_file(bucket,
    job.model_artifacts.s3_model_artifacts.removeprefix(f"s3://{bucket}/"), "half.tar.gz")
searching = ModelTrainer(training_image=trainer.training_image, role=role, base_job_name="v3-tuned",
    source_code=SourceCode(source_dir="code", entry_script="tune.py"), sagemaker_session=session,
    compute=Compute(instance_type="ml.m5.large", instance_count=1))
tuner = HyperparameterTuner(searching, "score", {"depth": CategoricalParameter([2, 4])}, strategy="Grid",
    metric_definitions=[{"Name": "score", "Regex": "score=([0-9.]+)"}], max_parallel_jobs=2)
tuner.tune(inputs=[data], wait=False)
tuning = HyperParameterTuningJob.get(tuner.latest_tuning_job.hyper_parameter_tuning_job_name)
tuning.wait(poll=1)
tuning.refresh()
print("TUNED", tuning.best_training_job.final_hyper_parameter_tuning_job_objective_metric.value)
builder = ModelBuilder(image_uri=trainer.training_image, role_arn=role, sagemaker_session=session,
    s3_model_data_url=trainer._latest_training_job.model_artifacts.s3_model_artifacts,
    source_code=SourceCode(source_dir="code", entry_script="serve.py"), instance_type="ml.m5.large")
print("SERVED", served(builder, body=open("x.csv").read(), content_type="text/csv", accept="text/csv"))
transformer = builder.transformer(1, "ml.m5.large", accept="text/csv", assemble_with="Line")
transformer.transform(session.upload_data("x.csv", bucket, "v3-scripts"), content_type="text/csv",
    split_type="Line", wait=True, logs=False)
"""

BUILT_IN = """
image = image_uris.retrieve("xgboost", region, "1.7-1")
trainer = ModelTrainer(training_image=image, role=role, base_job_name="v3-built-in",
    sagemaker_session=session, compute=Compute(instance_type="ml.m5.large", instance_count=1),
    hyperparameters={"objective": "binary:logistic", "num_round": 5})
data.content_type = "text/csv"
trainer.train(input_data_config=[data], wait=True, logs=False)
common = {"image_uri": image, "role_arn": role, "sagemaker_session": session, "instance_type": "ml.m5.large"}
trained = served(ModelBuilder(model=trainer, **common), body="1,2,3", content_type="text/csv")
artifact = trainer._latest_training_job.model_artifacts.s3_model_artifacts
given = served(ModelBuilder(s3_model_data_url=artifact, **common), body="1,2,3", content_type="text/csv")
print("ALIKE", trained == given, 0.5 < float(trained) < 1)
isolated = ModelBuilder(
    s3_model_data_url=artifact, network=Networking(enable_network_isolation=True), **common)
print("ISOLATED", served(isolated, body="1,2,3", content_type="text/csv") == given)
"""

TRAIN = """
import argparse, json, os, joblib, numpy, sklearn, wonderwords
from sklearn.ensemble import RandomForestClassifier
parser = argparse.ArgumentParser()
parser.add_argument("--depth", type=int)
parser.add_argument("--name")
arguments = parser.parse_args()
print("sklearn", sklearn.__version__, arguments.name, os.environ["COLOUR"], os.getuid() != 0)
data = numpy.loadtxt(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "train.csv"), delimiter=",")
model = RandomForestClassifier(max_depth=arguments.depth, random_state=1).fit(data[:, 1:], data[:, 0])
print(f"accuracy={model.score(data[:, 1:], data[:, 0])}")
joblib.dump(model, os.path.join(os.environ["SM_MODEL_DIR"], "model.joblib"))
"""

SERVE = """
import os, joblib
def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "model.joblib"))
"""

STOP = """
import os, signal, sys
def stop(*_):
    open("/opt/ml/model/half", "w").write("half")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("waiting", flush=True)
while True:
    signal.pause()
"""


def test_sklearn_trains_what_source_code_names(
    run: Run, interpreter: Callable[[str], Path], tmp_path: Path
) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "train.py").write_text(TRAIN)
    (code / "stop.py").write_text(STOP)
    (code / "serve.py").write_text(SERVE)
    (code / "tune.py").write_text("import sys\nprint(f'score={10 - abs(4 - int(sys.argv[2]))}')\n")
    (code / "needs.txt").write_text("wonderwords==2.2.0\n")
    output = run(interpreter("sdk3"), "-W", "ignore", "-c", START + SKLEARN)
    assert "sklearn 1.2.1 a b blue True" in output
    assert "TRAINED Completed True" in output
    assert "COMMAND /bin/bash -c chmod +x /opt/ml/input/data/sm_drivers/sm_train.sh && " in output
    assert "REASON" in output
    assert "returned non-zero exit status 1" in output.partition("REASON")[2]
    assert "STOPPED Stopped" in output
    assert "TUNED 10.0" in output
    assert (tmp_path / "half.tar.gz").stat().st_size > 0
    assert output.partition("SERVED ")[2].split()[0] in {"0.0", "1.0"}


def test_what_the_built_in_trained_is_served_by_a_model_builder(
    run: Run, interpreter: Callable[[str], Path]
) -> None:
    output = run(interpreter("sdk3"), "-W", "ignore", "-c", START + BUILT_IN)
    assert "ALIKE True True" in output
    assert "ISOLATED True" in output

"""The SageMaker Python SDK 2.x, unmodified."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.compat

Run = Callable[..., str]

ESTIMATOR = """
import os, sagemaker
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.serializers import CSVSerializer
session = sagemaker.Session()
bucket = session.default_bucket()
for name in ("train", "validation"):
    session.upload_data(f"{name}.csv", bucket, "sdk2")
image = sagemaker.image_uris.retrieve("xgboost", session.boto_region_name, "1.7-1")
estimator = Estimator(image, os.environ["SAGEMAKER_ROLE_ARN"], 1, "ml.m5.xlarge", sagemaker_session=session,
    hyperparameters={"objective": "binary:logistic", "num_round": 5, "eval_metric": "auc"})
estimator.fit({name: TrainingInput(f"s3://{bucket}/sdk2/{name}.csv", content_type="csv")
    for name in ("train", "validation")}, wait=True, logs=True)
attached = Estimator.attach(estimator.latest_training_job.name, sagemaker_session=session)
assert attached.model_data == estimator.model_data
model = estimator.create_model()
transformer = estimator.transformer(1, "ml.m5.large", assemble_with="Line", accept="text/csv")
transformer.transform(session.upload_data("test.csv", bucket, "sdk2"), content_type="text/csv",
    split_type="Line", wait=True, logs=True)
print("OUTPUT", transformer.output_path)
predictor = estimator.deploy(1, "ml.m5.large", serializer=CSVSerializer(), wait=False)
session.wait_for_endpoint(predictor.endpoint_name, poll=1)
print("PREDICTED", predictor.predict(open("test.csv").read().splitlines()[0]).decode())
predictor.update_endpoint(initial_instance_count=2, instance_type="ml.m5.xlarge", wait=False)
session.wait_for_endpoint(predictor.endpoint_name, poll=1)
predictor.delete_model()
predictor.delete_endpoint()
print("MONITORS", predictor.list_monitors())
"""

TUNER = """
import os, sagemaker
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.tuner import ContinuousParameter, HyperparameterTuner, IntegerParameter
session = sagemaker.Session()
bucket = session.default_bucket()
channels = {name: TrainingInput(session.upload_data(f"{name}.csv", bucket, "tuner"), content_type="csv")
    for name in ("train", "validation")}
image = sagemaker.image_uris.retrieve("xgboost", session.boto_region_name, "1.7-1")
estimator = Estimator(image, os.environ["SAGEMAKER_ROLE_ARN"], 1, "ml.m5.xlarge", sagemaker_session=session,
    hyperparameters={"objective": "binary:logistic", "num_round": 5})
ranges = {"eta": ContinuousParameter(0.1, 0.5, "Logarithmic"), "max_depth": IntegerParameter(1, 9)}
tuner = HyperparameterTuner(estimator, "validation:auc", ranges, max_jobs=5, max_parallel_jobs=3,
    base_tuning_job_name="attached")
tuner.fit(channels, wait=True)
frame = tuner.analytics().dataframe()
print("ROWS", len(frame), frame["TrainingJobStatus"].unique()[0])
best = frame.sort_values("FinalObjectiveValue")["TrainingJobName"].iloc[-1]
assert best == tuner.best_training_job()
attached = HyperparameterTuner.attach(tuner.latest_tuning_job.name, sagemaker_session=session)
assert attached.best_training_job() == best
assert attached.best_estimator().model_data == tuner.best_estimator().model_data
warm = tuner.identical_dataset_and_algorithm_tuner()
warm.fit(channels, job_name="warm-" + tuner.latest_tuning_job.name[-20:], wait=True)
print("OVERALL", warm.describe()["OverallBestTrainingJob"]["TuningJobName"])
"""

IDENTITY = """
import boto3, sagemaker
session = sagemaker.Session()
print(sagemaker.get_execution_role(session))
"""


def test_the_demo_runs_the_whole_tutorial(interpreter: Callable[[str], Path], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sagestead", "demo", "--python", str(interpreter("sdk2"))]
    command += ["--plots", str(tmp_path / "plots")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "12 trials, validation:auc 0.8" in done.stdout or "12 trials, validation:auc 0.9" in done.stdout
    assert "500 of 500 identical in every digit" in done.stdout
    for name in ("objective.png", "search-space.png"):
        assert (tmp_path / "plots" / name).read_bytes().startswith(b"\x89PNG")
    assert "Delete everything again" in done.stdout


def test_estimator_transformer_and_predictor(
    run: Run, interpreter: Callable[[str], Path], hotels: object, tmp_path: Path
) -> None:
    for name in ("train", "validation", "test"):
        (tmp_path / f"{name}.csv").write_bytes(getattr(hotels, name))
    said = run(interpreter("sdk2"), "-W", "ignore", "-c", ESTIMATOR)
    assert "[0]#011train-auc:" in said
    assert "Training job completed" in said or "Completed" in said
    predicted = said.split("PREDICTED ")[1].split()[0]
    assert 0.0 < float(predicted) < 1.0
    assert "MONITORS []" in said


def test_hyperparameter_tuner(
    run: Run, interpreter: Callable[[str], Path], hotels: object, tmp_path: Path
) -> None:
    for name in ("train", "validation"):
        (tmp_path / f"{name}.csv").write_bytes(getattr(hotels, name))
    said = run(interpreter("sdk2"), "-W", "ignore", "-c", TUNER)
    assert "ROWS 5 Completed" in said
    assert "OVERALL " in said


def test_get_execution_role_with_the_shim(
    run: Run, interpreter: Callable[[str], Path], environment: dict[str, str]
) -> None:
    data = Path(environment["SAGEMAKER_USER_CONFIG_OVERRIDE"]).parents[1]
    command = [sys.executable, "-m", "sagestead", "env", "--shim", "--data", str(data)]
    exported = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    path = exported.split("PYTHONPATH=")[1].strip()
    said = run(interpreter("sdk2"), "-W", "ignore", "-c", IDENTITY, PYTHONPATH=path)
    assert said.splitlines()[-1] == environment["SAGEMAKER_ROLE_ARN"]

"""Script mode with the SageMaker Python SDK 2.x, unmodified. Runtimes are built from the package index."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.compat, pytest.mark.xdist_group("runtimes"), pytest.mark.timeout(600)]

Run = Callable[..., str]

SKLEARN = """
import os, sys, boto3, numpy, sagemaker
from sagemaker.sklearn import SKLearn, SKLearnModel
session, role = sagemaker.Session(), os.environ["SAGEMAKER_ROLE_ARN"]
bucket = session.default_bucket()
x = numpy.random.default_rng(1).normal(size=(200, 3))
y = (x.sum(axis=1) > 0).astype(int)
numpy.savetxt("train.csv", numpy.c_[y, x], delimiter=",")
numpy.savetxt("x.csv", x, delimiter=",")
channel = session.upload_data("train.csv", bucket, "script")
common = {"role": role, "source_dir": "code", "framework_version": "1.2-1", "sagemaker_session": session}
estimator = SKLearn("train.py", instance_type="ml.m5.large", hyperparameters={"depth": 3},
    dependencies=["extra"], metric_definitions=[{"Name": "accuracy", "Regex": "accuracy=([0-9.]+)"}],
    **common)
estimator.fit({"train": channel}, wait=True, logs=True)
job = estimator.latest_training_job.name
described = boto3.client("sagemaker").describe_training_job(TrainingJobName=job)
print("METRIC", described["FinalMetricDataList"][0]["Value"])
failing = SKLearn("train.py", instance_type="ml.m5.large", hyperparameters={"depth": -1}, **common)
try:
    failing.fit({"train": channel}, logs="None")
except sagemaker.exceptions.UnexpectedStatusException as error:
    print("REASON", str(error).replace("\\n", " "))
attached = SKLearn.attach(job, sagemaker_session=session)
assert attached.model_data == estimator.model_data
transformer = attached.transformer(1, "ml.m5.large", accept="text/csv", assemble_with="Line")
transformer.transform(session.upload_data("x.csv", bucket, "script"), content_type="text/csv",
    split_type="Line", wait=True, logs=False)
model = SKLearnModel(estimator.model_data, entry_point="serve.py", **common)
predictor = model.deploy(1, "ml.m5.large", wait=False)
session.wait_for_endpoint(predictor.endpoint_name, poll=1)
print("PREDICTED", predictor.predict(x[:4]).tolist(), y[:4].tolist())
predictor.delete_endpoint()
"""

TRAIN = """
import argparse, os, joblib, numpy, sklearn
from sklearn.ensemble import RandomForestClassifier
import wonderwords
from extra import words
def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "model.joblib"))
if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--depth", type=int)
    parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN"))
    arguments = parser.parse_args()
    print(words.GREETING, sklearn.__version__)
    data = numpy.loadtxt(os.path.join(arguments.train, "train.csv"), delimiter=",")
    model = RandomForestClassifier(max_depth=arguments.depth, random_state=1).fit(data[:, 1:], data[:, 0])
    print(f"accuracy={model.score(data[:, 1:], data[:, 0])}")
    joblib.dump(model, os.path.join(os.environ["SM_MODEL_DIR"], "model.joblib"))
"""

SERVE = """
import os, joblib
def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "model.joblib"))
"""

XGBOOST = """
import os, numpy, sagemaker
from sagemaker.serializers import CSVSerializer, LibSVMSerializer
from sagemaker.xgboost import XGBoost, XGBoostModel
session, role = sagemaker.Session(), os.environ["SAGEMAKER_ROLE_ARN"]
x = numpy.random.default_rng(1).normal(size=(200, 3))
numpy.savetxt("train.csv", numpy.c_[x.sum(axis=1) > 0, x], delimiter=",")
channel = session.upload_data("train.csv", session.default_bucket(), "xgboost")
estimator = XGBoost("train.py", source_dir="code", role=role, instance_type="ml.m5.large", instance_count=1,
    framework_version="3.0-5", hyperparameters={"rounds": 5}, sagemaker_session=session)
estimator.fit({"train": channel}, wait=True, logs=True)
predictor = estimator.deploy(1, "ml.m5.large", serializer=CSVSerializer(), wait=False)
session.wait_for_endpoint(predictor.endpoint_name, poll=1)
print("PREDICTED", predictor.predict(x[:3]))
predictor.delete_endpoint()
model = XGBoostModel(estimator.model_data, role, "train.py", "3.0-5", source_dir="code",
    sagemaker_session=session)
predictor = model.deploy(1, "ml.m5.large", serializer=LibSVMSerializer(), wait=False)
session.wait_for_endpoint(predictor.endpoint_name, poll=1)
print("SPARSE", predictor.predict("1 0:1.0 2:3.0"))
predictor.delete_endpoint()
"""

XGBOOST_TRAIN = """
import argparse, os, numpy, xgboost
def model_fn(model_dir):
    booster = xgboost.Booster()
    booster.load_model(os.path.join(model_dir, "model.json"))
    return booster
if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int)
    rounds = parser.parse_args().rounds
    data = numpy.loadtxt(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "train.csv"), delimiter=",")
    matrix = xgboost.DMatrix(data[:, 1:], label=data[:, 0])
    booster = xgboost.train({"objective": "binary:logistic"}, matrix, rounds, evals=[(matrix, "train")])
    booster.save_model(os.path.join(os.environ["SM_MODEL_DIR"], "model.json"))
"""


def test_sklearn_is_trained_deployed_and_transformed_by_scripts(
    run: Run, interpreter: Callable[[str], Path], tmp_path: Path
) -> None:
    code, extra = tmp_path / "code", tmp_path / "extra"
    code.mkdir()
    extra.mkdir()
    (code / "train.py").write_text(TRAIN)
    (code / "serve.py").write_text(SERVE)
    (code / "requirements.txt").write_text("wonderwords==2.2.0\n")
    (extra / "words.py").write_text('GREETING = "sklearn is"\n')
    (tmp_path / "go.py").write_text(SKLEARN)
    output = run(interpreter("sdk2"), "go.py", cwd=tmp_path)
    assert "sklearn is 1.2.1" in output
    assert "Successfully installed wonderwords-2.2.0" in output
    assert "METRIC 0.9" in output
    assert "AlgorithmError: ExecuteUserScriptError: ExitCode 1 ErrorMessage" in output
    predicted, true = output.partition("PREDICTED [")[2].partition("] [")[::2]
    assert [float(one) for one in predicted.split(",")] == [
        float(one) for one in true.split("]")[0].split(",")
    ]


def test_xgboost_is_trained_and_deployed_by_scripts(
    run: Run, interpreter: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text(XGBOOST_TRAIN)
    (tmp_path / "go.py").write_text(XGBOOST)
    output = run(interpreter("sdk2"), "go.py", cwd=tmp_path)
    assert "[4]#011train-logloss:" in output
    assert output.partition("PREDICTED ")[2].startswith("[['0.")
    assert "SPARSE" in output

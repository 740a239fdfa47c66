"""The processors of the SageMaker Python SDK 2.x, unmodified, in runtimes built from the package index."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.compat, pytest.mark.xdist_group("runtimes"), pytest.mark.timeout(600)]

Run = Callable[..., str]

PROGRAM = """
import argparse, pathlib, sklearn
import pandas as pd
from sklearn.model_selection import train_test_split
parser = argparse.ArgumentParser()
parser.add_argument("--share", type=float)
share = parser.parse_args().share
root = pathlib.Path("/opt/ml/processing")
train, test = train_test_split(pd.read_csv(root / "input" / "rows.csv"), test_size=share, random_state=1)
train.to_csv(root / "train" / "train.csv", index=False)
test.to_csv(root / "test" / "test.csv", index=False)
print("split with scikit-learn", sklearn.__version__)
"""

PROCESSORS = """
import os, sagemaker
from sagemaker.processing import (
    FrameworkProcessor, ProcessingInput, ProcessingJob, ProcessingOutput, ScriptProcessor)
from sagemaker.s3 import S3Downloader
from sagemaker.sklearn import SKLearn
from sagemaker.sklearn.processing import SKLearnProcessor
from sagemaker.xgboost import XGBoost
from sagemaker.xgboost.processing import XGBoostProcessor

session = sagemaker.Session()
role = os.environ["SAGEMAKER_ROLE_ARN"]
common = dict(role=role, instance_count=1, instance_type="ml.m5.large", sagemaker_session=session)
given = lambda: dict(
    inputs=[ProcessingInput(source="rows.csv", destination="/opt/ml/processing/input")],
    outputs=[ProcessingOutput(output_name=name, source=f"/opt/ml/processing/{name}")
        for name in ("train", "test")],
    arguments=["--share", "0.25"], wait=True, logs=True)

def check(processor):
    job = processor.latest_job
    for output, count in zip(job.outputs, (7, 3)):
        (name,) = S3Downloader.list(output.destination, sagemaker_session=session)
        assert len(S3Downloader.read_file(name, sagemaker_session=session).splitlines()) == count + 1, name
    again = ProcessingJob.from_processing_name(session, job.job_name)
    assert [one.destination for one in again.outputs] == [one.destination for one in job.outputs]
    assert job.describe()["ProcessingJobStatus"] == "Completed"

sklearn = SKLearnProcessor(framework_version="1.2-1", env={"COLOUR": "blue"}, **common)
sklearn.run(code="program.py", **given())
check(sklearn)

script = ScriptProcessor(command=["python3"], image_uri=sklearn.image_uri, **common)
script.run(code="program.py", **given())
check(script)

framework = FrameworkProcessor(SKLearn, framework_version="1.2-1", **common)
framework.run(code="program.py", source_dir="source", **given())
check(framework)

xgboost = XGBoostProcessor(framework_version="1.7-1", **common)
xgboost.run(code="program.py", source_dir="source", **given())
check(xgboost)

script.run(code="endless.py", wait=False)
script.latest_job.stop()
session.wait_for_processing_job(script.latest_job.job_name, poll=1)
assert script.latest_job.describe()["ProcessingJobStatus"] == "Stopped"
print("ALL PROCESSED")
"""


def test_processors(run: Run, interpreter: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n" + "".join(f"{n},{n * n}\n" for n in range(10)))
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "endless.py").write_text("import threading\nthreading.Event().wait()\n")
    source = tmp_path / "source"
    source.mkdir()
    (source / "program.py").write_text(f"import inflection\n{PROGRAM}")
    (source / "requirements.txt").write_text("inflection==0.5.1\n")
    said = run(interpreter("sdk2"), "-c", PROCESSORS)
    assert "ALL PROCESSED" in said
    assert said.count("split with scikit-learn 1.2.1") == 4

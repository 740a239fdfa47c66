"""The SDK's analytics: curves of training jobs, and trials of tuning jobs, as data frames."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.compat

Run = Callable[..., str]

CURVES = """
import os, sagemaker
from sagemaker.analytics import HyperparameterTuningJobAnalytics, TrainingJobAnalytics
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.tuner import ContinuousParameter, HyperparameterTuner
session = sagemaker.Session()
bucket = session.default_bucket()
channels = {name: TrainingInput(session.upload_data(f"{name}.csv", bucket, "curves"), content_type="csv")
    for name in ("train", "validation")}
image = sagemaker.image_uris.retrieve("xgboost", session.boto_region_name, "1.7-1")
estimator = Estimator(image, os.environ["SAGEMAKER_ROLE_ARN"], 1, "ml.m5.xlarge", sagemaker_session=session,
    hyperparameters={"objective": "binary:logistic", "num_round": 10, "eval_metric": "auc"})
estimator.fit(channels)
name = estimator.latest_training_job.name
curve = TrainingJobAnalytics(name, ["train:auc", "validation:auc"], sagemaker_session=session)
frame = curve.dataframe()
assert list(frame.columns) == ["timestamp", "metric_name", "value"], frame
assert set(frame["metric_name"]) == {"train:auc", "validation:auc"}, frame
assert frame["value"].between(0.5, 1).all(), frame
fine = TrainingJobAnalytics(name, ["validation:auc"], sagemaker_session=session, period=1).dataframe()
assert 1 <= len(fine) <= 10, fine
every = estimator.training_job_analytics.dataframe()
last = estimator.latest_training_job.describe()["FinalMetricDataList"]
final = {one["MetricName"]: one["Value"] for one in last}
assert set(every["metric_name"]) == set(final), every
print("CURVE", sorted(final))
tuner = HyperparameterTuner(estimator, "validation:auc", {"eta": ContinuousParameter(0.1, 0.5)},
    max_jobs=3, max_parallel_jobs=3, base_tuning_job_name="curves")
tuner.fit(channels, wait=True)
analytics = HyperparameterTuningJobAnalytics(tuner.latest_tuning_job.name, sagemaker_session=session)
trials = analytics.dataframe()
assert len(trials) == 3 and trials["TrainingElapsedTimeSeconds"].ge(0).all(), trials
assert analytics.tuning_ranges["eta"]["MaxValue"] == "0.5"
best = trials.sort_values("FinalObjectiveValue").iloc[-1]
curve = TrainingJobAnalytics(best["TrainingJobName"], ["ObjectiveMetric"], session, period=1)
assert abs(curve.dataframe()["value"].max() - best["FinalObjectiveValue"]) < 0.2
print("TRIALS", len(trials))
"""


def test_curves_and_trials_are_data_frames(
    run: Run, interpreter: Callable[[str], Path], hotels: object, tmp_path: Path
) -> None:
    for name in ("train", "validation"):
        (tmp_path / f"{name}.csv").write_bytes(getattr(hotels, name))
    said = run(interpreter("sdk2"), "-W", "ignore", "-c", CURVES)
    assert "CURVE ['train:auc', 'validation:auc']" in said
    assert "TRIALS 3" in said

"""SageMaker's SDK 3.27, unmodified: `ModelTrainer`, `HyperparameterTuner`, transform jobs, resources.

Its resources are pydantic models: an answer that lacks a required member, or has an empty structure where
AWS has none, is refused by the client.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.compat

SCRIPT = """
import logging, os, sys
from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.parameter import ContinuousParameter, IntegerParameter
from sagemaker.core.resources import (Endpoint, EndpointConfig, HyperParameterTuningJob, Model, TrainingJob,
    TransformJob)
from sagemaker.core.shapes import (ContainerDefinition, ProductionVariant, TransformDataSource,
    TransformInput, TransformOutput, TransformResources, TransformS3DataSource)
from sagemaker.core.transformer import Transformer
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData
from sagemaker.train.tuner import HyperparameterTuner
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
session = Session()
bucket, role = session.default_bucket(), os.environ["SAGEMAKER_ROLE_ARN"]
inputs = [InputData(channel_name=name, content_type="text/csv",
    data_source=session.upload_data(f"{name}.csv", bucket, "v3")) for name in ("train", "validation")]
image = image_uris.retrieve("xgboost", session.boto_region_name, "1.7-1")
trainer = ModelTrainer(training_image=image, role=role, base_job_name="trainer", sagemaker_session=session,
    compute=Compute(instance_type="ml.m5.large", instance_count=1),
    hyperparameters={"objective": "binary:logistic", "num_round": 5, "eval_metric": "auc"})
trainer.train(input_data_config=inputs, wait=True, logs=True)
job = TrainingJob.get(trainer._latest_training_job.training_job_name)
metrics = {one.metric_name for one in job.final_metric_data_list}
print("TRAINED", job.training_job_status, job.secondary_status, "validation:auc" in metrics)
tuner = HyperparameterTuner(trainer, "validation:auc",
    {"eta": ContinuousParameter(0.1, 0.5, "Logarithmic"), "max_depth": IntegerParameter(2, 6)},
    max_jobs=3, max_parallel_jobs=2)
tuner.tune(inputs=inputs, wait=False)
tuning = HyperParameterTuningJob.get(tuner.latest_tuning_job.hyper_parameter_tuning_job_name)
tuning.wait(poll=1)
frame = tuner.analytics().dataframe()
best = tuner.best_training_job()
print("TUNED", len(frame), frame["TrainingJobStatus"].unique()[0], best in set(frame["TrainingJobName"]))
listed = list(tuning.get_all_training_jobs())
assert len(listed) == 3, listed
assert any(one.training_job_name == best for one in TrainingJob.get_all())
assert [one.hyper_parameter_tuning_job_name for one in HyperParameterTuningJob.get_all()][0] \\
    == tuning.hyper_parameter_tuning_job_name
Model.create(model_name="v3", execution_role_arn=role, primary_container=ContainerDefinition(
    image=image, model_data_url=TrainingJob.get(best).model_artifacts.s3_model_artifacts))
assert next(iter(Model.get_all())).model_name == "v3"
data = session.upload_data("test.csv", bucket, "v3")
transform = TransformJob.create(transform_job_name="v3", model_name="v3",
    transform_input=TransformInput(content_type="text/csv", split_type="Line",
        data_source=TransformDataSource(s3_data_source=TransformS3DataSource(
            s3_data_type="S3Prefix", s3_uri=data))),
    transform_output=TransformOutput(s3_output_path=f"s3://{bucket}/v3/out", assemble_with="Line"),
    transform_resources=TransformResources(instance_type="ml.m5.large", instance_count=1))
transform.wait(poll=1, logs=True)
batch = session.read_s3_file(bucket, "v3/out/test.csv.out").split()
transformer = Transformer("v3", 1, "ml.m5.large", assemble_with="Line", output_path=f"s3://{bucket}/v3/again",
    sagemaker_session=session)
transformer.transform(data, content_type="text/csv", split_type="Line", wait=True, logs=False)
assert session.read_s3_file(bucket, "v3/again/test.csv.out").split() == batch
assert len(list(TransformJob.get_all())) >= 2
EndpointConfig.create(endpoint_config_name="v3", production_variants=[ProductionVariant(
    variant_name="AllTraffic", model_name="v3", instance_type="ml.m5.large", initial_instance_count=1)])
endpoint = Endpoint.create(endpoint_name="v3", endpoint_config_name="v3")
endpoint.wait_for_status("InService", poll=1)
answer = endpoint.invoke(body=open("test.csv").read(), content_type="text/csv", accept="text/csv")
online = answer.body.read().decode().split()
print("PREDICTED", len(online), "of", len(batch), "identical", online == batch)
endpoint.update()
endpoint.wait_for_status("InService", poll=1)
endpoint.delete()
endpoint.wait_for_delete(poll=1)
EndpointConfig.get("v3").delete()
Model.get("v3").delete()
"""


def test_train_tune_transform_and_serve(
    run: Callable[..., str], interpreter: Callable[[str], Path], hotels: object, tmp_path: Path
) -> None:
    for name in ("train", "validation", "test"):
        (tmp_path / f"{name}.csv").write_bytes(getattr(hotels, name))
    said = run(interpreter("sdk3"), "-W", "ignore", "-c", SCRIPT)
    assert "[0]#011train-auc:" in said
    assert "TRAINED Completed Completed True" in said
    assert "TUNED 3 Completed True" in said
    assert "PREDICTED 500 of 500 identical True" in said

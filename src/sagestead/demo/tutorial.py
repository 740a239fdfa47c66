"""The SageMaker tutorial with the unmodified SageMaker Python SDK 2.x.

Runs in the SDK's own environment and imports nothing of Sagestead: an ordinary client. The arguments are
the CSV file and a folder to write to, also the plots. Each line of standard output is a JSON object that says
how far it is.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

STEPS = (
    "Open a session",
    "Prepare the hotel bookings",
    "Upload the data",
    "Train a model",
    "Tune it",
    "Draw the search",
    "Register and approve the best",
    "Predict the test set in batch",
    "Deploy from the registry",
    "Predict in real time",
    "Compare",
    "Delete everything again",
)
ROWS_SHOWN = 5
ROWS_COMPARED = 500
IMAGE_VERSION = "1.7-1"
OBJECTIVE = "validation:auc"
TRIALS = 12
AT_ONCE = 2
LOOK = 0.2  # seconds between two looks at what is under way; the SDK looks every 5 or 30


def say(**event: object) -> None:
    """Write one event line."""
    sys.__stdout__.write(json.dumps(event) + "\n") if sys.__stdout__ else None
    sys.__stdout__.flush() if sys.__stdout__ else None


@contextlib.contextmanager
def step(number: int) -> Iterator[dict[str, str]]:
    """Time one step; what the block puts into the dictionary's `detail` is shown beside it."""
    say(step=number, name=STEPS[number], state="start")
    begun = time.perf_counter()
    note: dict[str, str] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        yield note
    seconds = time.perf_counter() - begun
    say(step=number, name=STEPS[number], state="done", seconds=seconds, detail=note.get("detail", ""))


def prepare(csv: Path, folder: Path) -> dict[str, Path]:
    """Write train, validation and test files: label first, no header, one column a category."""
    import pandas as pd  # noqa: PLC0415 - only the client's environment has it

    hotels = pd.read_csv(csv)
    label = (hotels.pop("children") != "none").astype(int)
    hotels["arrival_month"] = hotels.pop("arrival_date").str[5:7]
    for name in hotels.select_dtypes("object"):
        usual = hotels[name].value_counts().index[:8]
        hotels[name] = hotels[name].where(hotels[name].isin(usual), "other")
    table = pd.concat([label, pd.get_dummies(hotels, dtype=int)], axis=1).sample(frac=1.0, random_state=28)
    first, second = int(len(table) * 0.7), int(len(table) * 0.85)
    parts = {
        "train": table[:first],
        "validation": table[first:second],
        "test": table[second:].drop(columns="children"),
    }
    files = {}
    for name, part in parts.items():
        files[name] = folder / f"hotels_{name}.csv"
        part.to_csv(files[name], header=False, index=False)
    return files


class Tutorial:
    """The steps, each a method; what one makes the next uses."""

    def __init__(self, csv: Path, folder: Path) -> None:
        self.csv = csv
        self.folder = folder
        self.stamp = time.strftime("%Y-%m-%d-%H-%M-%S")
        self.role = os.environ["SAGEMAKER_ROLE_ARN"]
        self.session: Any = None
        self.prefix = f"hotels-{self.stamp}"

    def run(self) -> None:
        """Take all steps."""
        work = (
            self.open, self.make_files, self.upload, self.train, self.tune, self.draw, self.register,
            self.transform, self.deploy, self.predict, self.compare, self.delete,
        )  # fmt: skip
        for number, action in enumerate(work):
            with step(number) as note:
                note["detail"] = action()

    def open(self) -> str:
        """Import the SDK and make the default bucket."""
        import sagemaker  # noqa: PLC0415 - timed, as a user waits for it

        self.sagemaker = sagemaker
        self.session = sagemaker.Session()
        self.bucket = self.session.default_bucket()
        self.session._create_s3_bucket_if_it_does_not_exist(  # noqa: SLF001 - the SDK's own way
            self.bucket, self.session.boto_region_name
        )
        return f"SDK {sagemaker.__version__}, bucket {self.bucket}"

    def make_files(self) -> str:
        """Split and encode the bookings."""
        self.files = prepare(self.csv, self.folder)
        self.rows = self.files["test"].read_text().splitlines()
        return f"{self.rows[0].count(',') + 1} features, {len(self.rows)} rows to predict"

    def upload(self) -> str:
        """Upload the three files."""
        uri = f"s3://{self.bucket}/{self.prefix}/data"
        upload = self.sagemaker.s3.S3Uploader.upload
        self.uris = {
            name: upload(str(file), uri, sagemaker_session=self.session) for name, file in self.files.items()
        }
        return uri

    def train(self) -> str:
        """Train the built-in XGBoost and wait for the end."""
        self.estimator = self.sagemaker.estimator.Estimator(
            image_uri=self.sagemaker.image_uris.retrieve(
                "xgboost", self.session.boto_region_name, IMAGE_VERSION
            ),
            role=self.role,
            instance_count=1,
            instance_type="ml.m5.4xlarge",
            output_path=f"s3://{self.bucket}/{self.prefix}/models",
            base_job_name="hotels-xgb",
            sagemaker_session=self.session,
        )
        self.estimator.set_hyperparameters(
            objective="binary:logistic", eval_metric="auc", num_round=50, early_stopping_rounds=20,
            eta=0.1, max_depth=6, subsample=0.8, seed=1,
        )  # fmt: skip
        self.inputs = {
            name: self.sagemaker.inputs.TrainingInput(self.uris[name], content_type="csv")
            for name in ("train", "validation")
        }
        self.estimator.fit(self.inputs, wait=False)
        job = self.estimator.latest_training_job.name
        self.session.wait_for_job(job, poll=LOOK)
        metrics = self.session.describe_training_job(job)["FinalMetricDataList"]
        return ", ".join(
            f"{m['MetricName']} {m['Value']:.4f}" for m in metrics if m["MetricName"].endswith(":auc")
        )

    def tune(self) -> str:
        """Try other hyperparameters around the same estimator, and take the best trial."""
        from sagemaker.tuner import (  # noqa: PLC0415 - only the client's environment has it
            ContinuousParameter,
            HyperparameterTuner,
            IntegerParameter,
        )

        tuner = HyperparameterTuner(
            self.estimator,
            OBJECTIVE,
            {
                "eta": ContinuousParameter(0.05, 0.5, "Logarithmic"),
                "max_depth": IntegerParameter(2, 8),
                "num_round": IntegerParameter(10, 50),
            },
            max_jobs=TRIALS,
            max_parallel_jobs=AT_ONCE,
            base_tuning_job_name="hotels",
        )
        tuner.fit(self.inputs, wait=False)
        self.watch(tuner.latest_tuning_job.name)
        self.session.wait_for_tuning_job(tuner.latest_tuning_job.name, poll=LOOK)
        self.trials = tuner.analytics().dataframe()
        self.best = tuner.best_training_job()  # best_estimator() would sleep for five seconds
        values = self.trials["FinalObjectiveValue"]
        return f"{len(values)} trials, {OBJECTIVE} {values.min():.4f} to {values.max():.4f}"

    def watch(self, name: str) -> None:
        """Say how many trials have ended, until all have."""
        ended = 0
        while ended < TRIALS:
            listed = self.session.sagemaker_client.list_training_jobs_for_hyper_parameter_tuning_job(
                HyperParameterTuningJobName=name, MaxResults=100
            )["TrainingJobSummaries"]
            ended = sum(one["TrainingJobStatus"] in {"Completed", "Failed", "Stopped"} for one in listed)
            say(part=ended, parts=TRIALS)
            time.sleep(LOOK)

    def draw(self) -> str:
        """Draw the objective over time and the search space, each as a PNG."""
        table = self.folder / "trials.csv"
        self.trials.to_csv(table, index=False)
        program = Path(__file__).with_name("draw.py")
        subprocess.run([sys.executable, program, table, OBJECTIVE, self.folder], check=True)  # noqa: S603 - ours
        return "objective.png, search-space.png"

    def register(self) -> str:
        """Register the best trial's model as the first version of a group, approved."""
        artifacts = self.session.describe_training_job(self.best)["ModelArtifacts"]
        model = self.sagemaker.model.Model(
            self.estimator.image_uri, artifacts["S3ModelArtifacts"], self.role, sagemaker_session=self.session
        )
        self.package = model.register(
            content_types=["text/csv"], response_types=["text/csv"],
            inference_instances=["ml.m5.large"], transform_instances=["ml.m5.large"],
            model_package_group_name=self.prefix, approval_status="Approved",
        )  # fmt: skip
        return str(self.package.model_package_arn).rpartition(":")[2]

    def transform(self) -> str:
        """Predict the test set in batch, and download the output."""
        output = f"s3://{self.bucket}/{self.prefix}/predictions"
        transformer = self.package.transformer(
            1, "ml.m5.large", strategy="MultiRecord", assemble_with="Line", output_path=output
        )
        self.models = [transformer.model_name]
        transformer.transform(self.uris["test"], content_type="text/csv", split_type="Line", wait=False)
        self.session.wait_for_transform_job(transformer.latest_transform_job.name, poll=LOOK)
        self.sagemaker.s3.S3Downloader.download(output, str(self.folder), sagemaker_session=self.session)
        self.batch = (self.folder / "hotels_test.csv.out").read_text().split()
        return f"{len(self.batch)} predictions"

    def deploy(self) -> str:
        """Deploy the approved version, and wait until the endpoint serves."""
        self.endpoint = f"hotels-{self.stamp}"
        self.package.deploy(1, "ml.m5.large", endpoint_name=self.endpoint, wait=False)
        self.models.append(self.package.name)
        self.session.wait_for_endpoint(self.endpoint, poll=LOOK)
        return self.endpoint

    def predict(self) -> str:
        """Ask the endpoint for the first rows of the test set."""
        predictor = self.sagemaker.predictor.Predictor(
            self.endpoint, self.session,
            serializer=self.sagemaker.serializers.CSVSerializer(),
            deserializer=self.sagemaker.deserializers.CSVDeserializer(),
        )  # fmt: skip
        answer = predictor.predict("\n".join(self.rows[:ROWS_COMPARED]))
        self.online = [row[0] for row in answer]
        return f"{len(self.online)} predictions"

    def compare(self) -> str:
        """Hold real time against batch, digit by digit."""
        batch = self.batch[: len(self.online)]
        say(table=[list(pair) for pair in zip(self.online, batch, strict=True)][:ROWS_SHOWN])
        if self.online != batch:
            raise SystemExit("real-time and batch predictions differ")
        return f"{len(batch)} of {len(batch)} identical in every digit"

    def delete(self) -> str:
        """Delete endpoint, configuration, models, group and data."""
        client = self.session.sagemaker_client
        self.session.delete_endpoint(self.endpoint)
        self.session.delete_endpoint_config(self.endpoint)
        for model in set(self.models):
            self.session.delete_model(model)
        client.delete_model_package(ModelPackageName=self.package.model_package_arn)
        client.delete_model_package_group(ModelPackageGroupName=self.prefix)
        bucket = self.session.boto_session.resource("s3").Bucket(self.bucket)
        bucket.objects.filter(Prefix=self.prefix).delete()
        return "endpoint, configuration, models, package, group, objects"


if __name__ == "__main__":
    say(steps=STEPS)
    Tutorial(Path(sys.argv[1]), Path(sys.argv[2])).run()

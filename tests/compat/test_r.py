"""R through reticulate: the article that this project began with, tuning, the README's scripts."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.compat

ROOT = Path(__file__).parents[2]
ARTICLE = ROOT.parent / "shared" / "seed" / "model-deployment.md"
BUCKET = "sagemaker-us-east-1-123456789012"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.0-1-cpu-py3"
CHUNK = re.compile(r"^```r\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CHECK = """
answered <- unlist(hotels_predictor$predict(data = test_set)[[1]])
printed <- readLines("../03_Model_tuning/predictions/hotels_test.csv.out", n = 5)
stopifnot(identical(answered, printed))
stopifnot(identical(format(real_time_predictions), format(batch_predictions)))
cat("IDENTICAL", answered, "\\n")
"""

TUNING = """
library(reticulate)
library(purrr)
sagemaker <- import("sagemaker")
session <- sagemaker$Session(default_bucket = "tuning-in-r")
bucket <- session$default_bucket()
upload <- sagemaker$s3$S3Uploader$upload
uris <- map_chr(c(train = "train", validation = "validation"), function(name)
  upload(paste0("data/hotels_", name, ".csv"), paste0("s3://", bucket, "/tuning-r")))
image <- sagemaker$image_uris$retrieve("xgboost", session$boto_region_name, "1.2-1")
estimator <- sagemaker$estimator$Estimator(
  image_uri = image, role = Sys.getenv("SAGEMAKER_ROLE_ARN"), instance_count = 1L,
  instance_type = "ml.m5.large", output_path = paste0("s3://", bucket, "/tuning-r/models"),
  sagemaker_session = session)
estimator$set_hyperparameters(objective = "binary:logistic", min_child_weight = 1, eval_metric = "auc")
tuner <- sagemaker$tuner$HyperparameterTuner(
  estimator = estimator, objective_metric_name = "validation:auc", objective_type = "Maximize",
  hyperparameter_ranges = list(
    eta = sagemaker$tuner$ContinuousParameter(0.1, 0.5, scaling_type = "Logarithmic"),
    max_depth = sagemaker$tuner$IntegerParameter(1L, 9L),
    num_round = sagemaker$tuner$IntegerParameter(3L, 20L)),
  base_tuning_job_name = "article", strategy = "Bayesian", max_jobs = 6L, max_parallel_jobs = 3L)
channels <- map(as.list(uris), function(uri) sagemaker$inputs$TrainingInput(uri, content_type = "csv"))
tuner$fit(inputs = channels, wait = FALSE)
job_name <- tuner$latest_tuning_job$name
status <- function() session$describe_tuning_job(job_name)$HyperParameterTuningJobStatus
while (status() == "InProgress") Sys.sleep(0.1)
results <- sagemaker$HyperparameterTuningJobAnalytics(job_name, session)$dataframe()
stopifnot(nrow(results) == 6, all(results$TrainingJobStatus == "Completed"))
stopifnot(is.numeric(results$FinalObjectiveValue), all(results$eta >= 0.1), all(results$max_depth <= 9))
best <- results[which.max(results$FinalObjectiveValue), ]
stopifnot(best$TrainingJobName == tuner$best_training_job())
stopifnot(inherits(best$TrainingStartTime, "POSIXct"))
metrics <- session$describe_training_job(best$TrainingJobName)$FinalMetricDataList
print(map_chr(metrics, "MetricName"))
model <- session$create_model_from_job(best$TrainingJobName)
cat("TUNED", nrow(results), status(), model, "\\n")
"""


@pytest.fixture(scope="module")
def interpreter() -> Path:
    if shutil.which("Rscript") is None:
        pytest.skip(
            "R is absent (Debian: apt install r-base-core r-cran-reticulate r-cran-purrr r-cran-readr)"
        )
    python = ROOT / ".venvs" / "sagemaker-r" / "bin" / "python"
    assert python.exists(), f"{python} is missing; run 'make compat', which makes it"
    return python


def until(describe: Callable[[], dict[str, Any]], member: str) -> None:
    for _ in range(20):
        status = describe()[member]
        if status != "InProgress":
            assert status == "Completed"
            return
    pytest.fail("the job is still in progress")


def source(name: str) -> dict[str, Any]:
    return {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/article/{name}.csv"}}


@pytest.fixture
def article_folder(
    client: Callable[..., Any], environment: dict[str, str], hotels: Any, tmp_path: Path
) -> Path:
    """What the earlier articles leave behind: a registered model, the test set, batch predictions."""
    s3, sagemaker = client("s3"), client("sagemaker")
    s3.create_bucket(Bucket=BUCKET)
    for name in ("train", "test"):
        s3.put_object(Bucket=BUCKET, Key=f"article/{name}.csv", Body=getattr(hotels, name))
    name = f"hotels-xgb-{tmp_path.name.replace('_', '-')}"
    sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        RoleArn=environment["SAGEMAKER_ROLE_ARN"],
        HyperParameters={"objective": "binary:logistic", "num_round": "20"},
        InputDataConfig=[
            {
                "ChannelName": "train",
                "ContentType": "csv",
                "DataSource": {
                    "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/article/train.csv"}
                },
            }
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/article"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    until(lambda: sagemaker.describe_training_job(TrainingJobName=name), "TrainingJobStatus")
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=environment["SAGEMAKER_ROLE_ARN"],
        PrimaryContainer={
            "Image": IMAGE,
            "ModelDataUrl": f"s3://{BUCKET}/article/{name}/output/model.tar.gz",
        },
    )
    sagemaker.create_transform_job(
        TransformJobName=name,
        ModelName=name,
        TransformInput={
            "DataSource": {
                "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/article/test.csv"}
            },
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/article/out", "AssembleWith": "Line"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    until(lambda: sagemaker.describe_transform_job(TransformJobName=name), "TransformJobStatus")
    for place in ("data", "03_Model_tuning/predictions", "04_Model_deployment"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "data" / "hotels_test.csv").write_bytes(hotels.test)
    output = s3.get_object(Bucket=BUCKET, Key="article/out/test.csv.out")["Body"].read()
    (tmp_path / "03_Model_tuning" / "predictions" / "hotels_test.csv.out").write_bytes(output)
    return tmp_path


def test_the_article_runs_line_by_line(
    run: Callable[..., str], interpreter: Path, article_folder: Path, client: Callable[..., Any]
) -> None:
    if not ARTICLE.exists():
        pytest.skip(f"the article is not beside this checkout ({ARTICLE.relative_to(ROOT.parent)})")
    chunks = CHUNK.findall(ARTICLE.read_text())
    assert len(chunks) == 10
    deleting = next(number for number, chunk in enumerate(chunks) if "delete_endpoint" in chunk)
    script = article_folder / "04_Model_deployment" / "article.R"
    script.write_text("\n".join([*chunks[:deleting], CHECK, *chunks[deleting:]]))
    said = run(
        "Rscript", "-e", f'source("{script.name}", echo = TRUE, max.deparse.length = Inf)',
        cwd=script.parent, RETICULATE_CONDA=str(ROOT / "examples/r/conda"),
        CONDA_ENVS=str(interpreter.parents[2]),
    )  # fmt: skip
    assert '[1] "InService"' in said
    digits = said.split("IDENTICAL ")[1].splitlines()[0].split()
    batch = (article_folder / "03_Model_tuning" / "predictions" / "hotels_test.csv.out").read_text().split()
    assert digits == batch[:5]
    assert "hotels-endpoint" not in [row["EndpointName"] for row in client("sagemaker").list_endpoints(
        StatusEquals="InService")["Endpoints"]]  # fmt: skip


def test_the_articles_tuning(
    run: Callable[..., str], interpreter: Path, hotels: Any, client: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    for name in ("train", "validation"):
        (tmp_path / "data" / f"hotels_{name}.csv").write_bytes(getattr(hotels, name))
    (tmp_path / "tuning.R").write_text(TUNING)
    said = run("Rscript", "tuning.R", RETICULATE_PYTHON=str(interpreter))
    assert '"ObjectiveMetric"' in said
    model = said.split("TUNED 6 Completed ")[1].split()[0]
    container = client("sagemaker").describe_model(ModelName=model)["PrimaryContainer"]
    assert container["ModelDataUrl"].endswith("/output/model.tar.gz")


@pytest.mark.parametrize("language", ["python", "r"])
def test_the_readmes_scripts(
    run: Callable[..., str], interpreter: Path, article_folder: Path, language: str
) -> None:
    script = re.findall(
        rf"^```{language}\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )[0]
    assert len(script.splitlines()) <= 12
    (article_folder / "data.csv").write_bytes((article_folder / "data" / "hotels_test.csv").read_bytes())
    (article_folder / "script").write_text(script)
    command = "Rscript" if language == "r" else interpreter
    said = run(command, "script", cwd=article_folder, RETICULATE_PYTHON=str(interpreter))
    assert "0." in said

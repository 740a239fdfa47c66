"""A request for a tuning job, and parts of it."""

from __future__ import annotations

from tests.control.operations.service import IMAGE, ROLE

from sagestead.domain.resources import Json

OWN_IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1"
OLDER = IMAGE.replace("1.7-1", "1.5-1")
ETA = {"Name": "eta", "MinValue": "0.1", "MaxValue": "0.5", "ScalingType": "Logarithmic"}
DEPTH = {"Name": "max_depth", "MinValue": "1", "MaxValue": "9"}
BOOSTER = {"Name": "booster", "Values": ["gbtree", "dart"]}
SOURCE = {"S3DataType": "S3Prefix", "S3Uri": "s3://b/train"}
DEFINITION: Json = {
    "StaticHyperParameters": {"num_round": "10", "min_child_weight": "1.0"},
    "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
    "RoleArn": ROLE,
    "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": SOURCE}}],
    "OutputDataConfig": {"S3OutputPath": "s3://b/out/"},
    "HyperParameterTuningResourceConfig": {
        "InstanceType": "ml.m5.large",
        "InstanceCount": 1,
        "VolumeSizeInGB": 30,
    },
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
}
REQUEST: Json = {
    "HyperParameterTuningJobName": "Search",
    "HyperParameterTuningJobConfig": {
        "Strategy": "Bayesian",
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "validation:auc"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 6, "MaxParallelTrainingJobs": 3},
        "ParameterRanges": {
            "ContinuousParameterRanges": [ETA],
            "IntegerParameterRanges": [DEPTH],
            "CategoricalParameterRanges": [],
        },
    },
    "TrainingJobDefinition": DEFINITION,
}

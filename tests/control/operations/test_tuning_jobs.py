"""Tuning jobs: what is accepted, filled in, echoed, listed and refused."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from tests.control.operations.service import ACCOUNT, Service
from tests.control.operations.tuning_request import (
    BOOSTER,
    DEFINITION,
    DEPTH,
    ETA,
    OLDER,
    OWN_IMAGE,
    REQUEST,
)

from sagestead.control.operations.tuning_jobs import HOLDS
from sagestead.domain.metrics import built_in_metric_definitions
from sagestead.domain.resources import Json, Kind, Resource
from sagestead.planning.trials import trial_draft
from sagestead.ports import Change

ARN = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:hyper-parameter-tuning-job/search"
CONFIG, LIMITS, RANGES = (
    "HyperParameterTuningJobConfig",
    "HyperParameterTuningJobConfig.ResourceLimits",
    "HyperParameterTuningJobConfig.ParameterRanges",
)


@pytest.fixture
def ready(service: Service) -> Service:
    """An account with a role and training data."""
    service.role()
    service.put("b", "train/data.csv")
    return service


def changed(*changes: tuple[str, Any]) -> Json:
    """Return REQUEST with members set; None removes one."""
    request = deepcopy(REQUEST)
    for path, value in changes:
        *parents, last = path.split(".")
        place: Any = request
        for name in parents:
            place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return request


def begun(service: Service, number: int, point: dict[str, str], **detail: Any) -> Resource:
    """What the reconciler does: a trial is launched, and comes to something."""
    job = service.record(Kind.TUNING_JOB, "Search")
    draft = trial_draft(job, number, point, [], service.now)
    status = detail.pop("status", draft.status)
    return service.resources.create(replace(draft, status=status, detail={**draft.detail, **detail}))


def scored(value: float) -> Json:
    metric = {"MetricName": "ObjectiveMetric", "Value": value, "Timestamp": 5.0}
    return {"status": "Completed", "FinalMetricDataList": [metric]}


def test_a_job_begins_in_progress_and_is_due(ready: Service) -> None:
    answer = ready.call("CreateHyperParameterTuningJob", **REQUEST, Tags=[{"Key": "a", "Value": "b"}])
    assert answer == {"HyperParameterTuningJobArn": ARN}
    record = ready.record(Kind.TUNING_JOB, "Search")
    assert (record.status, record.due_at, record.tags) == ("InProgress", ready.now, {"a": "b"})


def test_a_new_job_is_described_whole(ready: Service) -> None:
    ready.call("CreateHyperParameterTuningJob", **REQUEST)
    answer = ready.call("DescribeHyperParameterTuningJob", HyperParameterTuningJobName="Search")
    definition = answer["TrainingJobDefinition"]
    assert answer[CONFIG] == REQUEST[CONFIG]
    assert definition["StaticHyperParameters"] == {
        "num_round": "10",
        "min_child_weight": "1.0",
        "_tuning_objective_metric": "validation:auc",
    }
    metrics = definition["AlgorithmSpecification"]["MetricDefinitions"]
    assert metrics[:-1] == built_in_metric_definitions()
    auc = next(one for one in metrics if one["Name"] == "validation:auc")
    assert metrics[-1] == {"Name": "ObjectiveMetric", "Regex": auc["Regex"]}
    assert definition["OutputDataConfig"] == {"S3OutputPath": "s3://b/out/", "KmsKeyId": ""}
    assert answer["HyperParameterTuningJobStatus"] == "InProgress"
    assert set(answer["TrainingJobStatusCounters"].values()) == {0}
    assert "BestTrainingJob" not in answer
    assert HOLDS["DescribeHyperParameterTuningJob"].member == "HyperParameterTuningJobStatus"


def test_a_trial_is_a_training_job_of_its_own(ready: Service) -> None:
    ready.call("CreateHyperParameterTuningJob", **REQUEST, Tags=[{"Key": "a", "Value": "b"}])
    trial = begun(ready, 1, {"eta": "0.25", "max_depth": "3"}, **scored(0.75))
    name = trial.key.name
    assert name.startswith("Search-001-")
    assert len(name) == len("Search-001-") + 8
    answer = ready.call("DescribeTrainingJob", TrainingJobName=name)
    assert answer["TuningJobArn"] == ARN
    assert answer["HyperParameters"] == {
        "num_round": "10",
        "min_child_weight": "1.0",
        "_tuning_objective_metric": "validation:auc",
        "eta": "0.25",
        "max_depth": "3",
    }
    assert answer["ResourceConfig"]["InstanceType"] == "ml.m5.large"
    assert answer["AlgorithmSpecification"]["MetricDefinitions"][-1]["Name"] == "ObjectiveMetric"
    assert ready.call("ListTags", ResourceArn=trial.arn)["Tags"] == [{"Key": "a", "Value": "b"}]


def listed(service: Service, **asked: Any) -> list[str]:
    answer = service.call(
        "ListTrainingJobsForHyperParameterTuningJob", HyperParameterTuningJobName="Search", **asked
    )
    return [one["TrainingJobName"].split("-")[1] for one in answer["TrainingJobSummaries"]]


def test_trials_are_listed_newest_first_or_as_asked(ready: Service) -> None:
    ready.call("CreateHyperParameterTuningJob", **REQUEST)
    for number, value in ((1, 0.5), (2, 0.9), (3, None), (4, 0.7)):
        ready.now += 1
        more = {"status": "Failed", "FailureReason": "x"} if value is None else scored(value)
        begun(ready, number, {"eta": "0.2", "max_depth": str(number)}, **more)
    assert listed(ready) == ["004", "003", "002", "001"]
    assert listed(ready, SortBy="Name") == ["001", "002", "003", "004"]
    assert listed(ready, SortBy="FinalObjectiveMetricValue", SortOrder="Descending") == ["002", "004", "001"]
    assert listed(ready, StatusEquals="Failed") == ["003"]
    first = ready.call(
        "ListTrainingJobsForHyperParameterTuningJob", HyperParameterTuningJobName="Search", MaxResults=3
    )
    assert listed(ready, MaxResults=3, NextToken=first["NextToken"]) == ["001"]
    code, _ = ready.refusal(
        "ListTrainingJobsForHyperParameterTuningJob",
        HyperParameterTuningJobName="Search",
        SortBy="Name",
        NextToken=first["NextToken"],
    )
    assert code == "ValidationException"
    best = first["TrainingJobSummaries"][2]
    assert best["TunedHyperParameters"] == {"eta": "0.2", "max_depth": "2"}
    assert best["ObjectiveStatus"] == "Succeeded"
    assert best["FinalHyperParameterTuningJobObjectiveMetric"] == {
        "Type": "Maximize",
        "MetricName": "validation:auc",
        "Value": 0.9,
    }


def test_jobs_are_listed_newest_first_and_stopped_and_deleted(ready: Service) -> None:
    for name in ("a", "b"):
        ready.now += 1
        ready.call("CreateHyperParameterTuningJob", **changed(("HyperParameterTuningJobName", name)))
    rows = ready.call("ListHyperParameterTuningJobs")["HyperParameterTuningJobSummaries"]
    assert [row["HyperParameterTuningJobName"] for row in rows] == ["b", "a"]
    assert rows[0]["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 6, "MaxParallelTrainingJobs": 3}
    for _ in range(2):
        ready.call("StopHyperParameterTuningJob", HyperParameterTuningJobName="a")
    code, sentence = ready.refusal("DeleteHyperParameterTuningJob", HyperParameterTuningJobName="a")
    assert (code, "Stopping" in sentence) == ("ValidationException", True)
    ready.becomes(Kind.TUNING_JOB, "a", "Stopped")
    code, sentence = ready.refusal("StopHyperParameterTuningJob", HyperParameterTuningJobName="a")
    assert "in status Stopped" in sentence
    ready.call("DeleteHyperParameterTuningJob", HyperParameterTuningJobName="a")
    code, sentence = ready.refusal("DescribeHyperParameterTuningJob", HyperParameterTuningJobName="a")
    assert code == "ResourceNotFound"
    assert sentence.startswith("Amazon SageMaker can't find a tuning job")


def test_a_name_that_is_taken_is_in_use(ready: Service) -> None:
    ready.call("CreateHyperParameterTuningJob", **REQUEST)
    code, sentence = ready.refusal(
        "CreateHyperParameterTuningJob", **changed(("HyperParameterTuningJobName", "search"))
    )
    assert code == "ResourceInUse"
    assert ARN in sentence


def test_trials_of_an_earlier_job_of_the_name_are_not_this_one_s(ready: Service) -> None:
    ready.call("CreateHyperParameterTuningJob", **REQUEST)
    begun(ready, 1, {"eta": "0.2", "max_depth": "1"}, **scored(0.5))
    ready.becomes(Kind.TUNING_JOB, "Search", "Completed")
    ready.call("DeleteHyperParameterTuningJob", HyperParameterTuningJobName="Search")
    ready.now += 1
    ready.call("CreateHyperParameterTuningJob", **REQUEST)
    assert listed(ready) == []
    begun(ready, 1, {"eta": "0.2", "max_depth": "1"})
    assert listed(ready) == ["001"]


WRONG = [
    ([(f"{RANGES}.ContinuousParameterRanges", [{**ETA, "MinValue": "0.6"}])], "exchange them"),
    ([(f"{RANGES}.ContinuousParameterRanges", [{**ETA, "MinValue": "0"}])], "values above 0"),
    ([(f"{RANGES}.ContinuousParameterRanges", [{**ETA, "MinValue": "x"}])], "give numbers"),
    ([(f"{RANGES}.ContinuousParameterRanges", [{**ETA, "MaxValue": "inf"}])], "give numbers"),
    ([(f"{RANGES}.ContinuousParameterRanges", [ETA, ETA])], "two ranges"),
    (
        [
            (
                f"{RANGES}.ContinuousParameterRanges",
                [{**ETA, "MaxValue": "1", "ScalingType": "ReverseLogarithmic"}],
            )
        ],
        "from 0 to below 1",
    ),
    ([(f"{RANGES}.IntegerParameterRanges", [{**DEPTH, "MinValue": "1.5"}])], "give integers"),
    (
        [(f"{RANGES}.IntegerParameterRanges", [{**DEPTH, "ScalingType": "ReverseLogarithmic"}])],
        "for continuous ranges",
    ),
    (
        [(f"{RANGES}.CategoricalParameterRanges", [{"Name": "booster", "Values": ["dart", "dart"]}])],
        "a value twice",
    ),
    ([(f"{RANGES}.AutoParameters", [{"Name": "gamma", "ValueHint": "1"}])], "Autotune.Mode"),
    ([(RANGES, {"IntegerParameterRanges": [{**DEPTH, "Name": "num_round"}]})], "leave one of them out"),
    ([(RANGES, {"CategoricalParameterRanges": []})], "no hyperparameter to tune"),
    ([(RANGES, None)], "HyperParameterTuningJobConfig.ParameterRanges"),
    ([(f"{CONFIG}.HyperParameterTuningJobObjective", None)], "HyperParameterTuningJobObjective"),
    ([(f"{LIMITS}.MaxParallelTrainingJobs", 7)], "above MaxNumberOfTrainingJobs 6"),
    ([(f"{LIMITS}.MaxNumberOfTrainingJobs", None)], "MaxNumberOfTrainingJobs is missing"),
    ([(f"{CONFIG}.Strategy", "Grid")], "CategoricalParameterRanges only"),
    (
        [(f"{CONFIG}.Strategy", "Grid"), (RANGES, {"CategoricalParameterRanges": [BOOSTER]})],
        "provided ranges [2.0] must be equal or greater than the value of MaxNumberOfJobs, [6]",
    ),
    ([(f"{CONFIG}.Strategy", "Hyperband")], "MaxResource"),
    (
        [
            (f"{CONFIG}.Strategy", "Hyperband"),
            (f"{CONFIG}.StrategyConfig.HyperbandStrategyConfig", {"MinResource": 9, "MaxResource": 3}),
        ],
        "MinResource 9 must not be above MaxResource 3",
    ),
    (
        [
            (f"{CONFIG}.Strategy", "Hyperband"),
            (f"{CONFIG}.StrategyConfig.HyperbandStrategyConfig", {"MaxResource": 9}),
            (f"{CONFIG}.TrainingJobEarlyStoppingType", "Auto"),
        ],
        "does not go with strategy Hyperband",
    ),
    ([(f"{CONFIG}.StrategyConfig.HyperbandStrategyConfig", {"MaxResource": 9})], "is for strategy Hyperband"),
    (
        [(f"{CONFIG}.HyperParameterTuningJobObjective.MetricName", "validation:beauty")],
        "isn't valid for the [",
    ),
    ([(f"{CONFIG}.HyperParameterTuningJobObjective.Type", "Minimize")], "isn't valid for the ["),
    ([(f"{CONFIG}.RandomSeed", -1)], "greater than or equal to 0"),
    ([("TrainingJobDefinition", None)], "exactly one of them"),
    ([("TrainingJobDefinition.HyperParameterTuningResourceConfig", None)], "ResourceConfig"),
    (
        [("TrainingJobDefinition.ResourceConfig", {"InstanceType": "ml.m5.large", "InstanceCount": 1})],
        "not both of them",
    ),
    (
        [("TrainingJobDefinition.VpcConfig", {"SecurityGroupIds": ["sg-1"], "Subnets": ["s-1"]})],
        "VpcConfig is not supported",
    ),
    (
        [("TrainingJobDefinition.InputDataConfig.0.DataSource.S3DataSource.S3Uri", "s3://b/no")],
        "No S3 objects",
    ),
    (
        [("TrainingJobDefinition.StaticHyperParameters._tuning_objective_metric", "validation:rmse")],
        "_tuning_objective_metric",
    ),
    (
        [("TrainingJobDefinition.AlgorithmSpecification.TrainingImage", OWN_IMAGE)],
        "A metric is required for this hyperparameter tuning job objective.",
    ),
    (
        [
            (
                "TrainingJobDefinition.AlgorithmSpecification.MetricDefinitions",
                [{"Name": "validation:auc", "Regex": "a=(.)"}],
            )
        ],
        "You can't override the metric definitions for",
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), WRONG, ids=lambda value: str(value)[:40])
def test_what_contradicts_itself_is_refused(
    ready: Service, changes: list[tuple[str, Any]], sentence: str
) -> None:
    code, said = ready.refusal("CreateHyperParameterTuningJob", **changed(*changes))
    assert code == "ValidationException"
    assert sentence in said


def test_more_jobs_than_there_may_be_are_over_the_limit(ready: Service) -> None:
    many = changed((f"{LIMITS}.MaxNumberOfTrainingJobs", 751))
    assert ready.refusal("CreateHyperParameterTuningJob", **many)[0] == "ResourceLimitExceeded"
    at_random = changed((f"{LIMITS}.MaxNumberOfTrainingJobs", 751), (f"{CONFIG}.Strategy", "Random"))
    assert ready.call("CreateHyperParameterTuningJob", **at_random)


def test_instances_are_taken_in_order_of_preference(ready: Service) -> None:
    configs = [
        {"InstanceType": kind, "InstanceCount": 1, "VolumeSizeInGB": 30}
        for kind in ("ml.m5.xlarge", "ml.c5.xlarge")
    ]
    wanted = {"InstanceConfigs": configs, "AllocationStrategy": "Prioritized"}
    ready.call(
        "CreateHyperParameterTuningJob",
        **changed(("TrainingJobDefinition.HyperParameterTuningResourceConfig", wanted)),
    )
    trial = begun(ready, 1, {"eta": "0.2", "max_depth": "1"})
    assert trial.spec["ResourceConfig"] == configs[0]


def test_hyperband_finds_its_budget_in_static_hyperparameters(ready: Service) -> None:
    request = changed(
        (f"{CONFIG}.Strategy", "Hyperband"), ("TrainingJobDefinition.StaticHyperParameters.epochs", "27")
    )
    ready.call("CreateHyperParameterTuningJob", **request)
    config = ready.record(Kind.TUNING_JOB, "Search").spec[CONFIG]
    assert config["StrategyConfig"]["HyperbandStrategyConfig"] == {"MinResource": 1, "MaxResource": 27}


def test_several_definitions_have_ranges_and_objectives_of_their_own(ready: Service) -> None:
    objective = REQUEST[CONFIG]["HyperParameterTuningJobObjective"]
    own = {
        **DEFINITION,
        "TuningObjective": objective,
        "HyperParameterRanges": REQUEST[CONFIG]["ParameterRanges"],
    }
    request = changed(
        ("TrainingJobDefinition", None),
        (RANGES, None),
        (f"{CONFIG}.HyperParameterTuningJobObjective", None),
        ("TrainingJobDefinitions", [{**own, "DefinitionName": "a"}, {**own, "DefinitionName": "b"}]),
    )
    ready.call("CreateHyperParameterTuningJob", **request)
    trial = begun(ready, 2, {"eta": "0.2", "max_depth": "1"}, **scored(0.5))
    assert trial.spec.keys() & {"DefinitionName", "TuningObjective", "HyperParameterRanges"} == set()
    answer = ready.call("ListTrainingJobsForHyperParameterTuningJob", HyperParameterTuningJobName="Search")
    assert answer["TrainingJobSummaries"][0]["TrainingJobDefinitionName"] == "b"
    request["TrainingJobDefinitions"][1]["DefinitionName"] = "a"
    assert "DefinitionName" in ready.refusal("CreateHyperParameterTuningJob", **request)[1]


def test_autotune_chooses_what_is_left_open(ready: Service) -> None:
    request = changed(
        ("Autotune", {"Mode": "Enabled"}), (RANGES, None), (f"{LIMITS}.MaxNumberOfTrainingJobs", None)
    )
    ready.call("CreateHyperParameterTuningJob", **request)
    answer = ready.call("DescribeHyperParameterTuningJob", HyperParameterTuningJobName="Search")
    config = answer[CONFIG]
    assert config["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 20, "MaxParallelTrainingJobs": 3}
    assert config["TrainingJobEarlyStoppingType"] == "Auto"
    names = [one["Name"] for ranges in config["ParameterRanges"].values() for one in ranges]
    assert "eta" in names
    assert "num_round" not in names, "it is static"
    assert answer["TrainingJobDefinition"]["RetryStrategy"] == {"MaximumRetryAttempts": 3}


def test_autotune_takes_hints(ready: Service) -> None:
    hints = [
        {"Name": "eta", "ValueHint": "0.3"},
        {"Name": "own", "ValueHint": "8"},
        {"Name": "f", "ValueHint": "2.5"},
    ]
    request = changed(("Autotune", {"Mode": "Enabled"}), (RANGES, {"AutoParameters": hints}))
    ready.call("CreateHyperParameterTuningJob", **request)
    ranges = ready.record(Kind.TUNING_JOB, "Search").spec[CONFIG]["ParameterRanges"]
    assert ranges["IntegerParameterRanges"] == [{"Name": "own", "MinValue": "1", "MaxValue": "80"}]
    assert ranges["ContinuousParameterRanges"] == [
        {"Name": "eta", "MinValue": "0.1", "MaxValue": "0.5"},
        {"Name": "f", "MinValue": "0.25", "MaxValue": "25.0"},
    ]
    request = changed(
        ("Autotune", {"Mode": "Enabled"}),
        (RANGES, {"AutoParameters": [{"Name": "booster", "ValueHint": "dart"}]}),
    )
    assert "CategoricalParameterRange" in ready.refusal("CreateHyperParameterTuningJob", **request)[1]


def parent(service: Service, *changes: tuple[str, Any], status: str = "Completed") -> None:
    """A tuning job that has ended, with one trial."""
    service.call("CreateHyperParameterTuningJob", **changed(*changes))
    begun(service, 1, {"eta": "0.2", "max_depth": "1"}, **scored(0.5))
    best = service.call("ListTrainingJobsForHyperParameterTuningJob", HyperParameterTuningJobName="Search")
    summary = {**best["TrainingJobSummaries"][0], "CreationTime": 5.0}
    service.becomes(Kind.TUNING_JOB, "Search", status, BestTrainingJob=summary)


def warm(*changes: tuple[str, Any], kind: str = "IdenticalDataAndAlgorithm", of: str = "Search") -> Json:
    config = {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": of}],
        "WarmStartType": kind,
    }
    return changed(("HyperParameterTuningJobName", "next"), ("WarmStartConfig", config), *changes)


def test_a_warm_start_notes_its_parents(ready: Service) -> None:
    parent(ready)
    ready.call("CreateHyperParameterTuningJob", **warm())
    detail = ready.record(Kind.TUNING_JOB, "next").detail
    assert [one["Name"] for one in detail["_parents"]] == ["Search"]
    assert [one["TuningJobName"] for one in detail["_inherited_best"]] == ["Search"]
    narrower = (f"{RANGES}.ContinuousParameterRanges", [{**ETA, "MaxValue": "0.2"}])
    request = warm(narrower, ("HyperParameterTuningJobName", "third"), kind="TransferLearning")
    ready.call("CreateHyperParameterTuningJob", **request)
    assert "_inherited_best" not in ready.record(Kind.TUNING_JOB, "third").detail


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (warm(of="absent"), "there is no tuning job 'absent'"),
        (warm((f"{CONFIG}.Strategy", "Grid"), (RANGES, {"CategoricalParameterRanges": [BOOSTER]}),
              (LIMITS, {"MaxParallelTrainingJobs": 1})), "Bayesian or Random"),
        (warm((f"{CONFIG}.HyperParameterTuningJobObjective.MetricName", "validation:aucpr")),
         "same objective"),
        (warm(("TrainingJobDefinition.StaticHyperParameters.gamma", "1")), "these are not: gamma"),
        (warm(("TrainingJobDefinition.AlgorithmSpecification.TrainingImage", OLDER)),
         "give TransferLearning"),
        (warm((f"{LIMITS}.MaxNumberOfTrainingJobs", 500)), "more than 500"),
        (warm((f"{RANGES}.ContinuousParameterRanges", [DEPTH]),
              (f"{RANGES}.IntegerParameterRanges", []),
              ("TrainingJobDefinition.StaticHyperParameters.eta", "0.2")), "another type"),
    ],
)  # fmt: skip
def test_a_warm_start_that_does_not_suit_is_refused(ready: Service, request_: Json, sentence: str) -> None:
    parent(ready)
    code, said = ready.refusal("CreateHyperParameterTuningJob", **request_)
    assert code == "ValidationException"
    assert sentence in said


def test_a_parent_must_have_ended(ready: Service) -> None:
    parent(ready, status="InProgress")
    assert "is in status InProgress" in ready.refusal("CreateHyperParameterTuningJob", **warm())[1]


def test_changes_of_static_hyperparameters_are_counted(ready: Service) -> None:
    statics = {f"p{number}": "1" for number in range(6)}
    parent(ready, ("TrainingJobDefinition.StaticHyperParameters", statics))
    other = dict.fromkeys(statics, "2")
    request = warm(("TrainingJobDefinition.StaticHyperParameters", other))
    assert "12 changes" in ready.refusal("CreateHyperParameterTuningJob", **request)[1]
    other["p0"] = "1"
    assert ready.call(
        "CreateHyperParameterTuningJob", **warm(("TrainingJobDefinition.StaticHyperParameters", other))
    )


def test_the_reconciler_s_notes_do_not_show(ready: Service) -> None:
    ready.call("CreateHyperParameterTuningJob", **REQUEST)
    seen = ready.record(Kind.TUNING_JOB, "Search")
    ready.resources.update(
        seen, Change(None, detail={**seen.detail, "_asking": {"number": 1, "pending": []}})
    )
    answer = ready.call("DescribeHyperParameterTuningJob", HyperParameterTuningJobName="Search")
    assert not [name for name in answer if name.startswith("_")]

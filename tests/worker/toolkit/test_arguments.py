from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from sagestead.worker.toolkit.arguments import Told, arguments_of, decoded, variables_of

RESOURCES = {
    "current_host": "algo-1",
    "hosts": ["algo-1"],
    "network_interface_name": "lo",
    "current_instance_type": "ml.m5.large",
    "current_group_name": "homogeneousCluster",
    "instance_groups": [
        {"instance_group_name": "homogeneousCluster", "instance_type": "ml.m5.large", "hosts": ["algo-1"]}
    ],
}


def told(**hyperparameters: str) -> Told:
    given = {"sagemaker_program": '"train.py"', "sagemaker_region": '"eu-west-1"', **hyperparameters}
    channels = {"train": {"TrainingInputMode": "File"}, "my-data": {"TrainingInputMode": "File"}}
    return Told(given, channels, RESOURCES, {"TRAINING_JOB_NAME": "job"}, 4)


def test_arguments_are_sorted_and_written_as_the_toolkits_write_them() -> None:
    own = {"z": 1, "eta": 0.5, "flag": True, "nothing": None, "layers": [1, 2], "map": {"b": 1, "a": "x"}}
    assert arguments_of(own) == [
        *("--eta", "0.5", "--flag", "True", "--layers", "[1, 2]"),
        *("--map", "a=x,b=1", "--nothing", "", "-z", "1"),
    ]


def test_a_value_that_is_no_json_is_itself() -> None:
    assert decoded("gini") == "gini"
    assert decoded('"5"') == "5"
    assert decoded("5") == 5


def test_settings_of_the_platform_are_not_the_scripts() -> None:
    one = told(_tuning_objective_metric='"auc"', depth="3")
    assert one.own == {"depth": 3}
    assert one.platform("sagemaker_program") == "train.py"
    assert one.platform("sagemaker_submit_directory") is None


def test_the_environment_may_name_the_program_as_well() -> None:
    assert Told({}, {}, {}, {"SAGEMAKER_PROGRAM": "run.py"}, 1).platform("sagemaker_program") == "run.py"


def test_the_variables_of_a_container() -> None:
    found = variables_of(told(depth="3", **{"learning-rate": "0.1"}), "sklearn")
    assert found["SM_HPS"] == '{"depth":3,"learning-rate":0.1}'
    assert found["SM_HP_DEPTH"] == "3"
    assert found["SM_HP_LEARNING-RATE"] == "0.1"
    assert found["SM_CHANNELS"] == '["my-data","train"]'
    assert found["SM_CHANNEL_MY-DATA"] == "/opt/ml/input/data/my-data"
    assert found["SM_USER_ARGS"] == '["--depth","3","--learning-rate","0.1"]'
    assert found["SM_NUM_CPUS"] == "4"
    assert found["SM_MODULE_NAME"] == "train"
    assert found["SM_CURRENT_INSTANCE_GROUP_HOSTS"] == '["algo-1"]'
    assert found["SM_IS_HETERO"] == "false"
    assert found["SM_FRAMEWORK_MODULE"] == "sagemaker_sklearn_container.training:main"
    everything = json.loads(found["SM_TRAINING_ENV"])
    assert everything["channel_input_dirs"]["train"] == "/opt/ml/input/data/train"
    assert everything["job_name"] == "job"
    assert everything["is_master"] is True


VALUES = st.none() | st.booleans() | st.text(max_size=9) | st.integers() | st.lists(st.integers(), max_size=3)


@settings(max_examples=50)
@given(st.dictionaries(st.text(min_size=1, max_size=9), VALUES, max_size=4))
def test_every_hyperparameter_that_json_can_say_arrives_as_it_was(given_: dict[str, object]) -> None:
    sent = {f"x{name}": json.dumps(value) for name, value in given_.items()}
    one = Told(sent, {}, RESOURCES, {}, 1)
    assert one.own == {f"x{name}": value for name, value in given_.items()}
    assert json.loads(variables_of(one, "xgboost")["SM_HPS"]) == one.own
    assert len(arguments_of(one.own)) == 2 * len(sent)

"""Variables of model servers: what is carried out, what says nothing, what is refused."""

import pytest

from sagestead.domain.model_server import CARRIED_OUT, MEANINGLESS, fault_of, timeout_of, workers_of


def test_what_is_not_given_has_a_default() -> None:
    assert (workers_of({}), timeout_of({})) == (1, 60)
    assert fault_of({}, runs_program=True) is None


def test_what_is_carried_out_or_says_nothing_is_accepted() -> None:
    environment = dict.fromkeys([*CARRIED_OUT, *MEANINGLESS, "COLOUR"], "4")
    assert fault_of(environment, runs_program=True) is None
    assert (workers_of(environment), timeout_of(environment)) == (4, 4)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "0", "SAGEMAKER_MODEL_SERVER_WORKERS '0' is not a whole number"),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "65", "from 1 to 64"),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "two", "is not a whole number"),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "", "is not a whole number"),
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "-1", "is not a whole number of seconds from 1 to 3600"),
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "²", "is not a whole number of seconds"),
        ("MMS_DEFAULT_RESPONSE_TIMEOUT", "9", "MMS_DEFAULT_RESPONSE_TIMEOUT is not supported by this server"),
        (
            "GUNICORN_CMD_ARGS",
            "--threads 4",
            "GUNICORN_CMD_ARGS is not supported by this server: there is no",
        ),
        ("SAGEMAKER_MULTI_MODEL", "true", "SAGEMAKER_MULTI_MODEL true is not supported by this server"),
    ],
)
def test_what_is_not_carried_out_is_refused_by_name(name: str, value: str, sentence: str) -> None:
    assert sentence in (fault_of({name: value}, runs_program=True) or "")


def test_a_built_in_algorithm_is_not_ended_while_it_answers() -> None:
    assert fault_of({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "60"}, runs_program=False) is None
    assert "a built-in algorithm is not" in (
        fault_of({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "59"}, runs_program=False) or ""
    )

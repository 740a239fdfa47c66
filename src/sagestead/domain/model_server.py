"""Variables that set up the model server of a framework's container, and what becomes of them here.

Rule: each is carried out, has nothing to say here (`MEANINGLESS`, with the reason), or is refused by name.
Any other variable is the program's own. Source: the READMEs of AWS's sagemaker-inference-toolkit,
sagemaker-containers and multi-model-server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

WORKERS = "SAGEMAKER_MODEL_SERVER_WORKERS"
TIMEOUT = "SAGEMAKER_MODEL_SERVER_TIMEOUT"
MOST_WORKERS = 64
DEFAULT_TIMEOUT = 60
LONGEST_TIMEOUT = 3600

CARRIED_OUT: Mapping[str, str] = MappingProxyType(
    {
        "SAGEMAKER_PROGRAM": "the script",
        "SAGEMAKER_SUBMIT_DIRECTORY": "where the script lies: an archive in S3, or in the model's own",
        WORKERS: f"processes of the script for each instance, 1 to {MOST_WORKERS}; without it there is 1",
        TIMEOUT: "seconds that the script has for an answer, 60 without it",
        "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "what a request accepts that does not say so",
    }
)
"""What the variables of a script's container do."""

_NO_PORT = "instances listen on no port"
_SEVERAL_MODELS = "it is for several models behind one endpoint"
MEANINGLESS: Mapping[str, str] = MappingProxyType(
    {
        "SAGEMAKER_CONTAINER_LOG_LEVEL": "nothing is left out of the instance's log",
        "SAGEMAKER_REGION": "the script finds the region in AWS_REGION",
        "SAGEMAKER_USE_NGINX": "there is no nginx",
        "SAGEMAKER_BIND_TO_PORT": _NO_PORT,
        "SAGEMAKER_SAFE_PORT_RANGE": _NO_PORT,
        "SAGEMAKER_NUM_MODEL_WORKERS": _SEVERAL_MODELS,
        "SAGEMAKER_MODEL_JOB_QUEUE_SIZE": _SEVERAL_MODELS,
        "SAGEMAKER_MAX_REQUEST_SIZE": _SEVERAL_MODELS,
        "SAGEMAKER_MAX_HEAP_SIZE": "there is no Java",
        "SAGEMAKER_MAX_DIRECT_MEMORY_SIZE": "there is no Java",
    }
)
"""Variables that are accepted although they change nothing here, and why there is nothing to change."""

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "MMS_": f"there is no multi-model-server here; use {WORKERS} and {TIMEOUT}, or leave it out",
        "GUNICORN_": f"there is no gunicorn here; use {WORKERS} and {TIMEOUT}, or leave it out",
    }
)
"""Beginnings of names that are refused, and what to do instead."""

_MULTI_MODEL = "SAGEMAKER_MULTI_MODEL"


def fault_of(environment: Mapping[str, str], *, runs_program: bool) -> str | None:
    """Return what is wrong with a container's environment, a sentence that begins with a variable; or None.

    `runs_program`: a script of the user's answers, not a built-in algorithm.
    """
    return next(_faults(environment, runs_program=runs_program), None)


def _faults(environment: Mapping[str, str], *, runs_program: bool) -> Iterator[str]:
    for name in environment:
        for beginning, remedy in REFUSED.items():
            if name.startswith(beginning):
                yield f"{name} is not supported by this server: {remedy}."
    if environment.get(_MULTI_MODEL, "").lower() == "true":
        yield f"{_MULTI_MODEL} true is not supported by this server: make one model for each artifact."
    workers, timeout = environment.get(WORKERS), environment.get(TIMEOUT)
    if workers_of(environment) is None:
        yield f"{WORKERS} '{workers}' is not a whole number from 1 to {MOST_WORKERS}: give one."
    seconds = timeout_of(environment)
    if seconds is None:
        yield f"{TIMEOUT} '{timeout}' is not a whole number of seconds from 1 to {LONGEST_TIMEOUT}: give one."
    elif not runs_program and seconds < DEFAULT_TIMEOUT:
        yield (
            f"{TIMEOUT} '{timeout}' is not supported by this server: a built-in algorithm is not ended while "
            "it answers; leave it out."
        )


def _number_of(text: str, most: int) -> int | None:
    """Return a whole number from 1 to `most`; None when the text is none."""
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    return int(text) if is_number and 1 <= int(text) <= most else None


def workers_of(environment: Mapping[str, str]) -> int | None:
    """Return how many processes of a script there are for each instance; None when the text is no number."""
    return _number_of(environment.get(WORKERS, "1"), MOST_WORKERS)


def timeout_of(environment: Mapping[str, str]) -> int | None:
    """Return how many seconds a script has for an answer; None when the text is no number."""
    return _number_of(environment.get(TIMEOUT, str(DEFAULT_TIMEOUT)), LONGEST_TIMEOUT)

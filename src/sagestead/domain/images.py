"""Which container image means which built-in algorithm or framework (spec: xgboost-builtin.md section 1).

Rule: account and region of an image URI do not matter; repository and tag do. A tag that we do not know is no
image of ours: `no_such_image` says so and names the tags there are. An image of XGBoost is the built-in
algorithm until a program of the user's is named; one of scikit-learn always runs such a program.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

LEGACY_TAG = "1"
"""The algorithm of XGBoost 0.72, older than every other tag."""

XGBOOST_TAGS = ("0.90-1", "0.90-2", "1.0-1", "1.2-1", "1.2-2", "1.3-1", "1.5-1", "1.7-1", "3.0-5", "3.2-0")
"""Tags of repository `sagemaker-xgboost`, oldest first; up to 1.0-1 AWS writes `-cpu-py3` behind them."""

SKLEARN_TAGS = ("0.20.0", "0.23-1", "1.0-1", "1.2-1", "1.4-2")
"""Tags of repository `sagemaker-scikit-learn`, oldest first; AWS writes `-cpu-py3` behind them."""

PROGRAM = "SAGEMAKER_PROGRAM"
"""The environment variable that names the user's program."""

_URI = re.compile(
    r"""(?P<host>\d{12}\.dkr\.ecr(?:-fips)?\.[a-z0-9-]+(?:\.[a-z0-9-]+)+)
        /(?P<repository>[a-z0-9][a-z0-9._/-]*)
        (?: :(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}) )?
        (?: @(?P<digest>sha256:[0-9a-f]{64}) )?""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class BuiltInImage:
    """A built-in algorithm at one version. `tag` is `LEGACY_TAG` or one of `XGBOOST_TAGS`."""

    algorithm: Literal["xgboost"]
    tag: str

    @property
    def version(self) -> tuple[int, int, int]:
        """The tag as numbers that can be compared; (0, 72, 0) for the legacy algorithm."""
        return _version(self.tag)

    def at_least(self, tag: str) -> bool:
        """Say whether this image is `tag` or newer, for example `image.at_least("1.2-2")`."""
        return self.version >= _version(tag)


@dataclass(frozen=True, slots=True)
class FrameworkImage:
    """A framework at one version, which runs programs of the user's. `tag` is one of the framework's tags."""

    framework: Literal["sklearn", "xgboost"]
    tag: str

    @property
    def runtime(self) -> str:
        """Name of the runtime that it means (domain/runtimes.py), for example `sklearn:1.2-1`."""
        return f"{self.framework}:{self.tag}"

    def runs_program(self, environment: Mapping[str, str]) -> bool:
        """Say whether a container with that environment runs a program of the user's."""
        return self.framework == "sklearn" or bool(environment.get(PROGRAM))


def framework_image(uri: str) -> FrameworkImage | None:
    """Return the framework that an image URI names, or None."""
    built_in = built_in_image(uri)
    if built_in is not None:
        return None if built_in.tag == LEGACY_TAG else FrameworkImage("xgboost", built_in.tag)
    parts = _URI.fullmatch(uri)
    if parts is None or parts["repository"] != _SKLEARN:
        return None
    if parts["tag"] is None and parts["digest"]:
        return FrameworkImage("sklearn", _SKLEARN_BY_DIGEST.get(parts["digest"], SKLEARN_TAGS[-1]))
    tag = (parts["tag"] or "").removesuffix("-cpu-py3")
    return FrameworkImage("sklearn", tag) if tag in SKLEARN_TAGS else None


def built_in_image(uri: str) -> BuiltInImage | None:
    """Return the built-in algorithm that an image URI names, or None.

    A digest that no tag of ours has says nothing about the version: it is taken as the newest tag.
    """
    parts = _URI.fullmatch(uri)
    if parts is None or parts["repository"] not in ("xgboost", "sagemaker-xgboost"):
        return None
    tag = parts["tag"]
    if tag is None and parts["digest"]:
        tag = _TAGS_BY_DIGEST.get(parts["digest"], XGBOOST_TAGS[-1])
        return BuiltInImage("xgboost", LEGACY_TAG if parts["repository"] == "xgboost" else tag)
    if parts["repository"] == "xgboost":
        return BuiltInImage("xgboost", LEGACY_TAG) if tag in (None, LEGACY_TAG, "latest") else None
    tag = (tag or "").removesuffix("-cpu-py3")
    return BuiltInImage("xgboost", tag) if tag in XGBOOST_TAGS else None


def trains_built_in(job: Mapping[str, Any]) -> bool:
    """Say whether a request to train (or a tuning job's definition) means a built-in algorithm.

    It does not when it names a program of the user's, as a hyperparameter, in its environment or as a
    command.
    """
    image = job["AlgorithmSpecification"].get("TrainingImage", "")
    runs_program = bool(named_program(job) or command_of(job))
    return built_in_image(image) is not None and not (framework_image(image) and runs_program)


def named_program(job: Mapping[str, Any]) -> str | None:
    """Return the program of the user's that a request to train names, as it is written there."""
    hyperparameters = {**job.get("StaticHyperParameters", {}), **job.get("HyperParameters", {})}
    found: str | None = hyperparameters.get("sagemaker_program") or job.get("Environment", {}).get(PROGRAM)
    return found


def command_of(job: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a request to train has run in place of the image's own program; empty: nothing."""
    algorithm = job["AlgorithmSpecification"]
    return (*algorithm.get("ContainerEntrypoint", ()), *algorithm.get("ContainerArguments", ()))


def no_such_image(uri: str) -> str:
    """Return the sentence for an image URI that is no image of ours."""
    return (
        f"Image {uri} is not one that this server can run. Use XGBoost: repository "
        f"sagemaker-xgboost with tag {', '.join(XGBOOST_TAGS[:-1])} or {XGBOOST_TAGS[-1]}, "
        f"or repository xgboost with tag {LEGACY_TAG} or latest; or scikit-learn: repository {_SKLEARN} "
        f"with tag {', '.join(SKLEARN_TAGS[:-1])} or {SKLEARN_TAGS[-1]} and -cpu-py3 behind it."
    )


def resolved_image(uri: str) -> str:
    """Return the URI by digest, as DeployedImages shows it: the same for the same repository and version."""
    parts = _URI.fullmatch(uri)
    if parts is None:
        return f"{uri.partition('@')[0]}@{_digest(uri)}"
    image, framework = built_in_image(uri), framework_image(uri)
    if image is not None:
        named = _built_in_digest(image.tag)
    else:
        tag = framework.tag if framework else parts["tag"]
        named = _digest(f"{parts['repository']}:{tag}")
    return f"{parts['host']}/{parts['repository']}@{parts['digest'] or named}"


@cache
def _version(tag: str) -> tuple[int, int, int]:
    if tag == LEGACY_TAG:
        return (0, 72, 0)
    major, minor, build = re.split("[.-]", tag)
    return (int(major), int(minor), int(build))


def _digest(name: str) -> str:
    return "sha256:" + hashlib.sha256(name.encode()).hexdigest()


def _built_in_digest(tag: str) -> str:
    return _digest(f"built-in/xgboost:{tag}")


_TAGS_BY_DIGEST = {_built_in_digest(tag): tag for tag in XGBOOST_TAGS}

_SKLEARN = "sagemaker-scikit-learn"
_SKLEARN_BY_DIGEST = {_digest(f"{_SKLEARN}:{tag}"): tag for tag in SKLEARN_TAGS}

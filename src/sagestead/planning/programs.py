"""Which program runs an image.

Rule: an image is what its URI says (domain/images.py); the table of programs is given, never searched for. A
framework's image runs a program of the user's when one is named, in the framework's runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sagestead.domain.images import PROGRAM, built_in_image, command_of, framework_image, named_program
from sagestead.domain.resources import Json

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Program:
    """Entry points of an algorithm, `module:function` (worker/contract.py); empty for a user's program."""

    load: str
    train: str
    prepare: str | None = None
    """There when models hold no user code: front doors may host what it makes of them."""

    layout: str = ""
    """Of what it prepares: what another version of the program has prepared is prepared again."""

    runtime: str | None = None
    """Where a program of a user's is run (domain/runtimes.py)."""


Programs = Mapping[str, Program]
"""Algorithm name -> entry points."""


def program_of(programs: Programs, image: str, environment: Mapping[str, str] = _NOTHING) -> Program | None:
    """Return the program that runs an image in a container with that environment, or None."""
    framework = framework_image(image)
    if framework is not None and framework.runs_program(environment):
        return Program("", "", runtime=framework.runtime)
    found = built_in_image(image)
    return None if found is None else programs.get(found.algorithm)


def program_of_container(programs: Programs, container: Json) -> Program | None:
    """Return the program that runs a model's container (Image, Environment), or None."""
    return program_of(programs, container.get("Image", ""), container.get("Environment", {}))


def program_of_training(programs: Programs, spec: Json) -> Program | None:
    """Return the program that a training job runs, or None."""
    image = spec["AlgorithmSpecification"].get("TrainingImage", "")
    framework = framework_image(image)
    if framework is not None and command_of(spec):
        return Program("", "", runtime=framework.runtime)
    return program_of(programs, image, {PROGRAM: named_program(spec) or ""})


def is_isolated(container: Json, runtime: str | None) -> bool:
    """Say whether a container's program must reach no network; an algorithm of ours opens no connections."""
    return runtime is not None and bool(container.get("EnableNetworkIsolation"))


def source_of(container: Json) -> str | None:
    """Return the S3 URI of a container's source archive; None when its code lies elsewhere."""
    found: str = container.get("Environment", {}).get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    return found if found.startswith("s3://") else None


def source_of_training(spec: Json) -> str | None:
    """Return the S3 URI of a training job's source archive, or None; SDKs write it as JSON."""
    given = spec.get("HyperParameters", {}).get("sagemaker_submit_directory")
    found = given or spec.get("Environment", {}).get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    found = found.strip('"')
    return found if found.startswith("s3://") else None

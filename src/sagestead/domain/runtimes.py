"""Runtimes: the Python environments in which programs of users run, one for each framework image.

Rules: the framework has exactly the version of the image; what comes with it is what AWS's images hold, or
the nearest release that exists ready-built for the Python. A version that no Python of the machine can run is
refused by name, never replaced by another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

_FULL = "; sys_platform != 'linux' or platform_machine != 'x86_64'"
_CPU = "; sys_platform == 'linux' and platform_machine == 'x86_64'"

KNOWN_PYTHONS = ("3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
"""Every Python that a runtime may stand on, oldest first."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Pythons that are equally good, the best first, and the requirements (PEP 508) to install for them."""

    pythons: tuple[str, ...]
    requirements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Runtime:
    """A framework at one version.

    Attributes:
        name: `framework:tag`.
        choices: ways to have it, the best first.
        imports: modules that must be importable in it.
    """

    name: str
    choices: tuple[Choice, ...]
    imports: tuple[str, ...]

    @property
    def pythons(self) -> tuple[str, ...]:
        """Every Python that can run it, the best first."""
        return tuple(python for choice in self.choices for python in choice.pythons)

    def requirements_for(self, python: str) -> tuple[str, ...]:
        """Return what to install for a Python, for example `3.9`, that is one of `pythons`."""
        return next(choice.requirements for choice in self.choices if python in choice.pythons)


def digest_of(python: str, requirements: Sequence[str], base: str = "") -> str:
    """Return the name of an environment's folder.

    Args:
        python: full version of its Python, for example `3.9.18`.
        requirements: what is installed.
        base: digest of the environment that it is laid upon, if any.
    """
    content = json.dumps([python, sorted(requirements), base])
    return hashlib.sha256(content.encode()).hexdigest()[:24]


def _sklearn(tag: str, *choices: tuple[str, str]) -> Runtime:
    return Runtime(f"sklearn:{tag}", _choices(choices), ("sklearn", "numpy", "scipy", "pandas", "joblib"))


def _xgboost(tag: str, *choices: tuple[str, str]) -> Runtime:
    return Runtime(f"xgboost:{tag}", _choices(choices), ("xgboost", "sklearn", "numpy", "scipy", "pandas"))


def _choices(choices: Sequence[tuple[str, str]]) -> tuple[Choice, ...]:
    return tuple(
        Choice(tuple(pythons.split()), tuple(line.strip() for line in requirements.split(",")))
        for pythons, requirements in choices
    )


_OLD = "numpy==1.19.5, scipy==1.5.4, pandas==1.1.5, joblib==1.0.1"
_MIDDLE = "numpy==1.21.6, scipy==1.7.3, pandas==1.3.5, joblib==1.1.1"
_LATE = "numpy==1.24.1, scipy==1.10.1, pandas==1.5.3, joblib==1.2.0"
_NEW = "numpy==1.26.4, scipy==1.13.0, pandas==2.2.2, joblib==1.4.2"
_PLATE = "numpy==2.1.3, scipy==1.15.3, pandas==2.2.3, joblib==1.4.2, scikit-learn==1.6.1"


def _early_xgboost(version: str) -> tuple[tuple[str, str], ...]:
    """Return the choices of a release whose wheel fits any Python that its neighbours fit."""
    return (
        ("3.7 3.8 3.9", f"xgboost=={version}, scikit-learn==0.24.2, {_OLD}"),
        ("3.10", f"xgboost=={version}, scikit-learn==1.0.2, {_MIDDLE}"),
    )


def _late_xgboost(version: str) -> tuple[tuple[str, str], ...]:
    both = f"xgboost-cpu=={version}{_CPU}, xgboost=={version}{_FULL}"
    return (
        ("3.10 3.11 3.12", f"{both}, scikit-learn==1.4.2, {_NEW}"),
        ("3.13", f"{both}, {_PLATE}"),
    )


_ALL = (
    _sklearn(
        "0.20.0", ("3.7", "scikit-learn==0.20.0, numpy==1.16.6, scipy==1.2.3, pandas==0.25.3, joblib==0.13.2")
    ),
    _sklearn("0.23-1", ("3.7 3.8", f"scikit-learn==0.23.2, {_OLD}")),
    _sklearn(
        "1.0-1",
        ("3.8 3.7 3.9", f"scikit-learn==1.0.2, {_OLD}"),
        ("3.10", f"scikit-learn==1.0.2, {_MIDDLE}"),
    ),
    _sklearn("1.2-1", ("3.9 3.8 3.10 3.11", f"scikit-learn==1.2.1, {_LATE}")),
    _sklearn("1.4-2", ("3.10 3.11 3.12 3.9", f"scikit-learn==1.4.2, {_NEW}")),
    _xgboost("0.90-1", *_early_xgboost("0.90")),
    _xgboost("0.90-2", *_early_xgboost("0.90")),
    _xgboost("1.0-1", *_early_xgboost("1.0.2")),
    _xgboost("1.2-1", *_early_xgboost("1.2.1")),
    _xgboost("1.2-2", *_early_xgboost("1.2.1")),
    _xgboost("1.3-1", *_early_xgboost("1.3.3")),
    _xgboost("1.5-1", *_early_xgboost("1.5.2")),
    _xgboost("1.7-1", ("3.9 3.8 3.10 3.11", f"xgboost==1.7.4, scikit-learn==1.2.1, {_LATE}")),
    _xgboost("3.0-5", *_late_xgboost("3.0.5")),
    _xgboost("3.2-0", *_late_xgboost("3.2.0")),
)

RUNTIMES: Mapping[str, Runtime] = MappingProxyType({runtime.name: runtime for runtime in _ALL})
"""Every runtime by name."""

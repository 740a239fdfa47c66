"""Modules that AWS's containers have for scripts, by their names there: the pieces that scripts import.

Rules: a module that is installed goes before. A name that is not provided ends in an ImportError that says
which are. Nothing is imported before it is asked for.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_TYPES = ("JSON", "CSV", "NPY", "OCTET_STREAM", "ANY", "UTF8_TYPES")
_READERS = ("decode", "json_to_numpy", "csv_to_numpy", "npy_to_numpy")
_WRITERS = ("encode", "array_to_json", "array_to_csv", "array_to_npy")
_ERRORS = ("ClientError", "UnsupportedFormatError")
_ENV = ("TrainingEnv", "read_hyperparameters", "read_resource_config", "read_input_data_config")
_MATRICES = ("decode", "csv_to_dmatrix", "libsvm_to_dmatrix", "recordio_protobuf_to_dmatrix")
_XGBOOST_TYPES = ("LIBSVM", "X_LIBSVM", "X_PARQUET", "X_RECORDIO_PROTOBUF")


def _of(place: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, place)


MODULES: dict[str, dict[str, str]] = {
    "sagemaker_containers": _of("environment", "training_env"),
    "sagemaker_containers.beta": {},
    "sagemaker_containers.beta.framework": _of("environment", "training_env"),
    "sagemaker_containers.beta.framework.content_types": _of("formats", *_TYPES),
    "sagemaker_containers.beta.framework.encoders": _of("formats", *_READERS, *_WRITERS),
    "sagemaker_containers.beta.framework.env": _of("environment", *_ENV),
    "sagemaker_containers.beta.framework.errors": _of("formats", *_ERRORS),
    "sagemaker_containers.beta.framework.worker": _of("answers", "Response"),
    "sagemaker_training": {},
    "sagemaker_training.content_types": _of("formats", *_TYPES),
    "sagemaker_training.encoders": _of("formats", *_READERS, *_WRITERS),
    "sagemaker_training.environment": {**_of("environment", *_ENV), "Environment": "environment:TrainingEnv"},
    "sagemaker_training.errors": _of("formats", *_ERRORS),
    "sagemaker_training.logging_config": _of("environment", "get_logger"),
    "sagemaker_inference": {},
    "sagemaker_inference.content_types": _of("formats", *_TYPES),
    "sagemaker_inference.decoder": _of("formats", *_READERS),
    "sagemaker_inference.encoder": _of("formats", *_WRITERS),
    "sagemaker_inference.errors": _of("formats", "UnsupportedFormatError"),
    "sagemaker_xgboost_container": {},
    "sagemaker_xgboost_container.constants": {},
    "sagemaker_xgboost_container.constants.xgb_content_types": _of("formats", *_XGBOOST_TYPES),
    "sagemaker_xgboost_container.data_utils": _of("matrices", "get_dmatrix", "get_content_type"),
    "sagemaker_xgboost_container.encoder": _of("matrices", *_MATRICES),
    "sagemaker_algorithm_toolkit": {},
    "sagemaker_algorithm_toolkit.exceptions": _of("formats", "UserError"),
}
"""What there is: module -> name -> where it is here, `module` or `module:name`."""

_EMPTY = (
    "sagemaker_containers.entry_point",
    "sagemaker_containers.beta.framework.entry_point",
    "sagemaker_containers.beta.framework.files",
    "sagemaker_containers.beta.framework.functions",
    "sagemaker_containers.beta.framework.logging",
    "sagemaker_containers.beta.framework.mapping",
    "sagemaker_containers.beta.framework.modules",
    "sagemaker_containers.beta.framework.params",
    "sagemaker_containers.beta.framework.process",
    "sagemaker_containers.beta.framework.runner",
    "sagemaker_containers.beta.framework.server",
    "sagemaker_containers.beta.framework.trainer",
    "sagemaker_containers.beta.framework.transformer",
    "sagemaker_training.entry_point",
    "sagemaker_inference.default_inference_handler",
    "sagemaker_inference.transformer",
    "sagemaker_inference.utils",
    "sagemaker_xgboost_container.checkpointing",
    "sagemaker_xgboost_container.distributed",
)
"""What may be imported, because scripts do that without using it, and holds nothing."""

MODULES.update({module: {} for module in _EMPTY})


class Provided(ModuleType):
    """A module of the table."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever it is
        """Return a name of it, found when it is asked for first."""
        module = self.__name__
        if name.startswith("__"):
            raise AttributeError(name)
        if f"{module}.{name}" in MODULES:
            return importlib.import_module(f"{module}.{name}")
        where = MODULES[module].get(name)
        if where is None:
            raise ImportError(_not_provided(module, name), name=module)
        place, _, renamed = where.partition(":")
        value = getattr(importlib.import_module(f"{__package__}.{place}"), renamed or name)
        setattr(self, name, value)
        return value


class _Finder(MetaPathFinder, Loader):
    """Finds what is in the table, after everyone else has looked."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[Any] | None = None,  # noqa: ARG002 - the protocol's
        target: ModuleType | None = None,  # noqa: ARG002 - the same
    ) -> ModuleSpec | None:
        """Return how a module of the table is loaded."""
        return ModuleSpec(fullname, self, is_package=True) if fullname in MODULES else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return a new module."""
        return Provided(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: names are found when they are asked for."""


def install() -> None:
    """Make the table importable."""
    if not any(isinstance(one, _Finder) for one in sys.meta_path):
        sys.meta_path.append(_Finder())


def _not_provided(module: str, name: str) -> str:
    package = module.partition(".")[0]
    there = sorted(
        f"{one[len(package) + 1 :]}.{known}".lstrip(".")
        for one, names in MODULES.items()
        if one.partition(".")[0] == package
        for known in names
    )
    return (
        f"{module}.{name} is not provided here. Of {package} there are {', '.join(there)}; what else a "
        "script uses belongs into its requirements.txt."
    )

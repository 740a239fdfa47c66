"""What a training script is told: its arguments and its SM_ variables (spec: container-contract.md 6.1).

Rule: pure; paths are those of a container. Values that are no strings are compact JSON with sorted keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OPT_ML = "/opt/ml"
CODE = "/opt/ml/code"

_PLATFORMS = frozenset({"_tuning_objective_metric", "default_user_module_name"})
_PREFIX = "sagemaker_"


@dataclass(frozen=True, slots=True)
class Told:
    """What the platform has written into the configuration folder, and how large the host is.

    Attributes:
        hyperparameters: hyperparameters.json, every value a string.
        channels: inputdataconfig.json.
        resources: resourceconfig.json.
        environment: the container's.
        cores: how many cores the job may use.
    """

    hyperparameters: Mapping[str, str]
    channels: Mapping[str, Any]
    resources: Mapping[str, Any]
    environment: Mapping[str, str]
    cores: int

    def platform(self, name: str) -> str | None:
        """Return a platform's setting, for example `sagemaker_program`, decoded; None when there is none."""
        value = self.hyperparameters.get(name)
        if value is None:
            return self.environment.get(name.upper()) or None
        return str(decoded(value)) or None

    @property
    def own(self) -> dict[str, Any]:
        """The hyperparameters that are the script's, decoded."""
        return {
            name: decoded(value)
            for name, value in self.hyperparameters.items()
            if name not in _PLATFORMS and not name.startswith(_PREFIX)
        }


def decoded(value: str) -> Any:  # noqa: ANN401 - whatever JSON says
    """Return what a hyperparameter's JSON says; the text itself when it is none."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def arguments_of(own: Mapping[str, Any]) -> list[str]:
    """Return the script's command line: sorted, `--key value`, `-k value` for keys of one letter."""
    words = []
    for name in sorted(own):
        words += [f"--{name}" if len(name) > 1 else f"-{name}", _argument(own[name])]
    return words


def variables_of(told: Told, framework: str) -> dict[str, str]:
    """Return the SM_ variables; `framework` is `sklearn` or `xgboost`."""
    values = _values(told, framework)
    values |= {f"channel_{name}": f"{OPT_ML}/input/data/{name}" for name in told.channels}
    found = {f"SM_{name.upper()}": _text(value) for name, value in values.items()}
    found |= {f"SM_HP_{name.upper()}": _text(value) for name, value in told.own.items()}
    return {**found, "SM_TRAINING_ENV": compact(_as_training_env(told, values))}


def compact(value: object) -> str:
    """Return compact JSON with sorted keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _values(told: Told, framework: str) -> dict[str, Any]:
    """Return what the variables say, by name in lower case and without SM_."""
    resources, program = told.resources, told.platform("sagemaker_program") or ""
    groups: Sequence[Mapping[str, Any]] = resources.get("instance_groups", [])
    group = resources.get("current_group_name", "homogeneousCluster")
    return {
        "model_dir": f"{OPT_ML}/model",
        "input_dir": f"{OPT_ML}/input",
        "input_config_dir": f"{OPT_ML}/input/config",
        "output_dir": f"{OPT_ML}/output",
        "output_data_dir": f"{OPT_ML}/output/data",
        "output_intermediate_dir": f"{OPT_ML}/output/intermediate",
        "channels": sorted(told.channels),
        "hps": told.own,
        "user_args": arguments_of(told.own),
        "current_host": resources.get("current_host", "algo-1"),
        "hosts": resources.get("hosts", ["algo-1"]),
        "network_interface_name": resources.get("network_interface_name", "lo"),
        "num_cpus": told.cores,
        "num_gpus": 0,
        "num_neurons": 0,
        "log_level": int(told.platform("sagemaker_container_log_level") or 20),
        "resource_config": dict(resources),
        "input_data_config": dict(told.channels),
        "module_dir": told.platform("sagemaker_submit_directory") or CODE,
        "module_name": program.removesuffix(".py"),
        "user_entry_point": program,
        "framework_module": f"sagemaker_{framework}_container.training:main",
        "framework_params": _framework_params(told),
        "current_instance_type": resources.get("current_instance_type", "local"),
        "current_instance_group": group,
        "current_instance_group_hosts": next(
            (one["hosts"] for one in groups if one["instance_group_name"] == group), []
        ),
        "instance_groups": [one["instance_group_name"] for one in groups],
        "instance_groups_dict": {one["instance_group_name"]: one for one in groups},
        "is_hetero": len(groups) > 1,
        "distribution_instance_groups": [],
    }


def _framework_params(told: Told) -> dict[str, Any]:
    return {
        name: decoded(value)
        for name, value in told.hyperparameters.items()
        if name in _PLATFORMS or name.startswith(_PREFIX)
    }


def _as_training_env(told: Told, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return SM_TRAINING_ENV: the same values under the names that its readers know."""
    renamed = {"hps": "hyperparameters", "framework_params": "additional_framework_parameters"}
    left_out = {"user_args", "instance_groups_dict", "distribution_instance_groups"}
    found = {
        renamed.get(name, name): value
        for name, value in values.items()
        if name not in left_out and not name.startswith("channel_")
    }
    channels = {name: f"{OPT_ML}/input/data/{name}" for name in told.channels}
    return {
        **found,
        "channel_input_dirs": channels,
        "job_name": told.environment.get("TRAINING_JOB_NAME", ""),
        "is_master": values["current_host"] == values["hosts"][0],
        "master_hostname": values["hosts"][0],
    }


def _argument(value: object) -> str:
    """Return a value as an argument, the way that AWS's toolkits write it."""
    if isinstance(value, dict):
        return ",".join(f"{name}={value[name]}" for name in sorted(value))
    return "" if value is None else str(value)


def _text(value: object) -> str:
    return value if isinstance(value, str) else compact(value)

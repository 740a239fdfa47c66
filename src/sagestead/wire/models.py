"""Service models: which operations AWS has and what their shapes are, from the files that botocore ships.

Rule: the only place that knows where the models come from. A model is read at its first use, once a
process (about 0.1 s for SageMaker), straight from botocore's data files: importing botocore's loader
would cost more than the reading.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sagestead.wire.shapes import Shape, Shapes


@dataclass(frozen=True, slots=True)
class OperationModel:
    """One operation. `input` and `output` are None when AWS models none."""

    name: str
    input: Shape | None
    output: Shape | None
    result_wrapper: str | None


class ServiceModel:
    """One service, by botocore's name for it (`sagemaker`, `iam`, `sts`, `logs`, `cloudwatch`)."""

    def __init__(self, name: str, raw: Mapping[str, Any]) -> None:
        metadata = raw["metadata"]
        self.name = name
        self.protocol: str = metadata["protocol"]
        self.version: str = metadata["apiVersion"]
        self.json_version: str = metadata.get("jsonVersion", "1.1")
        self.target_prefix: str = metadata.get("targetPrefix", "")
        self.namespace: str = metadata.get("xmlNamespace", "")
        self._operations: Mapping[str, Any] = raw["operations"]
        self._shapes = Shapes(raw["shapes"])
        self._converted: dict[str, OperationModel] = {}
        self._converting = threading.Lock()

    @property
    def operations(self) -> tuple[str, ...]:
        """The names of all operations, in alphabetical order."""
        return tuple(sorted(self._operations))

    def __contains__(self, operation: str) -> bool:
        return operation in self._operations

    def operation(self, name: str) -> OperationModel:
        """Return one operation; raise `KeyError` when AWS has none of that name."""
        known = self._converted.get(name)
        if known is None:
            with self._converting:  # nobody may see a shape that has only some of its members
                known = self._converted[name] = self._convert(name)
        return known

    def _convert(self, name: str) -> OperationModel:
        raw = self._operations[name]
        output = raw.get("output", {})
        return OperationModel(
            name,
            self._shapes[raw["input"]["shape"]] if "input" in raw else None,
            self._shapes[output["shape"]] if output else None,
            output.get("resultWrapper"),
        )


@cache
def service_model(name: str) -> ServiceModel:
    """Return the newest model of a service; raise `LookupError` when botocore has none."""
    package = find_spec("botocore")
    if package is None or package.origin is None:
        raise LookupError("botocore is not installed; run `pip install botocore`")
    files = sorted((Path(package.origin).parent / "data" / name).glob("*/service-2.json.gz"))
    if not files:
        raise LookupError(f"botocore has no model of the service {name!r}")
    return ServiceModel(name, json.loads(gzip.decompress(files[-1].read_bytes())))

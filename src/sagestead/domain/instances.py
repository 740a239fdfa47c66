"""Instance types are nominal: they say how many threads a job or an instance may use.

Rule: sizes follow EC2's naming (spec: operations.md section 14): `large` has 2 vCPUs, `xlarge` 4, `<n>xlarge`
4 n; what deviates stands in a table. Which types exist for which use is said by the service model, not here.
"""

from __future__ import annotations

import re

_TYPE = re.compile(r"ml\.(?P<family>[a-z][a-z0-9-]*)\.(?:(?P<count>\d{0,3})xlarge|(?P<small>large|medium))")

_SMALL = {"medium": 2, "large": 2}
_DEVIATING = {"ml.c4.8xlarge": 36}
_GRAVITON_MEDIUM = re.compile(r"ml\.[a-z]\d+g[a-z]*\.medium")


def vcpus(instance_type: str) -> int | None:
    """Return the number of vCPUs that a type has at AWS; None for names that follow no known form."""
    if instance_type in _DEVIATING:
        return _DEVIATING[instance_type]
    if _GRAVITON_MEDIUM.fullmatch(instance_type):
        return 1
    parts = _TYPE.fullmatch(instance_type)
    if parts is None:
        return None
    return _SMALL[parts["small"]] if parts["small"] else 4 * int(parts["count"] or 1)


def threads(instance_type: str, cores: int) -> int:
    """Return how many threads to use: the type's vCPUs, at most the host's `cores`, at least 1."""
    return max(1, min(vcpus(instance_type) or cores, cores))

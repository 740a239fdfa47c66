"""Members of a request that ask for what this server does not do.

Rule: nothing is accepted and then ignored. Each operation names the members that it carries out (or that
are only echoed because they ask for nothing); any other member that asks for something is refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sagestead.domain.errors import Invalid
from sagestead.domain.resources import Json

LEAVE_OUT = "leave it out"
_LONGEST = 80
_NOTHING: Mapping[str, str] = MappingProxyType({})


def refuse_others(
    value: Json, carried_out: frozenset[str], at: str = "", remedies: Mapping[str, str] = _NOTHING
) -> None:
    """Refuse the first member outside `carried_out` that asks for something.

    `at` is the path of `value` (`"ResourceConfig."`); `remedies` says, by member, what to do instead.
    """
    for name, member in value.items():
        if name not in carried_out and asks(member):
            raise refused(f"{at}{name}", member, remedies.get(name, LEAVE_OUT))


def asks(value: Any) -> bool:  # noqa: ANN401 - any decoded member
    """Say whether a value asks for anything: false, zero, empty text and empty structures do not."""
    if isinstance(value, dict):
        return any(asks(member) for member in value.values())
    return bool(value)


def refused(path: str, value: Any, remedy: str) -> Invalid:  # noqa: ANN401 - any decoded member
    """Return the refusal of a member that is not carried out."""
    shown = "" if isinstance(value, dict | list) else f" {json.dumps(value, ensure_ascii=False)}"
    if len(shown) > _LONGEST:
        shown = f"{shown[:_LONGEST]}…"
    return Invalid(f"{path}{shown} is not supported by this server: {remedy}.")

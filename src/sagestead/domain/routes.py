"""Where an endpoint's requests go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

INLINE = "inline:"
"""Beginning of the address of a model that front doors host themselves; a prepared folder's path follows."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A production variant: its share of the traffic and the addresses of its ready instances.

    An address is the path of an instance's Unix socket, or `INLINE` and the folder of a prepared model.
    """

    name: str
    weight: float
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint that serves. `endpoint` has the exact case; ARNs and log groups use it as it is."""

    account: str
    region: str
    endpoint: str
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True)
class RouteTable:
    """All routes at one revision; replaced whole, never changed. Keyed by (account, region, endpoint)."""

    revision: int = 0
    routes: Mapping[tuple[str, str, str], Route] = field(default_factory=lambda: MappingProxyType({}))

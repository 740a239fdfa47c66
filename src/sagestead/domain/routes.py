"""Where an endpoint's requests go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Place: TypeAlias = tuple[str, str, str]
"""Which endpoint: (account, region, name)."""

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

    @property
    def place(self) -> Place:
        """Which endpoint it is."""
        return self.account, self.region, self.endpoint

    @property
    def is_inline(self) -> bool:
        """True when front doors host it themselves, or a part of it."""
        return any(address.startswith(INLINE) for one in self.variants for address in one.addresses)


@dataclass(frozen=True, slots=True)
class RouteChanges:
    """What a follower of the routes has missed.

    Attributes:
        revision: who applies the changes has the routes as they were at this revision.
        changed: routes published since, each as it is now.
        withdrawn: endpoints that have no route any more.
        whole: `changed` is every route there is; what else the follower has is withdrawn.
    """

    revision: int
    changed: tuple[Route, ...] = ()
    withdrawn: tuple[Place, ...] = ()
    whole: bool = False

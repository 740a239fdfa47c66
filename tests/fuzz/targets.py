"""All targets by name."""

from __future__ import annotations

from tests.fuzz import bodies, models, requests

from sagestead.forest import compiling

GROUPS = {"models": models.TARGETS, "bodies": bodies.TARGETS, "requests": requests.TARGETS}
TARGETS = {name: target for group in GROUPS.values() for name, target in group.items()}


def make_ready() -> None:
    """Load the kernels, which targets compare with Python."""
    if compiling.load() is None:
        raise RuntimeError("the kernels cannot be loaded")

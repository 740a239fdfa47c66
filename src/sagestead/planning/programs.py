"""Which program runs an image.

Rule: an image is what its URI says (domain/images.py); the table of programs is given, never searched for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sagestead.domain.images import built_in_image


@dataclass(frozen=True, slots=True)
class Program:
    """Entry points of an algorithm, `module:function` (worker/contract.py)."""

    load: str
    train: str
    prepare: str | None = None
    """There when models hold no user code: front doors may host what it makes of them."""


Programs = Mapping[str, Program]
"""Algorithm name -> entry points."""


def program_of(programs: Programs, image: str) -> Program | None:
    """Return the program that runs an image, or None."""
    found = built_in_image(image)
    return None if found is None else programs.get(found.algorithm)

"""The place in a list at which its next page begins, as the tokens of logs and metrics carry it.

Rule: a token says nothing that its caller may not know, so it is not sealed; it is read strictly all the
same.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any


def marked(place: Sequence[str | int]) -> str:
    """Return the token of a place."""
    return base64.urlsafe_b64encode(json.dumps(list(place)).encode()).decode()


def unmarked(token: str, kinds: Sequence[type]) -> list[Any] | None:
    """Return the place that a token names, whose parts have these types; None when it is no such token."""
    try:
        place = json.loads(base64.b64decode(token.encode(), altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        return None
    if not isinstance(place, list) or [type(part) for part in place] != list(kinds):
        return None
    return place

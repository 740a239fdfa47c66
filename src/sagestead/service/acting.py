"""Operations that are carried out for somebody: the context that they are given."""

from __future__ import annotations

import time
from collections.abc import Callable

from sagestead.control.context import Context
from sagestead.domain.identity import Principal
from sagestead.service.adapters import Adapters


def acting(adapters: Adapters) -> Callable[[Principal], Context]:
    """Return what makes the context of an operation carried out for a principal, now."""

    def make(principal: Principal) -> Context:
        return Context(
            principal=principal,
            request_id="",
            now=round(time.time(), 3),
            resources=adapters.resources,
            objects=adapters.objects,
            credentials=adapters.credentials,
            logs=adapters.logs,
            metrics=adapters.metrics,
        )

    return make

"""Credentials as the front door holds them.

Rule: a credential is looked up anew after half a second, on a thread, so that a disabled key is refused
everywhere within one second and the event loop never waits for a disk. Unknown keys are never remembered.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

from sagestead.domain.identity import Credential
from sagestead.ports import Credentials

_FRESH_SECONDS = 0.5
_MOST = 1024
_LONGEST_KEY = 128


class Keyring:
    """A bounded, short memory in front of `Credentials`.

    Args:
        credentials: the store.
        timer: seconds that only ever grow.
    """

    def __init__(self, credentials: Credentials, timer: Callable[[], float] = time.monotonic) -> None:
        self._credentials = credentials
        self._timer = timer
        self._held: OrderedDict[str, tuple[float, Credential]] = OrderedDict()

    async def find(self, access_key_id: str) -> Credential | None:
        """Return the credential, at most half a second old; None for an unknown key."""
        if len(access_key_id) > _LONGEST_KEY:
            return None
        now = self._timer()
        held = self._held.get(access_key_id)
        if held is not None and now - held[0] < _FRESH_SECONDS:
            return held[1]
        found = await asyncio.to_thread(self._credentials.find, access_key_id)
        self._held.pop(access_key_id, None)
        if found is not None:
            self._held[access_key_id] = (now, found)
            if len(self._held) > _MOST:
                self._held.popitem(last=False)
        return found

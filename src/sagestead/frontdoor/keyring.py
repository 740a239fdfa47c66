"""Credentials as the front door holds them.

Rule: a credential is used for half a second at most, and looked up on a thread, so that a disabled key is
refused everywhere within one second and the event loop never waits for a disk. Keys in use are looked up
again before the half second is over: their requests never wait. Unknown keys are never remembered.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable

from sagestead.domain.identity import Credential
from sagestead.ports import Credentials

_LOG = logging.getLogger(__name__)
_FRESH_SECONDS = 0.5
_RENEWED_SECONDS = 0.25
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
        self._renewals: dict[str, asyncio.Task[None]] = {}

    def held(self, access_key_id: str) -> Credential | None:
        """Return the credential if it is here and at most half a second old; None: it must be looked up."""
        held = self._held.get(access_key_id)
        if held is None:
            return None
        age = self._timer() - held[0]
        if age >= _RENEWED_SECONDS:
            if age >= _FRESH_SECONDS:
                return None
            if access_key_id not in self._renewals:
                task = asyncio.get_running_loop().create_task(self._renew(access_key_id))
                self._renewals[access_key_id] = task
        return held[1]

    async def find(self, access_key_id: str) -> Credential | None:
        """Return the credential, at most half a second old; None for an unknown key."""
        if len(access_key_id) > _LONGEST_KEY:
            return None
        return self.held(access_key_id) or await self._look_up(access_key_id)

    async def _look_up(self, access_key_id: str) -> Credential | None:
        now = self._timer()
        found = await asyncio.to_thread(self._credentials.find, access_key_id)
        self._held.pop(access_key_id, None)
        if found is not None:
            self._held[access_key_id] = (now, found)
            if len(self._held) > _MOST:
                self._held.popitem(last=False)
        return found

    async def _renew(self, access_key_id: str) -> None:
        try:
            await self._look_up(access_key_id)
        except Exception:  # noqa: BLE001 - requests that need the key look it up themselves, and say so
            _LOG.warning("the credential %s could not be renewed", access_key_id, exc_info=True)
        finally:
            del self._renewals[access_key_id]

"""When the certificate of `sagestead up --tls` is made, and made again.

Rule: at every start and once an hour after it; a renewal that fails while the server runs is logged, for the
certificate in use is good for another month. What makes certificates is imported only where they are made.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from sagestead.settings import Settings

log = logging.getLogger(__name__)

RENEW_SECONDS = 3600.0


class Unusable(Exception):  # noqa: N818 - it says why, in one sentence for the terminal
    """The certificate cannot be made; the text is one sentence with the remedy."""


class Renewal:
    """Keeps the certificate of one server good; does nothing for a server with another one, or none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._next = 0.0

    def prepare(self, now: float) -> None:
        """Make what is missing or about to end.

        Args:
            now: seconds since the epoch.

        Raises:
            Unusable: a file is damaged, or cannot be read or written.
        """
        self._next = now + RENEW_SECONDS
        if self._settings.tls_ca is None:
            return
        from sagestead.service.authority import UnusableFile, prepare  # noqa: PLC0415 - starts without TLS are quicker

        try:
            prepare(self._settings.folder, self._settings.host, datetime.fromtimestamp(now, UTC))
        except UnusableFile as reason:
            raise Unusable(str(reason)) from reason
        except OSError as error:
            place = self._settings.folder.tls
            raise Unusable(
                f"The certificate cannot be made in {place} ({error}); make the folder writable, "
                "or name your own certificate with --tls-cert and --tls-key."
            ) from error

    def look(self, now: float) -> None:
        """Prepare again when an hour has passed."""
        if now < self._next:
            return
        try:
            self.prepare(now)
        except Unusable as reason:
            log.warning("the certificate was not renewed: %s", reason)

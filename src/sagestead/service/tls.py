"""The server's certificate, loaded, and loaded again when its files change.

Rule: a renewed certificate serves the next handshake; connections that are open stay open, and a file that
cannot be used leaves the old certificate in place.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

from sagestead.settings import Settings

log = logging.getLogger(__name__)

LOOK_SECONDS = 30.0

Stamp = tuple[int, ...]


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Return the server's TLS context, if a certificate is named; raise `OSError` if it cannot be used."""
    if settings.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.tls_cert, settings.tls_key)
    return context


class Certificates:
    """A TLS context that follows its files: a renewed certificate is served without a restart.

    Attributes:
        context: None when no certificate is named.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen = self._stamp()
        self.context = tls_context(settings)

    def look(self) -> bool:
        """Load the files again if they have changed and belong together; True when they were loaded."""
        certificate, key = self._settings.tls_cert, self._settings.tls_key
        if self.context is None or certificate is None:
            return False
        try:
            stamp = self._stamp()
            if stamp == self._seen:
                return False
            tls_context(self._settings)  # tried on a context that nobody uses
            self.context.load_cert_chain(certificate, key)
        except OSError as error:
            log.warning("the certificate %s cannot be loaded again: %s", certificate, error)
            return False
        self._seen = stamp
        log.info("the certificate %s was loaded again", certificate)
        return True

    async def keep(self) -> None:
        """Look every half minute, for as long as there is a certificate."""
        while self.context is not None:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def _stamp(self) -> Stamp:
        files = [Path(name).stat() for name in (self._settings.tls_cert, self._settings.tls_key) if name]
        return tuple(number for file in files for number in (file.st_mtime_ns, file.st_ino, file.st_size))

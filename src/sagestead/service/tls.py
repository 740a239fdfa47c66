"""The server's certificate."""

from __future__ import annotations

import ssl

from sagestead.settings import Settings


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Return the server's TLS context, if a certificate is named; raise `OSError` if it cannot be used."""
    if settings.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.tls_cert, settings.tls_key)
    return context

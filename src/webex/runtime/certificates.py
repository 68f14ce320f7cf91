"""TLS as the transports use it: the system's authorities and those of `ca_bundle`."""

from __future__ import annotations

import ssl

from webex.errors import ConfigurationError


def tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    """Make a client's context that verifies. Unlike the standard library's it writes no keys where a variable says."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    context.set_alpn_protocols(["http/1.1"])
    if ca_bundle is not None:
        try:
            context.load_verify_locations(ca_bundle)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"ca_bundle {ca_bundle!r} can't be read as PEM certificates: {type(error).__name__}."
            ) from error
    return context

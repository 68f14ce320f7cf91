"""TLS as the transports use it: the system's authorities and those of `ca_bundle`.

To read the system's authorities takes 16 ms, more than all else that a new client costs, and a megabyte. So clients of
one process share a context, for an hour at most: a client that is made later sees authorities that have changed.
"""

from __future__ import annotations

import os
import ssl
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from webex.errors import ConfigurationError

if TYPE_CHECKING:
    from webex.runtime.protocol import Style

_KEPT: Final = 3600.0  # seconds
_VARIABLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def tls_context(ca_bundle: str | None, style: Style) -> ssl.SSLContext:
    """Return a client's context that verifies, shared by those of one style. Raises `ConfigurationError`.

    Unlike the standard library's it writes no keys where a variable says. Do not change it, but for what all transports
    of the style set alike.
    """
    try:
        found = None if ca_bundle is None else os.stat(ca_bundle)
        stamp = None if found is None else (found.st_ino, found.st_size, found.st_mtime_ns)
        named = tuple(os.environ.get(name) for name in _VARIABLES)
        return _made(ca_bundle, style, (stamp, named, time.monotonic() // _KEPT, ssl.SSLContext))  # gevent has its own
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"ca_bundle {ca_bundle!r} can't be read as PEM certificates: {type(error).__name__}."
        ) from error


@lru_cache(maxsize=8)
def _made(ca_bundle: str | None, style: Style, stamp: object) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    context.set_alpn_protocols(["http/1.1"])
    if ca_bundle is not None:
        context.load_verify_locations(ca_bundle)
    return context

"""Which Host headers the emulator answers to: a web page that rebinds its own name to loopback must not get in."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

_LOOPBACK_V4: Final = re.compile(r"127(\.\d{1,3}){3}")
_PORT: Final = re.compile(r":[0-9]{0,5}")
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1", "testserver"})
CLOUD_DOMAINS: Final = ("webexapis.com", "webex.com", "wbx2.com", "ciscospark.com")
# The names on a certificate of the emulator's own making.
CERTIFICATE_NAMES: Final = (
    "webexapis.com",
    *(f"*.{domain}" for domain in CLOUD_DOMAINS),
    "localhost",
)


def is_allowed(host: str, more: Collection[str] = ()) -> bool:
    """Whether a Host header names this machine, the real cloud, or one of the names given; the port is anyone's."""
    name = host_name(host)
    if name in LOOPBACK or name in more or name.endswith(".localhost"):
        return True
    return any(name == domain or name.endswith(f".{domain}") for domain in CLOUD_DOMAINS)


def host_name(host: str) -> str:
    """Return the name in a Host header, without its port, in lower case; nothing where something else follows it."""
    name, port = host, ""
    if host.startswith("["):
        name, _, port = host[1:].partition("]")
    elif ":" in host:
        name, _, port = host.partition(":")
        port = f":{port}"
    return name.lower() if not port or _PORT.fullmatch(port) else ""


def is_loopback(name: str) -> bool:
    """Whether a host name means this machine."""
    return name in ("localhost", "::1") or name.endswith(".localhost") or _LOOPBACK_V4.fullmatch(name) is not None

"""The service catalog in hostmap form, and `/metrics`: what real clients need before anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from webex.emulator.wire import Reply

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable
    from webex.emulator.wire import Call

_CLUSTER: Final = "urn:TEAM:us-east-2_a:identityLookup"
# The order matters: clients take the first service whose URL a URL begins with.
_LINKS: Final = {
    "identityLookup": "/conversation/api/v1",  # the default cluster's conversation service
    "conversation": "/conversation/api/v1",
    "hydra": "/v1",
    "wdm": "/wdm/api/v1",
    "encryption": "/encryption/api/v1",
    "metrics": "/metrics/api/v1",
    "u2c": "/u2c/api/v1",
    "mercuryConnection": "/v1/apps/wx2",
    "feature": "/feature/api/v1",
    "avatar": "/avatar/api/v1",
    "files": "/files/api/v1",
    "board": "/board/api/v1",
    "apheleia": "/apheleia/api/v1",
    "argonaut": "/argonaut/api/v1",
    "user-onboarding": "/user-onboarding/api/v1",
    "license": "/license/api/v1",
    "atlas": "/admin/api/v1",
    "idbroker": "",
    "identity": "",
}


def routes(table: RouteTable) -> None:
    """Add these services."""
    table.add("GET", "/u2c/api/v1/limited/catalog", limited)
    table.add("GET", "/u2c/api/v1/catalog", catalog)
    table.add("GET", "/u2c/api/v1/signin/catalog", catalog)
    for path in ("/metrics/api/v1/clientmetrics", "/metrics/api/v1/metrics"):
        table.add("POST", path, metrics)


def limited(call: Call) -> Reply:
    """The catalog for who has not signed in; nobody has to."""
    return _hostmap(call)


def catalog(call: Call) -> Reply:
    """The catalog of who has signed in."""
    call.person()
    return _hostmap(call)


def metrics(call: Call) -> Reply:
    """Taken, and forgotten."""
    return Reply(200, {})


def _hostmap(call: Call) -> Reply:
    return Reply(200, {**hostmap(call.base), "format": "hostmap"})


def hostmap(base: str) -> dict[str, Any]:
    """Which service is where, for a client that used this scheme and host: `serviceLinks` and `hostCatalog`."""
    parts = urlsplit(base)
    entry = [{"host": parts.hostname, "id": _CLUSTER}]
    return {
        "serviceLinks": {name: f"{base}{path}" for name, path in _LINKS.items()},
        # Clients look a host up with its port, or without; the entry itself has none.
        "hostCatalog": {parts.hostname: entry, parts.netloc: entry},
    }

"""The service catalog in hostmap form, and `/metrics`: what real clients need before anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from webex.emulator.wire import Reply

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable
    from webex.emulator.wire import Call

_CLUSTER = "urn:TEAM:us-east-2_a:identityLookup"


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
    base = call.base
    parts = urlsplit(base)
    entry = [{"host": parts.hostname, "id": _CLUSTER}]
    return Reply(
        200,
        {
            "serviceLinks": {
                "identityLookup": f"{base}/conversation/api/v1",
                "hydra": f"{base}/v1",
                "wdm": f"{base}/wdm/api/v1",
                "encryption": f"{base}/encryption/api/v1",
                "metrics": f"{base}/metrics/api/v1",
                "idbroker": base,
                "identity": base,
            },
            # Clients look a host up with its port, or without; the entry itself has none.
            "hostCatalog": {parts.hostname: entry, parts.netloc: entry},
            "format": "hostmap",
        },
    )

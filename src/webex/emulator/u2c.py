"""The service catalog in hostmap form, the region, and `/metrics`: what real clients need before anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from webex.emulator.realtime.faults import change
from webex.emulator.wire import Problem, Reply

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.routing import RouteTable
    from webex.emulator.wire import Call

_SELECTORS: Final = ("emailhash", "userId", "orgId", "mode")
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


class Host(msgspec.Struct):
    """One host of every service; the lowest priority above 0 is to be used. The port is that of the link."""

    host: str
    priority: int = 1


class CatalogFaults(msgspec.Struct, kw_only=True):
    """What the catalog says instead of what is so."""

    missing: list[str] = []  # services that it leaves out
    hosts: list[Host] = []  # further hosts; name the one that serves too, with a priority
    cluster: str = "urn:TEAM:us-east-2_a"  # `us` in public ids; any other says a region


class ServiceCatalog:
    """The catalog of a cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.faults = CatalogFaults()

    def set_faults(self, **changes: Any) -> dict[str, Any]:
        """Change what it says by name; gives all of it. See `CatalogFaults`."""
        with self._cloud.lock:
            return dict(msgspec.to_builtins(change(self.faults, changes)))

    def reset(self) -> None:
        """Say what is so."""
        self.faults = CatalogFaults()

    def hostmap(self, base: str) -> dict[str, Any]:
        """Which service is where, for a client that used this scheme and host: `serviceLinks` and `hostCatalog`."""
        parts, faults = urlsplit(base), self.faults
        # The service is that of the default cluster's conversations: clients look the cluster of a URL up with it.
        id_ = f"{faults.cluster}:identityLookup"
        entries: list[dict[str, Any]] = [{"host": parts.hostname, "id": id_}]
        if faults.hosts:
            entries = [{"host": each.host, "ttl": -1, "priority": each.priority, "id": id_} for each in faults.hosts]
        return {
            "serviceLinks": {name: f"{base}{path}" for name, path in _LINKS.items() if name not in faults.missing},
            # Clients look a host up with its port, or without; the entry itself has none.
            "hostCatalog": {parts.hostname: entries, parts.netloc: entries},
        }


def routes(table: RouteTable) -> None:
    """Add these services."""
    table.add("GET", "/v1/region", region)
    table.add("GET", "/u2c/api/v1/limited/catalog", limited)
    table.add("GET", "/u2c/api/v1/catalog", catalog)
    table.add("GET", "/u2c/api/v1/signin/catalog", catalog)
    for path in ("/metrics/api/v1/clientmetrics", "/metrics/api/v1/metrics"):
        table.add("POST", path, metrics)


def limited(call: Call) -> Reply:
    """The catalog for who has not signed in, chosen by one thing that is known; nobody has to sign in."""
    if sum(call.arg(name) is not None for name in _SELECTORS) != 1:
        raise Problem(400, f"The limited catalog takes exactly one of {', '.join(_SELECTORS)}.")
    return _hostmap(call)


def catalog(call: Call) -> Reply:
    """The catalog of who has signed in."""
    call.person()
    return _hostmap(call)


def region(call: Call) -> Reply:
    """Where the caller is; nobody has to sign in."""
    return Reply(200, {"countryCode": "US", "regionCode": "US-EAST", "timezone": "America/New_York"})


def metrics(call: Call) -> Reply:
    """Taken, and forgotten."""
    return Reply(200, {})


def _hostmap(call: Call) -> Reply:
    return Reply(200, {**call.cloud.catalog.hostmap(call.base), "format": "hostmap"})

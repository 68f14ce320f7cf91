"""The service catalog in hostmap form, the region, and `/metrics`: what real clients need before anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from webex.emulator.accounts import ORG_ID
from webex.emulator.realtime.faults import change
from webex.emulator.wire import Problem, Reply

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.routing import RouteTable
    from webex.emulator.wire import Call

_FIRST_CLUSTER: Final = "urn:TEAM:us-east-2_a"
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
    "mercuryConnection": "/mercury/v1/apps/wx2",
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
    cluster: str | None = None  # instead of the one that the setting `cluster` says: a region's, for public ids


class ServiceCatalog:
    """The catalog of a cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.faults: CatalogFaults = CatalogFaults()

    def set_faults(self, **changes: Any) -> dict[str, Any]:
        """Change what it says by name; gives all of it. See `CatalogFaults`."""
        with self._cloud.lock:
            return dict(msgspec.to_builtins(change(self.faults, changes)))

    def reset(self) -> None:
        """Say what is so."""
        self.faults = CatalogFaults()

    @property
    def cluster(self) -> str:
        """The cluster of the conversation service; `us` in public ids stands for the first one of the cloud."""
        home = self._cloud.settings.cluster
        return self.faults.cluster or (_FIRST_CLUSTER if home == "us" else home)

    def version_2(self, base: str, org_id: str) -> dict[str, Any]:
        """Return the services in the form `U2Cv2`: each with its addresses, and which cluster of each is active."""
        links = self.hostmap(base)["serviceLinks"]
        # The first name of the conversation service is the default cluster's, for lookups; it is no service.
        names = [name for name in links if name != "identityLookup"]
        ids = {name: f"{self.cluster}:{name}" for name in names}
        return {
            "activeServices": ids,
            "services": [
                {"id": ids[name], "serviceName": name, "serviceUrls": [{"baseUrl": links[name], "priority": 1}]}
                for name in names
            ],
            "orgId": org_id,
            "timestamp": str(round(self._cloud.now())),
            "format": "U2Cv2",
        }

    def hostmap(self, base: str) -> dict[str, Any]:
        """Which service is where, for a client that used this scheme and host: `serviceLinks` and `hostCatalog`."""
        parts, faults = urlsplit(base), self.faults
        # The service is that of the default cluster's conversations: clients look the cluster of a URL up with it.
        id_ = f"{self.cluster}:identityLookup"
        entries: list[dict[str, Any]] = [{"host": parts.hostname, "id": id_}]
        if faults.hosts:
            entries = [{"host": each.host, "ttl": -1, "priority": each.priority, "id": id_} for each in faults.hosts]
        links = {name: f"{base}{path}" for name, path in _LINKS.items() if name not in faults.missing}
        if "mercuryConnection" in links:
            links["mercuryConnection"] = "ws" + links["mercuryConnection"].removeprefix("http")
        return {
            "serviceLinks": links,
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
    """Return the catalog for callers without a token, chosen by one thing that is known."""
    if sum(call.arg(name) is not None for name in _SELECTORS) != 1:
        raise Problem(400, f"The limited catalog takes exactly one of {', '.join(_SELECTORS)}.")
    return _hostmap(call)


def catalog(call: Call) -> Reply:
    """Return the catalog of the token's owner."""
    return _hostmap(call, call.person().org_id)


def region(call: Call) -> Reply:
    """Return where the caller is; no token is needed."""
    return Reply(200, {"countryCode": "US", "regionCode": "US-EAST", "timezone": "America/New_York"})


def metrics(call: Call) -> Reply:
    """Taken, and forgotten."""
    return Reply(200, {})


def _hostmap(call: Call, org_id: str = ORG_ID) -> Reply:
    if (call.arg("format") or "").lower() == "u2cv2":
        return Reply(200, call.cloud.catalog.version_2(call.base, org_id))
    return Reply(200, {**call.cloud.catalog.hostmap(call.base), "format": "hostmap"})

"""The U2C catalog in hostmap form: which URL each service has for one organization (mercury §1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from webex.config.values import split_url
from webex.errors import ConfigurationError, DecodeError

if TYPE_CHECKING:
    from webex.http.pipeline import Pipeline
    from webex.http.types import TokenSource

_US: Final = ("urn:TEAM:us-east-2_a", "urn:TEAM:us-east-1_int13")


@dataclass(frozen=True, slots=True)
class Host:
    """One host of a service; a lower `priority` is preferred."""

    host: str
    id: str
    priority: int = 0

    @property
    def service(self) -> str:
        """The fourth part of the id."""
        return self.id.rpartition(":")[2]


@dataclass(slots=True)
class Catalog:
    """Service names to URLs, and the hosts behind them. Hosts may be marked as failed."""

    links: Mapping[str, str]
    hosts: Mapping[str, list[Host]] = field(default_factory=dict)
    _failed: set[str] = field(default_factory=set)

    @classmethod
    def from_hostmap(cls, data: Any) -> Catalog:
        """From the answer of `GET {u2c}/catalog?format=hostmap`; `DecodeError` when it is none."""
        links = data.get("serviceLinks") if isinstance(data, dict) else None
        if not isinstance(links, dict):
            raise DecodeError("The service catalog names no services.", path="serviceLinks")
        hosts: dict[str, list[Host]] = {}
        listed = data.get("hostCatalog")
        for name, entries in listed.items() if isinstance(listed, dict) else ():
            hosts[name] = [
                Host(entry["host"], _text(entry.get("id")), _priority(entry.get("priority")))
                for entry in (entries if isinstance(entries, list) else ())
                if isinstance(entry, dict) and _text(entry.get("host"))
            ]
        urls = {name: url.rstrip("/") for name, url in links.items() if isinstance(url, str) and _host_of(url)}
        return cls(urls, hosts)

    def url_of(self, service: str) -> str:
        """Return the base URL of a service over its best host; `ConfigurationError` when the catalog has none."""
        try:
            link = self.links[service]
        except KeyError:
            raise ConfigurationError(
                f"The service catalog has no {service!r}; name its URL with service_urls={{{service!r}: 'https://…'}}."
            ) from None
        return self._over_best_host(link)

    def share_failures(self, failed: set[str]) -> None:
        """Let other catalogs know what fails here, and the other way round."""
        self._failed = failed

    def mark_failed(self, url: str) -> None:
        """Prefer another host for this URL from now on; when all have failed, all are tried again."""
        if host := _host_of(url):
            self._failed.add(host)

    def cluster_of(self, url: str) -> str:
        """Return the cluster of the ids of this URL's things: `us`, or `urn:TEAM:REGION_CLUSTER`."""
        wanted = _host_of(url)
        if wanted is None:
            return "us"
        for name in (urlsplit(url).netloc, wanted):
            for host in self.hosts.get(name, ()):
                return public_cluster(host.id)
        for entries in self.hosts.values():
            for host in entries:
                if host.host == wanted:
                    return public_cluster(host.id)
        return "us"

    def _over_best_host(self, link: str) -> str:
        parts = split_url(link)
        if parts is None:
            return link
        home = self.hosts.get(parts.netloc) or self.hosts.get(parts.hostname or "") or []
        if not home:
            return link
        service = home[0].service
        usable = [host for host in home if host.service == service and host.priority > 0]
        if not usable:
            return link
        alive = [host for host in usable if host.host not in self._failed]
        if not alive:
            self._failed.difference_update(host.host for host in usable)
            alive = usable
        best = min(alive, key=lambda host: host.priority)
        netloc = best.host if parts.port is None else f"{best.host}:{parts.port}"
        return parts._replace(netloc=netloc).geturl()


def public_cluster(cluster_id: str) -> str:
    """Return the cluster of public ids: `urn:TEAM:us-east-2_a:conversation` is `us`, and so is what is no cluster."""
    parts = cluster_id.split(":")
    if cluster_id.startswith(_US) or len(parts) < 3 or not all(parts[:3]):
        return "us"
    return ":".join(parts[:3])


def email_hash(address: str) -> str:
    """How the limited catalog names a person: SHA-256 of the lower-cased address, in hexadecimal."""
    import hashlib

    return hashlib.sha256(address.strip().lower().encode()).hexdigest()


async def fetch_catalog(pipeline: Pipeline, tokens: TokenSource) -> Catalog:
    """Fetch the catalog of a signed-in person."""
    from webex.http.types import Request

    request = Request("GET", "/catalog", service="u2c", params={"format": "hostmap"})
    return Catalog.from_hostmap((await pipeline.send(request, tokens)).json())


async def fetch_limited_catalog(
    pipeline: Pipeline, *, email: str | None = None, user_id: str | None = None, org_id: str | None = None
) -> Catalog:
    """Fetch the catalog without a token: by exactly one of address, person and organization, or by nearness."""
    from webex.http.types import Request

    given = {
        name: value
        for name, value in {"emailhash": email and email_hash(email), "userId": user_id, "orgId": org_id}.items()
        if value
    }
    if len(given) > 1:
        raise ConfigurationError("The limited catalog takes one of email, user_id and org_id.")
    params = {"format": "hostmap", **(given or {"mode": "DEFAULT_BY_PROXIMITY"})}
    request = Request("GET", "/limited/catalog", service="u2c", params=params, auth="none")
    return Catalog.from_hostmap((await pipeline.send(request)).json())


async def fetch_region(pipeline: Pipeline) -> dict[str, Any]:
    """Where this machine is, by its address: `countryCode`, `timezone`."""
    from webex.http.types import Request

    request = Request("GET", "https://ds.ciscospark.com/v1/region", auth="none", timeout=5, max_retries=0)
    region = (await pipeline.send(request)).json()
    return dict(region) if isinstance(region, dict) else {}


def _host_of(url: str) -> str | None:
    """Return the host of a URL; None when it has none, or is none."""
    parts = split_url(url)
    return None if parts is None or parts.port == 0 else parts.hostname


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _priority(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0

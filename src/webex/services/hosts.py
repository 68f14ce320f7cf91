"""The services known from the configuration, and the one rule for who may see a token.

A token may go to the origin of a configured service URL, or over https (port 443) to an allowed domain or a name below
it, compared label by label: `evilwebex.com` and `webex.com.evil.example` are other domains, as is a name with a
trailing dot. A URL with user info never gets one, nor does plain http, except to an origin that the configuration
names itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webex.config.values import split_url
from webex.errors import ConfigurationError

if TYPE_CHECKING:
    from webex.config import Config
    from webex.services.catalog import Catalog

_MOST_DECIDED: Final = 1000
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}

Origin = tuple[str, str, int]


class Services:
    """Implements `webex.http.HostPolicy` for one configuration. Holds no connection and does no I/O."""

    def __init__(self, config: Config) -> None:
        self._urls = dict(config.service_urls)
        self._domains = tuple(
            tuple(reversed(domain.strip(".").split("."))) for domain in config.allowed_domains if domain
        )
        self.catalogs: dict[str, tuple[Catalog, float]] = {}  # by organization, until a moment of the monotonic clock
        self._decided: dict[str, bool] = {}  # by scheme and authority: there are few of them
        named = [*config.service_urls.values(), config.token_url, config.userinfo_url]
        if config.emulator_url is not None:
            named.append(config.emulator_url)
        self._origins = frozenset(origin for url in named if (origin := _origin(url)) is not None)

    def knows(self, service: str) -> bool:
        """Whether a service has a configured URL."""
        return service in self._urls

    def names(self) -> list[str]:
        """Return the services with a configured URL."""
        return sorted(self._urls)

    async def url_of(self, service: str) -> str:
        """Return the base URL of a service, without a trailing slash."""
        try:
            return self._urls[service]
        except KeyError:
            raise ConfigurationError(
                f"The service {service!r} is not known. Known are {', '.join(sorted(self._urls))}; "
                f"name its URL with service_urls={{{service!r}: 'https://…'}}."
            ) from None

    def trust(self, catalog: Catalog) -> None:
        """Let tokens go to the services of a catalog, too: over https, or where the catalog itself came from."""
        own = _origin(self._urls["u2c"])
        found = {origin for url in catalog.links.values() if (origin := _origin(url)) is not None}
        for link in catalog.links.values():
            parts = split_url(link)
            if parts is not None and parts.scheme == "https":
                names = [host.host for host in catalog.hosts.get(parts.netloc, ())]
                found |= {("https", name.lower(), parts.port or 443) for name in names}
        added = {origin for origin in found if origin == own or (origin[0] == "https" and origin[2] == 443)}
        if not added <= self._origins:
            self._origins |= added
            self._decided.clear()

    def may_receive_token(self, url: str) -> bool:
        """Whether a token may go to this URL; False for anything that can't be read as one."""
        if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
            return False  # two parsers could read it differently
        scheme, _, rest = url.partition("//")
        authority = rest.partition("/")[0]
        key = f"{scheme}//{authority}"
        decided = self._decided.get(key)
        if decided is None:
            decided = self._decide(key)
            if len(self._decided) < _MOST_DECIDED:
                self._decided[key] = decided
        return decided

    def _decide(self, url: str) -> bool:
        origin = _origin(url)
        if origin is None:
            return False
        if origin in self._origins:
            return True
        scheme, host, port = origin
        if scheme != "https" or port != 443:
            return False
        labels = tuple(reversed(host.split(".")))
        return any(labels[: len(domain)] == domain for domain in self._domains)


def _origin(url: str) -> Origin | None:
    """Scheme, host and port of an absolute URL; None for anything else, and for one with user info."""
    parts = split_url(url)
    if parts is None:
        return None
    host, port = parts.hostname, parts.port
    if parts.scheme not in _DEFAULT_PORTS or not host or "@" in parts.netloc or host.endswith("."):
        return None
    return parts.scheme, host, port if port is not None else _DEFAULT_PORTS[parts.scheme]

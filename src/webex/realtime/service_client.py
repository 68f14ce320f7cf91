"""Send requests for one user to any service of the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from webex.errors import TransportError
from webex.http.types import Request, Response

if TYPE_CHECKING:
    from webex.http.types import TokenSource
    from webex.realtime.manager import ConnectionManager
    from webex.services import Catalog


class ServiceClient(Protocol):
    """Send requests with one user's token."""

    async def url_of(self, service: str) -> str:
        """Return the base URL of a service, by the user's catalog."""
        ...

    async def send(self, method: str, url: str, **options: Any) -> Response:
        """Send a request with the user's token."""
        ...


class UserServiceClient:
    """Send requests to the services of one user's catalog."""

    __slots__ = ("_catalog", "_manager", "device_url", "tokens")

    def __init__(self, manager: ConnectionManager, tokens: TokenSource) -> None:
        self._manager = manager
        self.tokens: TokenSource = tokens
        self._catalog: Catalog | None = None
        self.device_url: str | None = None

    async def catalog(self) -> Catalog:
        """Return the catalog of this user's organization."""
        if self._catalog is None:
            self._catalog = await self._manager.catalog_for(self.tokens)
        return self._catalog

    def refresh_catalog(self) -> None:
        """Fetch the catalog again on next use, after a service could not be reached."""
        if self._catalog is not None:
            self._manager.drop_catalog(self._catalog)
            self._catalog = None

    async def url_of(self, service: str) -> str:
        """Return the base URL of a service: as configured, else by the catalog."""
        configured = self._manager.config.service_urls.get(service)
        if configured is not None:
            return configured
        return (await self.catalog()).url_of(service)

    async def send(self, method: str, url: str, **options: Any) -> Response:
        """Send a request with the user's token and the device's URL."""
        headers: Mapping[str, str] = options.pop("headers", None) or {}
        if self.device_url is not None:
            headers = {"cisco-device-url": self.device_url, **headers}
        try:
            return await self._manager.pipeline.send(Request(method, url, headers=headers, **options), self.tokens)
        except TransportError:
            if self._catalog is not None:
                self._catalog.mark_failed(url)
            raise

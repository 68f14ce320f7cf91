"""What the core and a framework's adapter say to each other: a request and a response as plain data."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from webex.errors import ConfigurationError
from webex.web.cookies import Cookie

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class WebRequest:
    """A browser's request. Header names are in lower case; `path` is the whole path as the browser sent it."""

    method: str
    scheme: str
    host: str  # with the port, as in the Host header
    path: str
    query: str = field(default="", repr=False)  # raw; it may hold a code
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)
    client: str = ""  # the address of whoever connected

    @property
    def origin(self) -> str:
        """Scheme, host and port, as a browser writes them."""
        return f"{self.scheme}://{self.host}"

    @property
    def wants_html(self) -> bool:
        """Whether a person looks at the answer, rather than a script."""
        mode = self.headers.get("sec-fetch-mode", "navigate")
        return mode == "navigate" and "text/html" in self.headers.get("accept", "")

    @property
    def address(self) -> str:
        """Path and query: where to come back to."""
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(frozen=True, slots=True)
class WebResponse:
    """The answer to a browser."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Sequence[Cookie] = field(default=(), repr=False)
    body: bytes = b""


def redirect(location: str, *cookies: Cookie) -> WebResponse:
    """Send the browser on, with GET, and let nobody keep the answer."""
    return WebResponse(
        303, {"location": location, "cache-control": "no-store", "referrer-policy": "no-referrer"}, cookies
    )


def networks(proxies: Sequence[str]) -> tuple[Network, ...]:
    """The addresses and networks in `trusted_proxies`; `ConfigurationError` for what is neither."""
    if isinstance(proxies, str):
        raise ConfigurationError(f"trusted_proxies must be a list of addresses or networks, not the text {proxies!r}.")
    try:
        return tuple(ipaddress.ip_network(proxy) for proxy in proxies)
    except ValueError as error:
        raise ConfigurationError(f"trusted_proxies: {error}. Give addresses or networks, such as 10.0.0.0/8.") from None


def behind_proxies(request: WebRequest, trusted: Sequence[Network]) -> WebRequest:
    """The request as the browser made it; `X-Forwarded-*` counts only when a trusted proxy connected.

    From `X-Forwarded-For` the last address is taken that is not itself a trusted proxy: what stands before it is
    whatever the browser cared to write.
    """
    if not _within(request.client, trusted):
        return request
    client = request.client
    for address in reversed([part.strip() for part in request.headers.get("x-forwarded-for", "").split(",")]):
        if not address:
            continue
        client = address
        if not _within(address, trusted):
            break
    scheme = request.headers.get("x-forwarded-proto", "").split(",")[-1].strip().lower()
    host = request.headers.get("x-forwarded-host", "").split(",")[-1].strip()
    return replace(
        request,
        client=client,
        scheme=scheme if scheme in ("http", "https") else request.scheme,
        host=host or request.host,
    )


def _within(address: str, trusted: Sequence[Network]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in trusted)

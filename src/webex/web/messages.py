"""What `SignIn` and a framework's adapter exchange: a request and a response as plain data."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import unquote

from webex.auth.urls import percent_encode
from webex.errors import ConfigurationError
from webex.web.cookies import Cookie

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
AS_SENT: Final = "%!#$&'()*+,/:;=?@[]~\"<>\\^`{|}"  # what stays as it is when the bytes of an address become text
ROUTE_METHODS: Final = ("GET", "HEAD", "POST")


@dataclass(frozen=True, slots=True)
class WebRequest:
    """A browser's request. Header names are in lower case.

    `path` is the path as it arrived, percent-encoded; `root_path` is where the server says that the app is mounted
    (ASGI's `root_path`, WSGI's `SCRIPT_NAME`), whether or not `path` begins with it. `native` is the framework's own
    request, which hooks are given.
    """

    method: str
    scheme: str
    host: str  # with the port, as in the Host header
    path: str
    query: str = field(default="", repr=False)  # raw; it may hold a code
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)
    client: str = ""  # the address that connected
    root_path: str = ""
    native: Any = field(default=None, repr=False, compare=False)

    @property
    def origin(self) -> str:
        """Scheme, host and port, as a browser writes them."""
        return f"{self.scheme}://{self.host.lower()}"

    @property
    def wants_html(self) -> bool:
        """Whether a person looks at the answer, rather than a script."""
        mode = self.headers.get("sec-fetch-mode", "navigate")
        return mode == "navigate" and "text/html" in self.headers.get("accept", "")

    @property
    def is_speculative(self) -> bool:
        """Whether perhaps no person is looking: HEAD, or a browser that loads a page in case it is wanted."""
        marks = ("sec-purpose", "purpose", "x-purpose", "x-moz")
        told = " ".join(self.headers.get(name, "") for name in marks).lower()
        return self.method == "HEAD" or any(word in told for word in ("prefetch", "prerender", "preview"))

    @property
    def address(self) -> str:
        """Path and query as they arrived."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def address_in_app(self) -> str:
        """Path and query below the app's root, whether or not a proxy took the root's path away."""
        root = [unquote(part) for part in self.root_path.split("/") if part]
        first, *parts = self.path.split("/")
        below = parts[len(root) :] if [unquote(part) for part in parts[: len(root)]] == root else parts
        path = "/".join([first, *below]) or "/"
        return f"{path}?{self.query}" if self.query else path

    def cookie_values(self, name: str) -> list[str]:
        """All values that came under a name: another app on the host may have set a cookie of the same name."""
        found = [self.cookies[name]] if name in self.cookies else []
        for part in self.headers.get("cookie", "").split(";"):
            key, equals, value = part.partition("=")
            if equals and key.strip() == name and value.strip() not in found:
                found.append(value.strip())
        return found


@dataclass(frozen=True, slots=True)
class WebResponse:
    """The answer to a browser. `native` is a response of the framework, which only gets the cookies added."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Sequence[Cookie] = field(default=(), repr=False)
    body: bytes = b""
    native: Any = field(default=None, repr=False, compare=False)


NO_METHOD: Final = WebResponse(
    405, {"allow": ", ".join(ROUTE_METHODS), "content-type": "text/plain"}, (), b"Method not allowed\n"
)


def redirect(location: str, *cookies: Cookie) -> WebResponse:
    """Send the browser on, with GET, and let no cache keep the answer. The location is percent-encoded."""
    headers = {
        "location": percent_encode(location),
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
    }
    return WebResponse(303, headers, cookies)


def json_response(status: int, body: Mapping[str, str], headers: Mapping[str, str]) -> WebResponse:
    """Answer a script, and let no cache keep the answer."""
    from webex.http.codec import encode_json

    common = {"content-type": "application/json", "cache-control": "no-store"}
    return WebResponse(status, {**common, **headers}, (), encode_json(body))


def networks(proxies: Sequence[str]) -> tuple[Network, ...]:
    """Parse the addresses and networks of `trusted_proxies`; `ConfigurationError` for what is neither."""
    if isinstance(proxies, str):
        raise ConfigurationError(f"trusted_proxies must be a list of addresses or networks, not the text {proxies!r}.")
    try:
        return tuple(ipaddress.ip_network(proxy) for proxy in proxies)
    except ValueError as error:
        raise ConfigurationError(f"trusted_proxies: {error}. Give addresses or networks, such as 10.0.0.0/8.") from None


def behind_proxies(request: WebRequest, trusted: Sequence[Network]) -> WebRequest:
    """Return the request as the browser made it; `X-Forwarded-*` counts only when a trusted proxy connected.

    From `X-Forwarded-For` the last address is taken that is not itself a trusted proxy: a browser may have written
    what stands before it.
    """
    if not _within(request.client, trusted):
        return request
    client = request.client
    for address in reversed([part.strip() for part in request.headers.get("x-forwarded-for", "").split(",")]):
        if not address:
            continue
        client = _without_port(address)
        if not _within(client, trusted):
            break
    scheme = request.headers.get("x-forwarded-proto", "").split(",")[-1].strip().lower()
    host = request.headers.get("x-forwarded-host", "").split(",")[-1].strip()
    return replace(
        request,
        client=client,
        scheme=scheme if scheme in ("http", "https") else request.scheme,
        host=host or request.host,
    )


def _without_port(address: str) -> str:
    """`1.2.3.4:5678` and `[::1]:5678` as some proxies write them."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    host, colon, port = address.partition(":")
    return host if colon and port.isdecimal() and "." in host else address


def _within(address: str, trusted: Sequence[Network]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return any(found in network or (mapped is not None and mapped in network) for network in trusted)

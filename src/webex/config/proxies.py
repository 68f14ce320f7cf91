"""Which HTTP proxy serves a URL: one rule for REST calls and sockets, in both styles and over every transport.

The order is the argument `proxy=`, `WEBEX_PROXY`, the variable of the URL's scheme (`HTTPS_PROXY`, `HTTP_PROXY`), then
`ALL_PROXY`; a lower-case name wins over the upper-case one, as in curl, and an empty value counts as not set.
`NO_PROXY` names hosts that are reached directly; it does not apply to the argument. A loopback host is always reached
directly. `HTTP_PROXY` is ignored in a CGI process (`REQUEST_METHOD` is set), where a client can set it with a header
`Proxy:`; `http_proxy` is not.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from webex.errors import ConfigurationError

_SCHEMES: Final = {"https": "https", "wss": "https", "http": "http", "ws": "http"}
_PORTS: Final = {"https": 443, "http": 80}
_HAS_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_DIGITS_AND_DOTS: Final = re.compile(r"[0-9a-fx.]+", re.IGNORECASE)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Bypass:
    """One entry of `NO_PROXY`: everything, a domain with all names below it, or a network; with or without a port."""

    everything: bool = False
    domain: str = ""
    network: Network | None = None
    port: int | None = None

    def covers(self, host: str, address: Address | None, port: int) -> bool:
        """Whether a host on a port is meant."""
        if self.everything:
            return True
        if self.port is not None and self.port != port:
            return False
        if self.network is not None:
            return address is not None and address in self.network
        return host == self.domain or host.endswith(f".{self.domain}")


@dataclass(frozen=True, slots=True)
class ProxyRules:
    """The proxies of an app, by the scheme of the URL that is asked for, and the hosts that need none."""

    https: str | None = field(default=None, repr=False)
    http: str | None = field(default=None, repr=False)
    bypasses: tuple[Bypass, ...] = ()

    def proxy_for(self, url: str) -> str | None:
        """Return the proxy's URL for an absolute http(s) or ws(s) URL, with its credentials; None: connect directly."""
        if self.https is None and self.http is None:
            return None
        try:
            parts = urlsplit(url)
            scheme = _SCHEMES[parts.scheme]
            port = parts.port or _PORTS[scheme]
        except (ValueError, KeyError):
            return None
        proxy = self.https if scheme == "https" else self.http
        host = (parts.hostname or "").rstrip(".")
        if proxy is None or not host:
            return None
        address = _address(host)
        if _is_loopback(host, address) or any(entry.covers(host, address, port) for entry in self.bypasses):
            return None
        return proxy


def explicit_rules(proxy: Any, origin: str, bypasses: tuple[Bypass, ...] = ()) -> ProxyRules:
    """Return rules with one proxy for every URL; without a proxy for False and None."""
    if proxy is None or proxy is False:
        return ProxyRules()
    checked = proxy_url(proxy, origin)
    return ProxyRules(checked, checked, bypasses)


def rules_of_environment(environ: Mapping[str, str]) -> tuple[ProxyRules, str]:
    """Read the usual proxy variables; return the rules and the names of the variables used."""
    bypasses = bypasses_of(environ)
    if any(entry.everything for entry in bypasses):
        return ProxyRules(), "default"
    found: dict[str, str | None] = {}
    used: list[str] = []
    for scheme in ("https", "http"):
        value, name = "", ""
        for candidate in (f"{scheme.upper()}_PROXY", "ALL_PROXY"):
            value, name = _variable(environ, candidate)
            if value:
                break
        found[scheme] = proxy_url(value, name) if value else None
        if value and name not in used:
            used.append(name)
    return ProxyRules(found["https"], found["http"], bypasses), " and ".join(used) or "default"


def _variable(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    for variable in (name.lower(), name):
        if variable == "HTTP_PROXY" and environ.get("REQUEST_METHOD"):
            continue
        value = environ.get(variable, "").strip()
        if value:
            return value, variable
    return "", name


def bypasses_of(environ: Mapping[str, str]) -> tuple[Bypass, ...]:
    """Parse `NO_PROXY` into hosts."""
    return read_bypasses(_variable(environ, "NO_PROXY")[0])


def read_bypasses(text: str) -> tuple[Bypass, ...]:
    """Entries separated by commas or spaces.

    `*` is every host; `example.com`, `.example.com` and `*.example.com` are the domain and all names below it; an
    address or a network (`10.0.0.0/8`, `fd00::/8`) is compared with hosts that are addresses, and no name is looked
    up; `:port` limits an entry to a port. An entry that can't be read is passed over.
    """
    entries = (_bypass(part) for part in re.split(r"[\s,]+", text.lower()) if part)
    return tuple(entry for entry in entries if entry is not None)


def _bypass(text: str) -> Bypass | None:
    if text == "*":
        return Bypass(everything=True)
    with contextlib.suppress(ValueError):
        return Bypass(network=ipaddress.ip_network(text.strip("[]"), strict=False))
    host, colon, port_text = text.rpartition(":")
    port = None
    if colon:
        if not (port_text.isascii() and port_text.isdigit() and len(port_text) <= 5):
            return None
        text, port = host, int(port_text)
        with contextlib.suppress(ValueError):
            return Bypass(network=ipaddress.ip_network(text.strip("[]"), strict=False), port=port)
    domain = text.removeprefix("*").strip(".")
    return Bypass(domain=domain, port=port) if domain and "*" not in domain else None


def proxy_url(value: Any, origin: str) -> str:
    """Check a proxy's URL, whose scheme is http when it names none. Errors don't show it: it may hold a password."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(
            f"proxy ({origin}) must be the URL of an http or https proxy, or False, not {type(value).__name__}."
        )
    text = value.strip()
    if _HAS_SCHEME.match(text) is None:
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ConfigurationError(f"proxy ({origin}) is no URL: its host or port can't be read.") from None
    if parts.scheme not in ("http", "https"):
        raise ConfigurationError(
            f"proxy ({origin}) has the scheme {parts.scheme!r}; only http and https proxies are supported. "
            "Name an http proxy with proxy=… or WEBEX_PROXY, or connect directly with proxy=False."
        )
    if not parts.hostname or not text.isprintable() or " " in text:
        raise ConfigurationError(f"proxy ({origin}) is no URL: it needs a host, as in http://proxy.example.com:3128.")
    return _rebuilt(parts)


def _rebuilt(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc}"


def _address(host: str) -> Address | None:
    """Parse a host that is an address, also in the short forms that resolvers read (`127.1`)."""
    with contextlib.suppress(ValueError):
        address: Address = ipaddress.ip_address(host.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return address if mapped is None else mapped
    if _DIGITS_AND_DOTS.fullmatch(host):
        with contextlib.suppress(OSError):
            return ipaddress.IPv4Address(socket.inet_aton(host))
    return None


def _is_loopback(host: str, address: Address | None) -> bool:
    if address is not None:
        return address.is_loopback
    return host == "localhost" or host.endswith(".localhost")

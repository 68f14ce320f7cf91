"""Where browsers find the app: its origin and the path below which it is served, both from the redirect URI."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from webex.auth.login import safe_return_to
from webex.auth.urls import percent_encode
from webex.config import is_loopback_host
from webex.errors import ConfigurationError
from webex.web.cookies import CookieNames
from webex.web.messages import WebRequest

_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the app is: its origin, the path it is mounted at (empty at the root), and its cookies."""

    origin: str
    mount: str
    jar: CookieNames

    @classmethod
    def of(cls, redirect_uri: str, callback_path: str) -> Place:
        """Read the place from the redirect URI; `ConfigurationError` when the callback is not served there."""
        parts = urlsplit(redirect_uri)
        path, callback = percent_encode(parts.path), percent_encode(callback_path)
        if not path.endswith(callback):
            raise ConfigurationError(
                f"redirect_uri is {redirect_uri!r}, but the callback is served at {callback_path!r}: register and set "
                f"a URL that ends so (WEBEX_REDIRECT_URI), or give callback_path={parts.path!r}."
            )
        plain = parts.scheme == "http"
        if plain and not is_loopback_host(parts.hostname):
            raise ConfigurationError(
                f"redirect_uri is {redirect_uri!r}: cookies are safe over https only. Plain http is for 127.0.0.1 and "
                "localhost."
            )
        mount = path.removesuffix(callback).rstrip("/")
        if ";" in mount:
            raise ConfigurationError(f"redirect_uri is {redirect_uri!r}: a cookie's path can't hold a semicolon.")
        return cls(_origin(parts), mount, CookieNames(mount or "/", not plain))

    @property
    def is_loopback(self) -> bool:
        """Whether the app is on the developer's own machine."""
        return is_loopback_host(urlsplit(self.origin).hostname)

    def port_of_another(self, request: WebRequest) -> int | None:
        """Return the port by which a browser on this machine opened the app, if it is not that of the redirect URI."""
        try:
            here, there = urlsplit(f"//{request.host}").port, urlsplit(self.origin)
        except ValueError:
            return None
        port = there.port or int(_DEFAULT_PORTS[there.scheme][1:])
        return here if self.is_loopback and here not in (None, port) else None

    def address_of(self, request: WebRequest) -> str:
        """Return the path and query that a browser has in its address bar for this request."""
        return self.mount + request.address_in_app

    def inside(self, target: str) -> str:
        """Turn a target into a path of this app: `/rooms` and `/team/rooms` are one place of an app below `/team`."""
        safe = safe_return_to(target)
        path = unquote(urlsplit(safe).path)
        if safe == "/" or any(part in (".", "..") for part in path.split("/")):
            return self.mount + "/"
        return safe if self.mount == "" or (path + "/").startswith(unquote(self.mount) + "/") else self.mount + safe

    def path_in_app(self, target: str) -> str:
        """Return the decoded path below the mount of a target that `inside` gave."""
        path = unquote(urlsplit(target).path).removeprefix(unquote(self.mount))
        return posixpath.normpath("/" + path.strip("/"))

    def on_the_host_with_the_cookies(self, request: WebRequest, path: str) -> str | None:
        """Return the same route on the redirect URI's host, if the browser uses another name of this machine.

        localhost and 127.0.0.1 are one machine and two hosts: a cookie of one never comes back to the other. Ports are
        not compared: a proxy may have left them out.
        """
        try:
            here = urlsplit(f"//{request.host}").hostname
        except ValueError:
            return None
        there = urlsplit(self.origin).hostname
        if here == there or not (is_loopback_host(here) and is_loopback_host(there)):
            return None
        return self.origin + self.mount + path + (f"?{request.query}" if request.query else "")


def _origin(parts: SplitResult) -> str:
    """Write the origin as browsers do (RFC 6454 §6.1): lower case, no default port, a host outside ASCII as IDNA."""
    host = parts.netloc.rpartition("@")[2].lower().removesuffix(_DEFAULT_PORTS[parts.scheme])
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            raise ConfigurationError(f"redirect_uri has the host {host!r}, which is no domain name.") from None
    return f"{parts.scheme}://{host}"

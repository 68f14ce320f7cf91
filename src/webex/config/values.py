"""Reading single values: URLs, scopes, numbers. Each error names the setting and where its value came from."""

from __future__ import annotations

import math
import re
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from webex.errors import ConfigurationError

_LOOPBACK: Final = re.compile(r"localhost|127(\.\d{1,3}){3}|\[?::1\]?")


def is_loopback_host(host: str | None) -> bool:
    """Whether a host name is this machine and nothing else."""
    return host is not None and _LOOPBACK.fullmatch(host.lower()) is not None


def split_url(text: Any) -> SplitResult | None:
    """Return the parts of a URL; None for what is no text, and where host or port can't be read."""
    if not isinstance(text, str):
        return None
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return parts


def scope(value: Any, origin: str) -> str:
    """Return scopes as text with single spaces."""
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(item, str) for item in value):
        return " ".join(value)
    raise ConfigurationError(f"scope ({origin}) must be text with spaces between the scopes, or a list of texts.")


def texts(value: Any, name: str, origin: str) -> tuple[str, ...]:
    """Return a tuple of texts."""
    if isinstance(value, str) or not isinstance(value, (list, tuple, set, frozenset)):
        raise ConfigurationError(f"{name} ({origin}) must be a list of texts, not {type(value).__name__}.")
    for item in value:
        if not isinstance(item, str):
            raise ConfigurationError(f"{name} ({origin}) must be a list of texts; one is {type(item).__name__}.")
    return tuple(item.lower().strip() if name != "issuers" else item for item in value)


def base_url(value: Any, name: str, origin: str, plain_http_hosts: tuple[str, ...] = ()) -> str:
    """Return a URL without a trailing slash; https, or plain http to a loopback host or a named one."""
    parts = split_url(value)
    legible = isinstance(value, str) and value.isprintable() and " " not in value
    if parts is None or not legible or parts.scheme not in ("http", "https") or not parts.hostname:
        shown = repr(value) if isinstance(value, str) and "@" not in value else type(value).__name__
        raise ConfigurationError(f"{name} ({origin}) must be an http or https URL, not {shown}.")
    if parts.username or parts.password:
        raise ConfigurationError(f"{name} ({origin}) must not hold a user name or password.")
    if parts.query or parts.fragment:
        raise ConfigurationError(f"{name} ({origin}) is {value!r}: leave the query and the fragment out.")
    if parts.scheme == "http" and not is_loopback_host(parts.hostname) and parts.hostname not in plain_http_hosts:
        raise ConfigurationError(
            f"{name} ({origin}) is {value!r}: plain http is only allowed to this machine; use https."
        )
    return str(value).rstrip("/")


def number(value: Any, origin: str) -> float:
    """Return a number."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ConfigurationError(f"{origin} must be a number of seconds, not {value!r}.") from None


def is_number(value: Any) -> bool:
    """Whether this is a finite number that fits a float."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False

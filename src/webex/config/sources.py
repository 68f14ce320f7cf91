"""What the program gave and what the environment holds, as flat settings with their origins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from webex.config import node
from webex.config.model import NAMES, VARIABLES
from webex.config.spelling import did_you_mean, snake
from webex.config.values import number, scope, split_url
from webex.errors import ConfigurationError

# Where the nested mapping of the Node guide keeps a setting, beside its own name at the top.
_NESTED: Final[dict[tuple[str, ...], str]] = {
    ("credentials", "client_id"): "client_id",
    ("credentials", "client_secret"): "client_secret",
    ("credentials", "redirect_uri"): "redirect_uri",
    ("credentials", "scope"): "scope",
    ("credentials", "authorization_string"): "authorization_string",
    ("credentials", "authorize_url"): "authorize_url",
    ("credentials", "token_url"): "token_url",
    ("credentials", "revoke_url"): "revoke_url",
    ("credentials", "logout_url"): "logout_url",
    ("credentials", "access_token"): "access_token",
    ("credentials", "refresh_token"): "refresh_token",
    ("credentials", "refresh_callback"): "refresh_callback",
    ("credentials", "idbroker", "url"): "idbroker",
    ("credentials", "identity", "url"): "identity",
    ("services", "discovery"): "service_urls",
    ("services", "override"): "service_urls",
    ("services", "allowed_domains"): "allowed_domains",
    ("hydra_service_url",): "hydra",
    ("device", "hydra_service_url"): "hydra",
    ("device", "pre_discovery_services", "hydra"): "hydra",
    ("device", "pre_discovery_services", "hydra_service_url"): "hydra",
    ("encryption", "kms_roots"): "kms_roots",
    ("max_app_level_redirects",): "max_redirects",
    ("default_request_options", "timeout"): "timeout_ms",
}
_SECRETS: Final = frozenset({"client_secret", "access_token", "refresh_token", "proxy"})
_EXTRA: Final = frozenset(
    {
        "authorization_string",
        "storage",
        "credentials",
        "refresh_callback",
        "fedramp",
        "idbroker",
        "identity",
        "timeout_ms",
        "hooks",
    }
)


def given(
    arguments: Mapping[str, Any], mapping: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str], dict[str, Any]]:
    """Arguments and mapping are one level: the same setting twice must have the same value."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    rest: dict[str, Any] = {}

    def take(name: str, value: Any, origin: str) -> None:
        if value is None:
            return
        if name == "timeout_ms":
            name, value = "timeout", number(value, origin) / 1000
        if name == "fedramp":
            name, value = "environment", "fedramp" if value else "production"
        if name in ("idbroker", "identity", "hydra", "u2c"):
            name, value = "service_urls", {name: value}
        target = values if name in NAMES or name == "authorization_string" else rest
        if name == "service_urls" and isinstance(value, Mapping) and name in values:
            value = {**values[name], **value}
        elif name in target and target[name] != value:
            shown = "" if name in _SECRETS or target is rest else f" ({target[name]!r} and {value!r})"
            raise ConfigurationError(
                f"{name} is given twice with different values{shown}: by {origins[name]} and by {origin}. Give it once."
            )
        target[name] = value
        origins[name] = origin

    for name, value in arguments.items():
        take(_known(name, f"argument {name}"), value, f"argument {name}")
    _walk(mapping, (), take)
    return values, origins, rest


def _walk(mapping: Any, path: tuple[str, ...], take: Any) -> None:
    where = "config" + "".join(f"[{part!r}]" for part in path)
    if not isinstance(mapping, Mapping):
        raise ConfigurationError(f"{where} must be a mapping, not {type(mapping).__name__}.")
    for raw, value in mapping.items():
        if not isinstance(raw, str):
            raise ConfigurationError(f"{where} has a key that is no text: {raw!r}.")
        name = snake(raw)
        here = (*path, name)
        told = f"{where}[{raw!r}]"
        if here in _NESTED:
            take(_NESTED[here], value, told)
        elif any(nested[: len(here)] == here for nested in _NESTED) and isinstance(value, Mapping):
            _walk(value, here, take)
        elif not path and (name in NAMES or name in _EXTRA or name in ("hydra", "u2c")):
            take(name, value, told)
        elif node.accepts(here, value, told):
            continue
        elif path:
            options = [nested[len(path)] for nested in _NESTED if nested[: len(path)] == path]
            raise ConfigurationError(f"{where} has no setting {raw!r}.{did_you_mean(raw, options)}")
        else:
            _known(raw, told)


def _known(name: str, origin: str) -> str:
    if name in NAMES or name in _EXTRA or name in ("hydra", "u2c"):
        return name
    raise ConfigurationError(f"There is no setting {name!r} ({origin}).{did_you_mean(name, [*NAMES, *_EXTRA])}")


def from_environment(environ: Mapping[str, str], prefix: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the settings of the variables with a prefix, and the variable that each came from."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, suffixes in VARIABLES.items():
        for suffix in suffixes:
            variable = f"{prefix}_{suffix}"
            text = environ.get(variable, "").strip()
            if text and name not in values:
                values[name] = number(text, variable) if name == "timeout" else text
                origins[name] = variable
    return values, origins


def expand_authorization_string(values: dict[str, Any], origins: dict[str, str]) -> None:
    """Take client id, redirect URI, scope and the authorization page from the portal's URL."""
    text = values.pop("authorization_string", None)
    if text is None:
        return
    origin = origins.pop("authorization_string")
    parts = split_url(text)
    query = parse_qs(parts.query) if parts else {}
    if parts is None or not parts.scheme or not parts.netloc or "client_id" not in query:
        raise ConfigurationError(
            f"authorization_string ({origin}) must be the whole authorization URL of the developer portal, "
            "https://…/authorize?client_id=…&redirect_uri=…&scope=…"
        )
    found = {"authorize_url": f"{parts.scheme}://{parts.netloc}{parts.path}"}
    found |= {name: query[name][0] for name in ("client_id", "redirect_uri", "scope") if name in query}
    for name, value in found.items():
        if name in values and _same(name, values[name]) != _same(name, value):
            raise ConfigurationError(
                f"{name} is {values[name]!r} ({origins[name]}) but {value!r} in authorization_string ({origin}). "
                "Give one of the two."
            )
        values.setdefault(name, value)
        origins.setdefault(name, origin)


def _same(name: str, value: Any) -> Any:
    return sorted(scope(value, name).split()) if name == "scope" else value

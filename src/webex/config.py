"""One frozen `Config`: every setting, and where each value came from.

Three levels, the higher wins: what the program gives (arguments and the nested mapping of the Node guide, which may not
contradict each other), `WEBEX_*` variables, `CISCOSPARK_*` variables. Whatever none of them sets has a default.
A client secret is only used together with a client id of its own level, so that a secret never goes to another app.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

from webex.errors import ConfigurationError

__all__ = ["Config", "Environment", "is_loopback_host", "load_config"]

Environment = Literal["production", "fedramp"]

_LOOPBACK: Final = re.compile(r"localhost|127(\.\d{1,3}){3}|\[?::1\]?")

# Where the cloud lives (developer.webex.com integrations guide; core-behaviour §1.3, §1.4).
_CLOUDS: Final[dict[str, dict[str, str]]] = {
    "production": {
        "hydra": "https://webexapis.com/v1",
        "u2c": "https://u2c.wbx2.com/u2c/api/v1",
        "idbroker": "https://idbroker.webex.com",
        "identity": "https://identity.webex.com",
    },
    "fedramp": {
        "hydra": "https://api-usgov.webex.com/v1",
        "u2c": "https://u2c.gov.ciscospark.com/u2c/api/v1",
        "idbroker": "https://idbroker-f.webex.com",
        "identity": "https://identity-f.webex.com",
    },
}
_DOMAINS: Final[dict[str, tuple[str, ...]]] = {
    "production": (
        "wbx2.com",
        "ciscospark.com",
        "webex.com",
        "webexapis.com",
        "broadcloudpbx.com",
        "broadcloud.eu",
        "broadcloud.com.au",
        "broadcloudpbx.net",
    ),
    "fedramp": ("api-usgov.webex.com", "idbroker-f.webex.com", "identity-f.webex.com", "gov.ciscospark.com"),
}
# An ID token is issued by the region of the person's organization.
_REGIONS: Final = ("", "-b-us", "-eu", "-ca", "-sg", "-in", "-ae", "-au")

# Names that the environment knows: WEBEX_<NAME>, then CISCOSPARK_<NAME>.
_VARIABLES: Final[dict[str, tuple[str, ...]]] = {
    "client_id": ("CLIENT_ID",),
    "client_secret": ("CLIENT_SECRET",),
    "redirect_uri": ("REDIRECT_URI",),
    "scope": ("SCOPE", "SCOPES"),
    "authorization_string": ("AUTHORIZATION_STRING",),
    "authorize_url": ("AUTHORIZE_URL",),
    "access_token": ("ACCESS_TOKEN",),
    "refresh_token": ("REFRESH_TOKEN",),
    "environment": ("ENVIRONMENT",),
    "emulator_url": ("EMULATOR_URL",),
    "ca_bundle": ("CA_BUNDLE", "EMULATOR_CA"),
    "proxy": ("PROXY",),
    "transport": ("TRANSPORT",),
    "timeout": ("TIMEOUT",),
    "tracking_id_prefix": ("TRACKING_ID_PREFIX",),
    "app_name": ("APP_NAME",),
    "app_version": ("APP_VERSION",),
}

# Where the nested mapping of the Node guide keeps a setting, beside its own name at the top.
_NESTED: Final[dict[tuple[str, ...], str]] = {
    ("credentials", "client_id"): "client_id",
    ("credentials", "client_secret"): "client_secret",
    ("credentials", "redirect_uri"): "redirect_uri",
    ("credentials", "scope"): "scope",
    ("credentials", "authorization_string"): "authorization_string",
    ("credentials", "authorize_url"): "authorize_url",
    ("credentials", "refresh_callback"): "refresh_callback",
    ("credentials", "idbroker", "url"): "idbroker",
    ("credentials", "identity", "url"): "identity",
    ("services", "discovery"): "service_urls",
    ("services", "override"): "service_urls",
    ("services", "allowed_domains"): "allowed_domains",
    ("max_app_level_redirects",): "max_redirects",
    ("default_request_options", "timeout"): "timeout_ms",
}
_SECRETS: Final = frozenset({"client_secret", "access_token", "refresh_token"})
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings of one app. Times are seconds, sizes bytes. Made by `load_config`, never changed afterwards."""

    # The registered app
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    redirect_uri: str | None = None
    scope: str = ""  # space separated, as configured
    # A token to begin with
    access_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    # Which cloud
    environment: Environment = "production"
    emulator_url: str | None = None
    emulator_hosts: tuple[str, ...] = ()  # hosts other than loopback where an emulator may be
    service_urls: Mapping[str, str] = field(default_factory=dict)  # service name → base URL; beats every catalog
    allowed_domains: tuple[str, ...] = ()  # more domains that may receive a token, beside the cloud's own
    authorize_url: str = ""
    token_url: str = ""
    revoke_url: str = ""
    logout_url: str = ""
    jwks_url: str = ""
    userinfo_url: str = ""
    device_authorize_url: str = ""
    device_token_url: str = ""
    issuers: tuple[str, ...] = ()  # who may have issued an ID token
    # Calls
    timeout: float = 60.0  # for a whole call, all its attempts together
    connect_timeout: float = 10.0
    max_retries: int = 4
    max_redirects: int = 10
    max_upload_size: int = 100 * 1024 * 1024
    pool_size: int = 100
    proxy: str | None = None
    ca_bundle: str | None = None  # path of a PEM file with further certificate authorities
    transport: Any = "auto"  # "auto", "pyreqwest", "urllib3", or an object of the transport protocol
    tracking_id_prefix: str = "webex-python-sdk"
    app_name: str | None = None
    app_version: str | None = None
    # Tokens
    credential_max_age: float = 5.0  # how old a cached token's knowledge of the storage may be; 0: read at each call
    refresh_deadline: float = 15.0
    lease_ttl: float = 30.0
    # Where each value came from: an argument, a variable's name, or nothing for a default
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    hints: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def origin(self, name: str) -> str:
        """Where the value of a setting came from, in words."""
        return self.origins.get(name, "default")

    def require(self, name: str) -> Any:
        """The value of a setting that this call cannot do without; `ConfigurationError` says how to set it."""
        value = getattr(self, name)
        if value not in (None, ""):
            return value
        variables = [f"WEBEX_{suffix}" for suffix in _VARIABLES.get(name, ())]
        text = f"{name} is not set; looked at the arguments, the config mapping"
        if variables:
            text += f" and the variables {', '.join(variables)} (CISCOSPARK_… likewise)"
        text += f". Pass {name}=…"
        if variables:
            text += f" or set {variables[0]}"
        text += "."
        if name in self.hints:
            text += f" {self.hints[name]}"
        raise ConfigurationError(text)

    @property
    def idbroker_url(self) -> str:
        """The OAuth server's root, without a trailing slash."""
        return self.service_urls["idbroker"]

    def replace(self, **changes: Any) -> Config:
        """The same settings with some changed (they are checked again)."""
        changed = replace(self, **changes)
        _check(changed)
        return changed


_NAMES: Final = frozenset(f.name for f in fields(Config)) - {"origins", "hints"}


def is_loopback_host(host: str | None) -> bool:
    """Whether a host name is this machine and nothing else."""
    return host is not None and _LOOPBACK.fullmatch(host.lower()) is not None


def load_config(
    arguments: Mapping[str, Any] | None = None,
    mapping: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
) -> tuple[Config, dict[str, Any]]:
    """Settle every setting; what is no plain setting (`storage`, `credentials`, …) is given back beside the config.

    `arguments` that are None count as not given. `mapping` is nested as in the Node guide, with snake_case or camelCase
    names. Raises `ConfigurationError` for a name that nobody knows, a wrong type, or two values that contradict.
    """
    given, given_origins, rest = _given(arguments or {}, mapping or {})
    environment = os.environ if environ is None else environ
    levels: list[tuple[dict[str, Any], dict[str, str]]] = [(given, given_origins)]
    for prefix in ("WEBEX", "CISCOSPARK"):
        levels.append(_from_environment(environment, prefix))
    for values, origins in levels:
        _expand_authorization_string(values, origins)

    settled: dict[str, Any] = {}
    origins_of: dict[str, str] = {}
    hints: dict[str, str] = {}
    for values, origins in levels:
        for name, value in values.items():
            if name in settled or name == "client_secret":
                continue
            settled[name] = value
            origins_of[name] = origins[name]
    _pair_the_secret(levels, settled, origins_of, hints)
    config = Config(**_resolve(settled, origins_of), origins=origins_of, hints=hints)
    _check(config)
    return config, rest


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda m: "_" + m.group(1).lower(), name)


def _given(
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
            name, value = "timeout", _number(value, origin) / 1000
        if name == "fedramp":
            name, value = "environment", "fedramp" if value else "production"
        if name in ("idbroker", "identity", "hydra", "u2c"):
            name, value = "service_urls", {name: value}
        target = values if name in _NAMES or name == "authorization_string" else rest
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
        name = _snake(raw)
        here = (*path, name)
        if here in _NESTED:
            take(_NESTED[here], value, f"{where}[{raw!r}]")
        elif any(nested[: len(here)] == here for nested in _NESTED) and isinstance(value, Mapping):
            _walk(value, here, take)
        elif path:
            options = [nested[len(path)] for nested in _NESTED if nested[: len(path)] == path]
            raise ConfigurationError(f"{where} has no setting {raw!r}.{_did_you_mean(name, options)}")
        else:
            take(_known(name, f"config[{raw!r}]"), value, f"config[{raw!r}]")


def _known(name: str, origin: str) -> str:
    if name in _NAMES or name in _EXTRA or name in ("hydra", "u2c"):
        return name
    raise ConfigurationError(f"There is no setting {name!r} ({origin}).{_did_you_mean(name, [*_NAMES, *_EXTRA])}")


def _did_you_mean(name: str, options: list[str]) -> str:
    close = difflib.get_close_matches(name, options, n=1)
    return f" Did you mean {close[0]!r}?" if close else f" Known: {', '.join(sorted(set(options)))}."


def _from_environment(environ: Mapping[str, str], prefix: str) -> tuple[dict[str, Any], dict[str, str]]:
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, suffixes in _VARIABLES.items():
        for suffix in suffixes:
            variable = f"{prefix}_{suffix}"
            text = environ.get(variable, "").strip()
            if text and name not in values:
                values[name] = _number(text, variable) if name == "timeout" else text
                origins[name] = variable
    return values, origins


def _expand_authorization_string(values: dict[str, Any], origins: dict[str, str]) -> None:
    """The portal's URL names the client id, the redirect URI and the scope, and the page to begin at."""
    text = values.pop("authorization_string", None)
    if text is None:
        return
    origin = origins.pop("authorization_string")
    parts = urlsplit(text) if isinstance(text, str) else None
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
    return sorted(_scope(value, name).split()) if name == "scope" else value


def _pair_the_secret(
    levels: list[tuple[dict[str, Any], dict[str, str]]],
    settled: dict[str, Any],
    origins_of: dict[str, str],
    hints: dict[str, str],
) -> None:
    client_id = settled.get("client_id")
    for index, (values, origins) in enumerate(levels):
        secret = values.get("client_secret")
        if secret is None:
            continue
        own_id = values.get("client_id")
        if index == 0 and client_id is not None and own_id is None:
            raise ConfigurationError(
                f"client_secret ({origins['client_secret']}) would be used with the client_id of "
                f"{origins_of['client_id']}. A secret is only used with the client id it was given with: pass both."
            )
        if client_id is None or own_id == client_id:
            settled["client_secret"] = secret
            origins_of["client_secret"] = origins["client_secret"]
            return
        hints.setdefault(
            "client_secret",
            f"{origins['client_secret']} is set, but the client_id in use comes from {origins_of['client_id']}: "
            "a secret is only used with the client id it was given with, so give both in one place.",
        )


def _resolve(settled: dict[str, Any], origins: dict[str, str]) -> dict[str, Any]:
    values = dict(settled)
    values["scope"] = _scope(values.get("scope", ""), origins.get("scope", "scope"))
    environment = values.get("environment", "production")
    if environment not in _CLOUDS:
        raise ConfigurationError(
            f"environment is {environment!r} ({origins['environment']}); it is 'production' or 'fedramp'."
        )
    for name in ("allowed_domains", "emulator_hosts", "issuers"):
        if name in values:
            values[name] = _texts(values[name], name, origins[name])
    urls = dict(_CLOUDS[environment])
    emulator = values.get("emulator_url")
    if emulator is not None:
        hosts = values.get("emulator_hosts", ())
        given = urlsplit(emulator).hostname if isinstance(emulator, str) else None
        if given is not None and not is_loopback_host(given) and given not in hosts:
            raise ConfigurationError(
                f"emulator_url ({origins['emulator_url']}) names the host {given!r}, which is not this machine, and "
                f"tokens would go there. If that is meant, allow it: emulator_hosts=[{given!r}]."
            )
        emulator = _base_url(emulator, "emulator_url", origins["emulator_url"], hosts)
        values["emulator_url"] = emulator
        urls = {
            "hydra": f"{emulator}/v1",
            "u2c": f"{emulator}/u2c/api/v1",
            "idbroker": emulator,
            "identity": emulator,
        }
    overrides = values.get("service_urls", {})
    if not isinstance(overrides, Mapping):
        raise ConfigurationError(f"service_urls must map service names to URLs, not be {type(overrides).__name__}.")
    for name, url in overrides.items():
        urls[name] = _base_url(
            url, f"service_urls[{name!r}]", origins["service_urls"], values.get("emulator_hosts", ())
        )
    values["service_urls"] = urls
    broker, hydra = urls["idbroker"], urls["hydra"]
    values["allowed_domains"] = (
        *values.get("allowed_domains", ()),
        *(() if emulator is not None else _DOMAINS[environment]),
    )
    root = hydra if environment == "production" else f"{broker}/idb/oauth2/v1"
    defaults = {
        "authorize_url": f"{root}/authorize",
        "token_url": f"{root}/access_token",
        "revoke_url": f"{broker}/idb/oauth2/v1/revoke",
        "logout_url": f"{broker}/idb/oauth2/v1/logout",
        "jwks_url": f"{broker}/idb/oauth2/v2/keys/verificationjwk",
        "userinfo_url": f"{hydra}/userinfo",
        "device_authorize_url": f"{hydra}/device/authorize",
        "device_token_url": f"{hydra}/device/token",
    }
    for name, url in defaults.items():
        if name in values:
            url = _base_url(values[name], name, origins[name], values.get("emulator_hosts", ()))
        values[name] = url
    if "issuers" not in values:
        hosts = (
            [broker]
            if emulator is not None or environment == "fedramp" or "idbroker" in overrides
            else [f"https://idbroker{region}.webex.com" for region in _REGIONS]
        )
        values["issuers"] = tuple(f"{host}/idb" for host in hosts)
    return values


def _scope(value: Any, origin: str) -> str:
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(item, str) for item in value):
        return " ".join(value)
    raise ConfigurationError(f"scope ({origin}) must be text with spaces between the scopes, or a list of texts.")


def _texts(value: Any, name: str, origin: str) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, (list, tuple, set, frozenset)):
        raise ConfigurationError(f"{name} ({origin}) must be a list of texts, not {type(value).__name__}.")
    return tuple(str(item).lower().strip() if name != "issuers" else str(item) for item in value)


def _base_url(value: Any, name: str, origin: str, plain_http_hosts: tuple[str, ...] = ()) -> str:
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        shown = repr(value) if isinstance(value, str) and "@" not in value else type(value).__name__
        raise ConfigurationError(f"{name} ({origin}) must be an http or https URL, not {shown}.")
    if parts.username or parts.password:
        raise ConfigurationError(f"{name} ({origin}) must not hold a user name or password.")
    if parts.scheme == "http" and not is_loopback_host(parts.hostname) and parts.hostname not in plain_http_hosts:
        raise ConfigurationError(
            f"{name} ({origin}) is {value!r}: plain http is only allowed to this machine; use https."
        )
    return str(value).rstrip("/")


def _number(value: Any, origin: str) -> float:
    try:
        if isinstance(value, bool):
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{origin} must be a number of seconds, not {value!r}.") from None


def _check(config: Config) -> None:
    for name in (
        "client_id",
        "client_secret",
        "redirect_uri",
        "access_token",
        "refresh_token",
        "proxy",
        "ca_bundle",
    ):
        value = getattr(config, name)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise ConfigurationError(
                f"{name} ({config.origin(name)}) must be text that is not empty, not {type(value).__name__}."
            )
    for name in ("timeout", "connect_timeout", "refresh_deadline", "lease_ttl"):
        if not _is_number(getattr(config, name)) or getattr(config, name) <= 0:
            raise ConfigurationError(f"{name} ({config.origin(name)}) must be a number of seconds above 0.")
    for name in ("credential_max_age", "max_retries", "max_redirects", "max_upload_size"):
        if not _is_number(getattr(config, name)) or getattr(config, name) < 0:
            raise ConfigurationError(f"{name} ({config.origin(name)}) must be a number, 0 or more.")
    if not isinstance(config.pool_size, int) or config.pool_size < 1:
        raise ConfigurationError("pool_size must be a whole number, 1 or more.")
    if config.refresh_deadline >= config.lease_ttl:
        raise ConfigurationError(
            f"refresh_deadline ({config.refresh_deadline:g} s) must be shorter than lease_ttl "
            f"({config.lease_ttl:g} s): a refresh has to end while its lease is held."
        )
    if isinstance(config.transport, str) and config.transport not in ("auto", "pyreqwest", "urllib3"):
        raise ConfigurationError(
            f"transport is {config.transport!r}; it is 'auto', 'pyreqwest', 'urllib3' or an object."
        )
    if config.redirect_uri is not None:
        parts = urlsplit(config.redirect_uri)
        if not parts.scheme or not (parts.netloc or parts.path) or parts.fragment:
            raise ConfigurationError(
                f"redirect_uri ({config.origin('redirect_uri')}) is {config.redirect_uri!r}; it must be the "
                "absolute URL, without a fragment, that is registered with the app."
            )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

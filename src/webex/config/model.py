"""The settled settings of one app, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal

from webex.config.proxies import ProxyRules, explicit_rules
from webex.config.values import is_number, split_url
from webex.errors import ConfigurationError

Environment = Literal["production", "fedramp"]

# Names that the environment knows: WEBEX_<NAME>, then CISCOSPARK_<NAME>.
VARIABLES: Final[dict[str, tuple[str, ...]]] = {
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
    timeout: float = 60.0  # for a whole call, all its attempts together; unless it is set, files get longer
    connect_timeout: float = 10.0
    idle_timeout: float = 60.0  # until a streamed answer begins, and between two pieces of it
    max_retries: int = 4
    max_redirects: int = 10
    max_upload_size: int = 100 * 1024 * 1024
    max_download_size: int = 2 * 1024 * 1024 * 1024
    max_response_size: int = 16 * 1024 * 1024  # of any other answer, decompressed
    pool_size: int = 100
    calls_per_second: float | None = None  # of this client, all its users together; None: no limit of its own
    user_calls_per_second: float | None = None  # of each user (or bot, or app)
    proxy: str | Literal[False] | None = field(default=None, repr=False)  # may hold a password
    proxies: ProxyRules = field(default_factory=ProxyRules, repr=False, compare=False)  # what `proxy` leads to
    ca_bundle: str | None = None  # path of a PEM file with further certificate authorities
    transport: Any = "auto"  # one of TRANSPORTS, an aiohttp.ClientSession, or an object of the transport protocol
    tracking_id_prefix: str = "webex-python-sdk"
    app_name: str | None = None
    app_version: str | None = None
    # Encryption
    kms_roots: tuple[bytes, ...] = field(default=(), repr=False)  # certificates (DER or PEM) that the KMS must lead to
    # Tokens
    credential_max_age: float = 5.0  # how old a cached token's knowledge of the storage may be; 0: read at each call
    credential_cache_size: int = 50_000  # users whose credentials a process keeps; the least recently used leaves
    storage_grace: float = 60.0  # how long refreshed tokens that can't be saved serve while the storage is silent
    refresh_deadline: float = 15.0
    lease_ttl: float = 30.0
    # Where each value came from: an argument, a variable's name, or nothing for a default
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    hints: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def origin(self, name: str) -> str:
        """Where the value of a setting came from, in words."""
        return self.origins.get(name, "default")

    def require(self, name: str) -> Any:
        """Return the value of a setting that this call needs; `ConfigurationError` says how to set it."""
        value = getattr(self, name)
        if value not in (None, ""):
            return value
        variables = [f"WEBEX_{suffix}" for suffix in VARIABLES.get(name, ())]
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

    def proxy_for(self, url: str) -> str | None:
        """Return the proxy through which a URL is reached, with its credentials; None: directly."""
        return self.proxies.proxy_for(url)

    @property
    def idbroker_url(self) -> str:
        """The OAuth server's root, without a trailing slash."""
        return self.service_urls["idbroker"]

    def replace(self, **changes: Any) -> Config:
        """Return the same settings with some changed (they are checked again)."""
        if "proxy" in changes:
            changes["proxies"] = explicit_rules(changes["proxy"], "argument proxy")
        named = {name: f"argument {name}" for name in changes if name in NAMES}
        changed = replace(self, **{"origins": {**self.origins, **named}, **changes})
        check(changed)
        return changed


TRANSPORTS: Final = ("auto", "aiohttp", "urllib3", "pyreqwest")

NAMES: Final = frozenset(f.name for f in fields(Config)) - {"origins", "hints", "proxies"}


def check(config: Config) -> None:
    """Raise `ConfigurationError` for the first setting whose value is wrong."""
    for name in (
        "client_id",
        "client_secret",
        "redirect_uri",
        "access_token",
        "refresh_token",
        "ca_bundle",
    ):
        value = getattr(config, name)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise ConfigurationError(
                f"{name} ({config.origin(name)}) must be text that is not empty, not {type(value).__name__}."
            )
    for name in ("tracking_id_prefix", "app_name", "app_version"):
        value = getattr(config, name)
        if not isinstance(value, str | None):
            raise ConfigurationError(f"{name} ({config.origin(name)}) must be text, not {type(value).__name__}.")
    for name in ("timeout", "connect_timeout", "idle_timeout", "refresh_deadline", "lease_ttl"):
        if not is_number(getattr(config, name)) or getattr(config, name) <= 0:
            raise ConfigurationError(f"{name} ({config.origin(name)}) must be a number of seconds above 0.")
    for name in ("max_response_size", "max_download_size"):
        value = getattr(config, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigurationError(f"{name} ({config.origin(name)}) must be a whole number of bytes above 0.")
    for name in ("credential_max_age", "storage_grace", "max_retries", "max_redirects", "max_upload_size"):
        if not is_number(getattr(config, name)) or getattr(config, name) < 0:
            raise ConfigurationError(f"{name} ({config.origin(name)}) must be a number, 0 or more.")
    for name in ("calls_per_second", "user_calls_per_second"):
        value = getattr(config, name)
        if value is not None and (not is_number(value) or value <= 0):
            raise ConfigurationError(f"{name} ({config.origin(name)}) must be a number above 0, or None for no limit.")
    for name in ("pool_size", "credential_cache_size"):
        value = getattr(config, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigurationError(f"{name} must be a whole number, 1 or more.")
    if config.refresh_deadline >= config.lease_ttl:
        raise ConfigurationError(
            f"refresh_deadline ({config.refresh_deadline:g} s) must be shorter than lease_ttl "
            f"({config.lease_ttl:g} s): a refresh has to end while its lease is held."
        )
    if isinstance(config.transport, str) and config.transport not in TRANSPORTS:
        names = ", ".join(repr(name) for name in TRANSPORTS)
        raise ConfigurationError(
            f"transport ({config.origin('transport')}) is {config.transport!r}; it is {names}, an "
            "aiohttp.ClientSession, or an object of the transport protocol."
        )
    if config.redirect_uri is not None:
        parts = split_url(config.redirect_uri)
        if parts is None or not parts.scheme or not (parts.netloc or parts.path) or parts.fragment:
            raise ConfigurationError(
                f"redirect_uri ({config.origin('redirect_uri')}) is {config.redirect_uri!r}; it must be the "
                "absolute URL, without a fragment, that is registered with the app."
            )

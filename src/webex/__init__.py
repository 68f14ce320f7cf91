"""The Python SDK for Cisco Webex: sign in many users, keep their tokens, act for each of them.

`AsyncIntegration` and `Integration` are one registered app with many users; `AsyncWebex` and `Webex` are one person's
(or bot's) view of the cloud; `init` is the entry that the Node SDK's users know. Everything loads on first use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from webex.version import __version__

if TYPE_CHECKING:
    from typing import Unpack

    from webex.auth import AuthEvent, SignedIn, User
    from webex.client import AsyncWebex, Webex
    from webex.config import Config
    from webex.config.settings import Settings
    from webex.errors import (
        AccessDeniedError,
        ApiError,
        AuthenticationError,
        ConfigurationError,
        NotFoundError,
        NotSignedInError,
        OAuthError,
        PermissionDeniedError,
        RateLimitError,
        ReauthorizationRequiredError,
        TransportError,
        WebexError,
    )
    from webex.integration import AsyncIntegration, Integration
    from webex.realtime import RealtimeHub
    from webex.telemetry import configure_logging

__all__ = [
    "AccessDeniedError",
    "ApiError",
    "AsyncIntegration",
    "AsyncWebex",
    "AuthEvent",
    "AuthenticationError",
    "Config",
    "ConfigurationError",
    "Integration",
    "NotFoundError",
    "NotSignedInError",
    "OAuthError",
    "PermissionDeniedError",
    "RateLimitError",
    "RealtimeHub",
    "ReauthorizationRequiredError",
    "SignedIn",
    "TransportError",
    "User",
    "Webex",
    "WebexError",
    "__version__",
    "configure_logging",
    "init",
]

_LAZY_EXPORTS = {
    "AsyncIntegration": "webex.integration",
    "Integration": "webex.integration",
    "AsyncWebex": "webex.client",
    "Webex": "webex.client",
    "Config": "webex.config",
    "AuthEvent": "webex.auth",
    "RealtimeHub": "webex.realtime",
    "SignedIn": "webex.auth",
    "User": "webex.auth",
    "configure_logging": "webex.telemetry",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'webex' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_LAZY_EXPORTS.get(name, "webex.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def init(
    credentials: str | Mapping[str, Any] | None = None,
    *,
    access_token: str | None = None,
    refresh_token: str | None = None,
    refresh_callback: Callable[..., Any] | None = None,
    config: Mapping[str, Any] | Config | None = None,
    storage: Any = None,
    hooks: Sequence[Any] = (),
    **settings: Unpack[Settings],
) -> AsyncWebex:
    """Make an `AsyncWebex` the way the Node SDK's `Webex.init` does.

    `credentials` is a token in any shape that the Node SDK takes (text, mapping, nested mapping), or nothing: then the
    token is read from the storage, and `await client.ready()` waits for that. `config` is the nested mapping of the
    Node guide, with snake_case or camelCase names; both may come in one mapping, `init({"config": …, "credentials":
    …})`. Raises `ConfigurationError` when a setting is wrong or unknown.
    """
    from webex.client import AsyncWebex

    return AsyncWebex(
        credentials,
        access_token=access_token,
        refresh_token=refresh_token,
        refresh_callback=refresh_callback,
        config=config,
        storage=storage,
        hooks=hooks,
        **settings,
    )

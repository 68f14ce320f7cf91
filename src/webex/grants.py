"""Token sources without a person who signs in here: tokens handed over, service apps, the app itself, guests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from webex.auth import CallbackTokens, FetchedToken, NoToken, StaticToken, TokenSet, UserTokens, normalise_token
from webex.auth.service_apps import ServiceAppTokens, service_app_key
from webex.errors import ConfigurationError
from webex.ids import checked_key
from webex.runtime import drive

if TYPE_CHECKING:
    from webex.app import App
    from webex.http.types import TokenSource

__all__ = ["admin_source", "app_source", "guest_source", "service_app", "source_for", "stored_source"]


def source_for(app: App, credentials: Any) -> TokenSource:
    """Where a token comes from that was handed over as it is, or as a function that gives it."""
    if callable(credentials):
        return CallbackTokens(app.runtime, app.endpoint.now, credentials)
    tokens = normalise_token(credentials, app.endpoint.now())
    if tokens is None or not tokens.access_token:
        raise ConfigurationError("There is no access token in what was given.")
    return StaticToken(tokens.access_token)


def stored_source(app: App, credentials: Any, key: str) -> TokenSource:
    """Return the source of a bot's token, which is stored under `key`, as that of a user."""
    tokens = normalise_token(credentials, app.endpoint.now())
    if tokens is None or not tokens.access_token:
        raise ConfigurationError("There is no access token in what was given.")
    return UserTokens(app.tokens, checked_key(key), tokens)


async def service_app(app: App, application_id: str, target_org_id: str, admin: TokenSource) -> TokenSource:
    """Return the source of a service app's token in one organization; asked for at once if none is stored."""

    async def fetch() -> TokenSet:
        return await app.endpoint.service_app_token(application_id, target_org_id, admin)

    key = service_app_key(target_org_id)
    tokens = ServiceAppTokens(app.tokens, key, app.runtime, app.store, app.config, fetch)
    await tokens.access_token()
    return tokens


def app_source(app: App, scope: str) -> TokenSource:
    """Where the token of the app itself comes from (client credentials)."""

    async def fetch() -> TokenSet:
        return await app.endpoint.client_credentials(scope)

    return FetchedToken(app.runtime, app.endpoint.now, _driven(app, fetch), owner=("app", scope))


def guest_source(app: App, subject: str, display_name: str, issuer: Any) -> TokenSource:
    """Where the token of a guest comes from, which a service app's token makes."""
    tokens = source_for(app, issuer)

    async def fetch() -> TokenSet:
        return await app.endpoint.guest_token(subject, display_name, tokens)

    return FetchedToken(app.runtime, app.endpoint.now, _driven(app, fetch), owner=("guest", subject))


def admin_source(app: App, admin: Any) -> TokenSource:
    """Return the source of an administrator's token: a token in any shape, a function, or the settings."""
    given = admin if admin is not None else app.config.access_token
    if given is None or (not callable(given) and normalise_token(given, app.endpoint.now()) is None):
        return NoToken("The token of a service app is asked for with an administrator's token: give admin=….")
    return source_for(app, given)


def _driven(app: App, fetch: Callable[[], Any]) -> Callable[[], Any]:
    """Return a coroutine function as the app's style may call it."""
    return fetch if app.runtime.style == "async" else lambda: drive(fetch())

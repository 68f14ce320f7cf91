"""Where the token of a stand-alone client comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from webex.auth.callbacks import CallbackTokens
from webex.auth.sources import NoToken, StaticToken, UserTokens
from webex.auth.store import STANDALONE_KEY
from webex.auth.tokens import TokenSet, normalise_token
from webex.errors import ConfigurationError

if TYPE_CHECKING:
    from webex.auth.credentials import Credentials
    from webex.http.types import TokenSource

__all__ = ["standalone_source"]


def standalone_source(
    shared: Credentials, credentials: Any, refresh_callback: Callable[..., Any] | None, *, has_storage: bool
) -> TokenSource:
    """Return the source of a stand-alone client's token.

    `credentials` is a token in any shape of oauth §2 and wins over the settings, which win over the storage. A token
    of the environment is not for a storage of one's own: it would make every session that person's.
    """
    config, now = shared.config, shared.endpoint.now()
    if not isinstance(credentials, str | Mapping | TokenSet | None):
        raise ConfigurationError(
            f"credentials must be a token as text, or a mapping with access_token, not {type(credentials).__name__}."
        )
    tokens = normalise_token(credentials, now)
    named = config.origin("access_token" if config.access_token else "refresh_token")
    if tokens is None and (not has_storage or named.startswith(("argument", "config"))):
        tokens = normalise_token({"access_token": config.access_token, "refresh_token": config.refresh_token}, now)
    if refresh_callback is not None:
        return CallbackTokens(
            shared.runtime,
            shared.endpoint.now,
            refresh_callback,
            tokens,
            events=shared.events,
            user_key=STANDALONE_KEY,
        )
    if tokens is not None:
        if tokens.refresh_token is None and not has_storage:
            return StaticToken(tokens.access_token)
        return UserTokens(shared.manager, STANDALONE_KEY, tokens)
    if not has_storage and not config.client_id:
        return NoToken()
    return UserTokens(shared.manager, STANDALONE_KEY)

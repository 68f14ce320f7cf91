"""A token that a function of the app gives: `refresh_callback`, in the signatures that the Node SDK's users know.

The function takes no argument, the token that is to be replaced, or the client and the token.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Final

from webex.auth.sources import FetchedToken
from webex.auth.tokens import TokenSet, normalise_token
from webex.errors import ConfigurationError, ReauthorizationRequiredError
from webex.runtime.functions import is_asynchronous

if TYPE_CHECKING:
    from webex.auth.events import Events
    from webex.runtime.protocol import Runtime, Style

__all__ = ["CallbackTokens", "refresh_call"]

_TOKEN: Final = ("token", "old_token", "supertoken", "current", "tokens")
_CLIENT: Final = ("client", "webex", "sdk")
_NO_TOKEN: Final = TokenSet("")


def refresh_call(callback: Any, style: Style) -> Callable[[Any, TokenSet], Any]:
    """Adapt the function to `(client, token)`; `ConfigurationError` for a signature or style that does not fit."""
    if not callable(callback):
        raise ConfigurationError(
            f"refresh_callback must be a function that gives a new token, not {type(callback).__name__}."
        )
    if style == "blocking" and is_asynchronous(callback):
        raise ConfigurationError(
            "refresh_callback is asynchronous and can't serve a blocking client: give a plain function, or use "
            "AsyncWebex."
        )
    try:
        parameters = list(inspect.signature(callback).parameters.values())
    except (TypeError, ValueError):  # a function of a compiled module may hide its signature
        return lambda client, token: callback()
    return _fitted(callback, parameters)


def _fitted(callback: Callable[..., Any], parameters: list[inspect.Parameter]) -> Callable[[Any, TokenSet], Any]:
    required = [
        one for one in parameters if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    positional = [one for one in required if one.kind is not one.KEYWORD_ONLY]
    named = [one.name for one in parameters if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)]
    by_name = [one for one in named if one in (*_TOKEN, *_CLIENT) and one not in {each.name for each in positional}]
    strange = [one.name for one in required if one.kind is one.KEYWORD_ONLY and one.name not in by_name]
    if len(positional) > 2 or strange:
        raise ConfigurationError(
            f"refresh_callback takes ({', '.join(one.name for one in required)}); it is called with nothing, with the "
            "token, or with the client and the token: def refresh(), def refresh(token), or def refresh(client, token)."
        )
    takes_all = any(one.kind is one.VAR_POSITIONAL for one in parameters) and not positional

    def call(client: Any, token: TokenSet) -> Any:
        if takes_all or len(positional) == 2:
            arguments: tuple[Any, ...] = (client, token)
        elif positional:
            arguments = (client if positional[0].name in _CLIENT else token,)
        else:
            arguments = ()
        return callback(*arguments, **{name: token if name in _TOKEN else client for name in by_name})

    return call


class CallbackTokens(FetchedToken):
    """The token that `refresh_callback` gives; what its answer leaves out (a refresh token) stays as it was.

    What `set_client` was given is handed to the callback; `events` are told of a new token, and of one that the
    callback can't give.
    """

    def __init__(
        self,
        runtime: Runtime,
        now: Callable[[], float],
        callback: Any,
        first: TokenSet | None = None,
        *,
        events: Events | None = None,
        user_key: str = "",
    ) -> None:
        self._call = refresh_call(callback, runtime.style)
        self._events = events
        self._user_key = user_key
        self._told = first
        self._client: Any = None
        super().__init__(runtime, now, self._refresh, first, owner=_owner(callback, user_key))
        if runtime.style == "blocking":
            from webex.runtime import drive

            self._fetch = lambda: drive(self._refresh())

    def set_client(self, client: Any) -> None:
        """Set the client that the callback is given."""
        self._client = client

    async def access_token(self, **options: Any) -> str:
        """Return the token; fetch a new one when it has expired, or is about to."""
        try:
            token = await super().access_token(**options)
        except ReauthorizationRequiredError as error:
            await self._tell("reauthorization_required", error.reason)
            raise
        await self._tell_refreshed()
        return token

    async def replace(self, rejected: str, **options: Any) -> str | None:
        """Return a token that differs, if the function has one."""
        try:
            token = await super().replace(rejected, **options)
        except ReauthorizationRequiredError as error:
            await self._tell("reauthorization_required", error.reason)
            raise
        await self._tell_refreshed()
        return token

    @property
    def tokens(self) -> TokenSet | None:
        """The token and what belongs to it, as far as known."""
        return self._tokens

    async def _refresh(self) -> TokenSet | None:
        old = self._tokens or _NO_TOKEN
        fresh = normalise_token(await self._runtime.call(self._call, self._client, old), self._now())
        return None if fresh is None else fresh.after(old)

    async def _tell_refreshed(self) -> None:
        # Here and not in the fetch: a handler may make calls, which would wait for the fetch that waits for it.
        if self._tokens is not self._told:
            self._told = self._tokens
            await self._tell("token_refreshed")

    async def _tell(self, kind: Any, reason: str | None = None) -> None:
        if self._events is not None:
            await self._events.emit_later(kind, self._user_key, reason)


def _owner(callback: Any, user_key: str) -> Hashable:
    """Return an owner that is equal for two clients with the same callback."""
    return ("callback", user_key, callback if isinstance(callback, Hashable) else id(callback))

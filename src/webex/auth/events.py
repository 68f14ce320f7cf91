"""What an app may hook: a sign-in, a refresh, the end of a token, a sign-out.

A handler is a plain function or, in event-loop style, an asynchronous one. It runs after the fact, holds no lease, and
may call the API; an exception in it is logged and changes nothing. In event-loop style handlers of a refresh run beside
the calls, and closing the client cancels one that does not end; plain functions run on the loop and must not block it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, get_args

from webex.errors import ConfigurationError
from webex.runtime.functions import is_asynchronous

if TYPE_CHECKING:
    from webex.runtime.protocol import Runtime

_logger = logging.getLogger("webex.auth")

Kind = Literal[
    "signed_in",
    "token_refreshed",
    "reauthorization_required",
    "signed_out",
    "consent_withdrawn",
    "scopes_grown",
    "app_authorized",
    "app_deauthorized",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

H = TypeVar("H", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class AuthEvent:
    """What happened to a user's sign-in. `reason` is that of `ReauthorizationRequiredError`, where there is one.

    `scopes` are the new ones of `scopes_grown`. The key of `app_authorized` and `app_deauthorized` is that of the
    service app's tokens, `org:<uuid of the organization>`.
    """

    kind: Kind
    user_key: str
    reason: str | None = None
    scopes: frozenset[str] = frozenset()


class Events:
    """Register with a decorator: `@integration.events.signed_in`; any number of handlers each."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._handlers: dict[Kind, list[Callable[[AuthEvent], Any]]] = {kind: [] for kind in KINDS}

    def on(self, kind: Kind, handler: H) -> H:
        """Call `handler(event)` whenever this happens; `ConfigurationError` for one that does not fit the style."""
        if kind not in self._handlers:
            raise ConfigurationError(f"There is no event {kind!r}; there are {', '.join(KINDS)}.")
        if not callable(handler):
            raise ConfigurationError(f"A handler of {kind!r} must be a function, not {type(handler).__name__}.")
        if self._runtime.style == "blocking" and is_asynchronous(handler):
            raise ConfigurationError(
                f"The handler of {kind!r} is asynchronous; a blocking client needs a plain function."
            )
        self._handlers[kind].append(handler)
        return handler

    def off(self, kind: Kind, handler: Callable[..., Any]) -> None:
        """Call a handler no more; no error for one that is not registered."""
        with suppress(ValueError):
            self._handlers[kind].remove(handler)

    def signed_in(self, handler: H) -> H:
        """After a sign-in was finished and its tokens are stored."""
        return self.on("signed_in", handler)

    def token_refreshed(self, handler: H) -> H:
        """After a refresh was carried out by this process and its tokens are stored."""
        return self.on("token_refreshed", handler)

    def reauthorization_required(self, handler: H) -> H:
        """After this process found that a person has to sign in again; `event.reason` says why."""
        return self.on("reauthorization_required", handler)

    def signed_out(self, handler: H) -> H:
        """After a person was signed out."""
        return self.on("signed_out", handler)

    def consent_withdrawn(self, handler: H) -> H:
        """After Webex refused a refresh token before its end: the user or an administrator withdrew the consent.

        A changed password may be the reason as well. `reauthorization_required` is called for it, too.
        """
        return self.on("consent_withdrawn", handler)

    def scopes_grown(self, handler: H) -> H:
        """After a user who was signed in has signed in again with more scopes; `event.scopes` are the new ones."""
        return self.on("scopes_grown", handler)

    def app_authorized(self, handler: H) -> H:
        """After `note_service_app` was told that an administrator authorized the service app."""
        return self.on("app_authorized", handler)

    def app_deauthorized(self, handler: H) -> H:
        """After `note_service_app` was told that an administrator no longer authorizes the service app."""
        return self.on("app_deauthorized", handler)

    async def emit(
        self, kind: Kind, user_key: str, reason: str | None = None, *, scopes: frozenset[str] = frozenset()
    ) -> None:
        """Call all handlers, one after the other, and wait for them."""
        for handler in tuple(self._handlers[kind]):
            await self._tell(handler, AuthEvent(kind, user_key, reason, scopes))

    async def emit_later(self, kind: Kind, user_key: str, reason: str | None = None) -> None:
        """Call all handlers when the work under way is over; no caller waits for one in event-loop style."""
        event = AuthEvent(kind, user_key, reason)
        for handler in tuple(self._handlers[kind]):
            await self._runtime.later(partial(self._tell, handler, event))

    async def _tell(self, handler: Callable[[AuthEvent], Any], event: AuthEvent) -> None:
        try:
            await self._runtime.call(handler, event)
        except Exception as error:
            # Not logged whole: an app's exception may show what it was handling.
            _logger.error("a handler of %s failed with %s", event.kind, type(error).__name__)

"""What an app may hook: a sign-in, a refresh, the end of a token, a sign-out.

A handler is a plain function or, in event-loop style, an asynchronous one. It runs after the fact; an exception in it
is logged and changes nothing.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from webex.errors import ConfigurationError

if TYPE_CHECKING:
    from webex.runtime.protocol import Runtime

_logger = logging.getLogger("webex.auth")

Kind = Literal["signed_in", "token_refreshed", "reauthorization_required", "signed_out"]
KINDS: Final[tuple[Kind, ...]] = ("signed_in", "token_refreshed", "reauthorization_required", "signed_out")

H = TypeVar("H", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to whom. `reason` is that of `ReauthorizationRequiredError`, where there is one."""

    kind: Kind
    user_key: str
    reason: str | None = None


class Events:
    """Register with a decorator: `@integration.events.signed_in`; any number of handlers each."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._handlers: dict[Kind, list[Callable[[Event], Any]]] = {kind: [] for kind in KINDS}

    def on(self, kind: Kind, handler: H) -> H:
        """Call `handler(event)` whenever this happens; `ConfigurationError` for one that does not fit the style."""
        if kind not in self._handlers:
            raise ConfigurationError(f"There is no event {kind!r}; there are {', '.join(KINDS)}.")
        if not callable(handler):
            raise ConfigurationError(f"A handler of {kind!r} must be a function, not {type(handler).__name__}.")
        if self._runtime.style == "blocking" and inspect.iscoroutinefunction(handler):
            raise ConfigurationError(
                f"The handler of {kind!r} is asynchronous; a blocking client needs a plain function."
            )
        self._handlers[kind].append(handler)
        return handler

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

    async def emit(self, kind: Kind, user_key: str, reason: str | None = None) -> None:
        """Tell all handlers."""
        for handler in tuple(self._handlers[kind]):
            try:
                await self._runtime.call(handler, Event(kind, user_key, reason))
            except Exception as error:
                # Not logged whole: an app's exception may show what it was handling.
                _logger.error("a handler of %s failed with %s", kind, type(error).__name__)

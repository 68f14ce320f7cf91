"""Functions that are called with the events of a fleet: `@fleet.on("messages", "created")`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, overload

from webex.errors import ConfigurationError

if TYPE_CHECKING:
    from webex.realtime.event import Event
    from webex.realtime.kinds import (
        RealtimeAttachmentActionEvent,
        RealtimeGapEvent,
        RealtimeMembershipEvent,
        RealtimeMessageEvent,
        RealtimeReactionEvent,
        RealtimeRoomEvent,
    )

__all__ = ["TRIES", "Handlers"]

R = TypeVar("R")
TRIES: Final = 5  # attempts before an event is put back for a while


class Handlers:
    """Keep the handlers, and call those that an event is for."""

    def __init__(self) -> None:
        self._handlers: list[tuple[str, str, Callable[[Any], Any]]] = []

    @property
    def has_handlers(self) -> bool:
        """Whether there is a handler."""
        return bool(self._handlers)

    @overload
    def on(
        self, resource: Literal["messages"], event: str = "*"
    ) -> Callable[[Callable[[RealtimeMessageEvent], R]], Callable[[RealtimeMessageEvent], R]]: ...
    @overload
    def on(
        self, resource: Literal["rooms"], event: str = "*"
    ) -> Callable[[Callable[[RealtimeRoomEvent], R]], Callable[[RealtimeRoomEvent], R]]: ...
    @overload
    def on(
        self, resource: Literal["memberships"], event: str = "*"
    ) -> Callable[[Callable[[RealtimeMembershipEvent], R]], Callable[[RealtimeMembershipEvent], R]]: ...
    @overload
    def on(
        self, resource: Literal["attachmentActions"], event: str = "*"
    ) -> Callable[[Callable[[RealtimeAttachmentActionEvent], R]], Callable[[RealtimeAttachmentActionEvent], R]]: ...
    @overload
    def on(
        self, resource: Literal["reactions"], event: str = "*"
    ) -> Callable[[Callable[[RealtimeReactionEvent], R]], Callable[[RealtimeReactionEvent], R]]: ...
    @overload
    def on(
        self, resource: Literal["gap"], event: str = "*"
    ) -> Callable[[Callable[[RealtimeGapEvent], R]], Callable[[RealtimeGapEvent], R]]: ...
    @overload
    def on(self, resource: str, event: str = "*") -> Callable[[Callable[[Any], R]], Callable[[Any], R]]: ...
    def on(self, resource: str, event: str = "*") -> Any:
        """Call the decorated function for each such event; "*" is any. It may be asynchronous.

        Where it raises, it is called again after a moment, five times in all, and the room waits; then the event is put
        back for half a minute and comes again, and later ones go on.
        """

        def decorate(handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
            if not callable(handler):
                raise ConfigurationError("A handler is a function that takes the event.")
            self._handlers.append((resource, event, handler))
            return handler

        return decorate

    async def call_handlers(self, event: Event[Any]) -> None:
        """Call the handlers that an event is for, one after the other."""
        for resource, name, handler in self._handlers:
            if resource in ("*", event.resource) and name in ("*", event.event):
                result = handler(event)
                if inspect.isawaitable(result):
                    await result

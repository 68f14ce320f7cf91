"""`on` and `on_error`: how an app says which function handles what."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from webex.webhooks.received import C

if TYPE_CHECKING:
    from webex.models.generated.messaging import AttachmentAction, Membership, Message, Room
    from webex.webhooks.core import Core
    from webex.webhooks.events import Call, Meeting, Recording, ServiceApp
    from webex.webhooks.received import ReceivedEvent

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")


class Registration(Generic[C]):
    """The decorators of a receiver."""

    _core: Core

    @overload
    def on(
        self, resource: Literal["messages"], event: str = "*"
    ) -> Callable[[Callable[[ReceivedEvent[Message, C]], R]], Callable[[ReceivedEvent[Message, C]], R]]: ...
    @overload
    def on(
        self, resource: Literal["rooms"], event: str = "*"
    ) -> Callable[[Callable[[ReceivedEvent[Room, C]], R]], Callable[[ReceivedEvent[Room, C]], R]]: ...
    @overload
    def on(
        self, resource: Literal["memberships"], event: str = "*"
    ) -> Callable[[Callable[[ReceivedEvent[Membership, C]], R]], Callable[[ReceivedEvent[Membership, C]], R]]: ...
    @overload
    def on(
        self, resource: Literal["attachmentActions"], event: str = "*"
    ) -> Callable[
        [Callable[[ReceivedEvent[AttachmentAction, C]], R]], Callable[[ReceivedEvent[AttachmentAction, C]], R]
    ]: ...
    @overload
    def on(
        self, resource: Literal["meetings"], event: str = "*"
    ) -> Callable[[Callable[[ReceivedEvent[Meeting, C]], R]], Callable[[ReceivedEvent[Meeting, C]], R]]: ...
    @overload
    def on(
        self, resource: Literal["recordings"], event: str = "*"
    ) -> Callable[[Callable[[ReceivedEvent[Recording, C]], R]], Callable[[ReceivedEvent[Recording, C]], R]]: ...
    @overload
    def on(
        self, resource: Literal["telephony_calls"], event: str = "*"
    ) -> Callable[[Callable[[ReceivedEvent[Call, C]], R]], Callable[[ReceivedEvent[Call, C]], R]]: ...
    @overload
    def on(
        self, resource: Literal["serviceApp"], event: str = "*"
    ) -> Callable[[Callable[[ReceivedEvent[ServiceApp, C]], R]], Callable[[ReceivedEvent[ServiceApp, C]], R]]: ...
    @overload
    def on(
        self, resource: str, event: str = "*"
    ) -> Callable[[Callable[[ReceivedEvent[Any, C]], R]], Callable[[ReceivedEvent[Any, C]], R]]: ...
    def on(self, resource: str, event: str = "*") -> Any:
        """Call the decorated function for what happens to a resource: `@hooks.on("messages", "created")`.

        Without `event`, for everything that happens to it; `"*"` as resource stands for all. For a contact center the
        two are the halves of the type: `on("task", "ended")`. All functions that fit are called, in the order of their
        registration. One that raises is logged, and the functions of `on_error` are called; it is called again for
        `Retry`, for `TransportError`, `StorageError` and answers of 5xx, 408, 423 or 429, three times in all.
        """

        def register(handler: F) -> F:
            self._core.handlers.add(resource, event, handler)
            return handler

        return register

    def on_error(self, handler: F) -> F:
        """Call the decorated function, with the event and the exception, for an event that could not be handled."""
        self._core.handlers.add_error(handler)
        return handler

"""`listen()` on the resources that things happen to. What listens is the client's; here it is only asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Unpack

from webex.api.generated import attachment_actions, memberships, rooms
from webex.api.resource import AsyncResource, Resource
from webex.errors import ConfigurationError

if TYPE_CHECKING:
    from webex.api.generated.models import AttachmentAction, Membership, Room
    from webex.api.session import Session
    from webex.http.types import TokenSource
    from webex.realtime.background import BlockingListening
    from webex.realtime.listening import Listening
    from webex.realtime.options import ListenOptions

__all__ = ["AsyncAttachmentActions", "AsyncMemberships", "AsyncRooms", "AttachmentActions", "Memberships", "Rooms"]


class Listens(Protocol):
    """What a client can do for its resources."""

    def listen(self, tokens: TokenSource, resources: tuple[str, ...], **options: Any) -> Any:
        """A subscription to what happens to these resources."""
        ...


def listen(resource: AsyncResource | Resource, name: str, **options: Unpack[ListenOptions]) -> Any:
    """A subscription to what happens to one resource."""
    session: Session = resource._session
    if session.listens is None or session.tokens is None:
        raise ConfigurationError("This resource has no client that could listen.")
    return session.listens.listen(session.tokens, (name,), **options)


class AsyncRooms(rooms.AsyncRooms):
    """`client.rooms`, in event-loop style."""

    __slots__ = ()

    def listen(self, **options: Unpack[ListenOptions]) -> Listening[Room]:
        """Hear of new and changed rooms: `created`, `updated`. Options as for `client.messages.listen`."""
        stream: Listening[Room] = listen(self, "rooms", **options)
        return stream


class Rooms(rooms.Rooms):
    """`client.rooms`, in blocking style."""

    __slots__ = ()

    def listen(self, **options: Unpack[ListenOptions]) -> BlockingListening[Room]:
        """Hear of new and changed rooms; see `AsyncRooms.listen`."""
        stream: BlockingListening[Room] = listen(self, "rooms", **options)
        return stream


class AsyncMemberships(memberships.AsyncMemberships):
    """`client.memberships`, in event-loop style."""

    __slots__ = ()

    def listen(self, **options: Unpack[ListenOptions]) -> Listening[Membership]:
        """Hear who comes and goes: `created`, `updated`, `deleted`, `seen`. Options as for `client.messages.listen`."""
        stream: Listening[Membership] = listen(self, "memberships", **options)
        return stream


class Memberships(memberships.Memberships):
    """`client.memberships`, in blocking style."""

    __slots__ = ()

    def listen(self, **options: Unpack[ListenOptions]) -> BlockingListening[Membership]:
        """Hear who comes and goes; see `AsyncMemberships.listen`."""
        stream: BlockingListening[Membership] = listen(self, "memberships", **options)
        return stream


class AsyncAttachmentActions(attachment_actions.AsyncAttachmentActions):
    """`client.attachment_actions`, in event-loop style."""

    __slots__ = ()

    def listen(self, **options: Unpack[ListenOptions]) -> Listening[AttachmentAction]:
        """Hear what people submit with cards: `created`. Options as for `client.messages.listen`."""
        stream: Listening[AttachmentAction] = listen(self, "attachmentActions", **options)
        return stream


class AttachmentActions(attachment_actions.AttachmentActions):
    """`client.attachment_actions`, in blocking style."""

    __slots__ = ()

    def listen(self, **options: Unpack[ListenOptions]) -> BlockingListening[AttachmentAction]:
        """Hear what people submit with cards; see `AsyncAttachmentActions.listen`."""
        stream: BlockingListening[AttachmentAction] = listen(self, "attachmentActions", **options)
        return stream

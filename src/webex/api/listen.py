"""`listen()` on the resources that things happen to. What listens is the client's; here it is only asked for."""

from __future__ import annotations

import builtins
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, Unpack

from webex.api.generated import attachment_actions, memberships, rooms
from webex.errors import ConfigurationError

if TYPE_CHECKING:
    from webex.api.session import Session
    from webex.http.types import TokenSource
    from webex.models.generated.messaging import Membership
    from webex.realtime.access import Work
    from webex.realtime.background import BlockingSubscription
    from webex.realtime.kinds import (
        RealtimeAttachmentActionEvent,
        RealtimeGapEvent,
        RealtimeMembershipEvent,
        RealtimeRoomEvent,
    )
    from webex.realtime.options import ListenOptions
    from webex.realtime.read_status import RoomReadStatus
    from webex.realtime.subscription import Subscription

__all__ = ["AsyncAttachmentActions", "AsyncMemberships", "AsyncRooms", "AttachmentActions", "Memberships", "Rooms"]

T = TypeVar("T")


class Listens(Protocol):
    """What a client can do for its resources."""

    def listen(self, tokens: TokenSource, resources: tuple[str, ...], **options: Any) -> Any:
        """Return a subscription to what happens to these resources."""
        ...

    async def within(self, tokens: TokenSource, work: Work[T]) -> T:
        """Work done with the conversation service of one user."""
        ...


def listen(session: Session, name: str, **options: Unpack[ListenOptions]) -> Any:
    """Return a subscription to what happens to one resource."""
    if session.listens is None or session.tokens is None:
        raise ConfigurationError("This resource has no client that could listen.")
    return session.listens.listen(session.tokens, (name,), **options)


async def within(session: Session, work: Work[T]) -> T:
    """Do work with the conversation service, as the user of this view."""
    if session.listens is None or session.tokens is None:
        raise ConfigurationError("This resource has no client that could reach the conversation service.")
    return await session.listens.within(session.tokens, work)


class AsyncRooms(rooms.AsyncRooms):
    """`client.rooms`, in event-loop style."""

    __slots__ = ()

    def listen(self, **options: Unpack[ListenOptions]) -> Subscription[RealtimeRoomEvent | RealtimeGapEvent]:
        """Receive events of new and changed rooms: `created`, `updated`. Options as for `client.messages.listen`."""
        return listen(self._session, "rooms", **options)  # type: ignore[no-any-return]  # by style

    async def with_read_status(self, *, max_recent: int | None = None) -> builtins.list[RoomReadStatus]:
        """Return how far the user has read in each room, the latest activity first; titles are decrypted here.

        max_recent: only that many of the rooms with activity in the last 14 days, 1 to 100.
        Listens to nothing, but opens a connection to the key service, as `client.conversations` does.
        """
        from webex.realtime.read_status import list_rooms

        return await within(self._session, partial(list_rooms, max_recent=max_recent))

    async def read_status(self, room_id: str) -> RoomReadStatus:
        """Return how far the user has read in a room; `NotFoundError` when the user is not in it."""
        from webex.realtime.read_status import get_room

        return await within(self._session, partial(get_room, room_id=room_id))


class Rooms(rooms.Rooms):
    """`client.rooms`, in blocking style."""

    __slots__ = ()

    def listen(self, **options: Unpack[ListenOptions]) -> BlockingSubscription[RealtimeRoomEvent | RealtimeGapEvent]:
        """Receive events of new and changed rooms; see `AsyncRooms.listen`."""
        return listen(self._session, "rooms", **options)  # type: ignore[no-any-return]  # by style

    def with_read_status(self, *, max_recent: int | None = None) -> builtins.list[RoomReadStatus]:
        """Return how far the user has read in each room; see `AsyncRooms.with_read_status`."""
        from webex.realtime.read_status import list_rooms

        return self._drive(within(self._session, partial(list_rooms, max_recent=max_recent)))

    def read_status(self, room_id: str) -> RoomReadStatus:
        """Return how far the user has read in a room; see `AsyncRooms.read_status`."""
        from webex.realtime.read_status import get_room

        return self._drive(within(self._session, partial(get_room, room_id=room_id)))


class AsyncMemberships(memberships.AsyncMemberships):
    """`client.memberships`, in event-loop style."""

    __slots__ = ()

    def listen(self, **options: Unpack[ListenOptions]) -> Subscription[RealtimeMembershipEvent | RealtimeGapEvent]:
        """Receive membership events: `created`, `updated`, `deleted`, `seen`. Options: see `client.messages.listen`."""
        return listen(self._session, "memberships", **options)  # type: ignore[no-any-return]  # by style

    async def read_status(self, room_id: str) -> builtins.list[Membership]:
        """Return the members of a room with what each has read last, and when: `last_seen_id`, `last_seen_date`.

        Both are None for a member who has read nothing. `created` is not known here.
        """
        from webex.realtime.read_status import list_members

        return await within(self._session, partial(list_members, room_id=room_id))


class Memberships(memberships.Memberships):
    """`client.memberships`, in blocking style."""

    __slots__ = ()

    def listen(
        self, **options: Unpack[ListenOptions]
    ) -> BlockingSubscription[RealtimeMembershipEvent | RealtimeGapEvent]:
        """Receive membership events; see `AsyncMemberships.listen`."""
        return listen(self._session, "memberships", **options)  # type: ignore[no-any-return]  # by style

    def read_status(self, room_id: str) -> builtins.list[Membership]:
        """Return the members of a room with what each has read last; see `AsyncMemberships.read_status`."""
        from webex.realtime.read_status import list_members

        return self._drive(within(self._session, partial(list_members, room_id=room_id)))


class AsyncAttachmentActions(attachment_actions.AsyncAttachmentActions):
    """`client.attachment_actions`, in event-loop style."""

    __slots__ = ()

    def listen(
        self, **options: Unpack[ListenOptions]
    ) -> Subscription[RealtimeAttachmentActionEvent | RealtimeGapEvent]:
        """Receive events of submitted cards: `created`. Options as for `client.messages.listen`."""
        return listen(self._session, "attachmentActions", **options)  # type: ignore[no-any-return]  # by style


class AttachmentActions(attachment_actions.AttachmentActions):
    """`client.attachment_actions`, in blocking style."""

    __slots__ = ()

    def listen(
        self, **options: Unpack[ListenOptions]
    ) -> BlockingSubscription[RealtimeAttachmentActionEvent | RealtimeGapEvent]:
        """Receive events of submitted cards; see `AsyncAttachmentActions.listen`."""
        return listen(self._session, "attachmentActions", **options)  # type: ignore[no-any-return]  # by style

"""The kinds of events that `listen()` delivers: a check of the class, of `resource` or of `event` narrows `data`.

`client.listen()` gives `RealtimeEvent`, the union of all kinds, which type checkers narrow:

    async for event in client.listen():
        if event.resource == "messages" and event.event == "created":
            print(event.data.text)  # event.data is a Message

        match event:
            case RealtimeRoomEvent(data=room):
                print(room.title)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from webex.models.generated.messaging import AttachmentAction, Membership, Message, Room
from webex.realtime.event import Audience, Event, Gap, Occurrence, Reaction, Typing
from webex.realtime.presence_data import Presence

if TYPE_CHECKING:
    from webex.errors import DecryptionError


class RealtimeMessageEvent(Event[Message]):
    """A message was sent, edited or deleted. `data` of a deleted one has its ids, and no text."""

    __slots__ = ()

    @property
    def resource(self) -> Literal["messages"]:
        """The public name of what the event is about."""
        return "messages"

    @property
    def event(self) -> Literal["created", "updated", "deleted"]:
        """What happened to the message."""
        return self._event  # type: ignore[return-value]  # one of these by `webex.realtime.events`


class RealtimeRoomEvent(Event[Room]):
    """A room was made, renamed, locked or unlocked."""

    __slots__ = ()

    @property
    def resource(self) -> Literal["rooms"]:
        """The public name of what the event is about."""
        return "rooms"

    @property
    def event(self) -> Literal["created", "updated"]:
        """What happened to the room."""
        return self._event  # type: ignore[return-value]  # one of these by `webex.realtime.events`


class RealtimeMembershipEvent(Event[Membership]):
    """A person was added to a room, left it, became or ceased to be a moderator, hid the room, or read in it."""

    __slots__ = ()

    @property
    def resource(self) -> Literal["memberships"]:
        """The public name of what the event is about."""
        return "memberships"

    @property
    def event(self) -> Literal["created", "updated", "deleted", "seen"]:
        """What happened to the membership; `seen`: the person read up to `data.last_seen_id`."""
        return self._event  # type: ignore[return-value]  # one of these by `webex.realtime.events`


class RealtimeAttachmentActionEvent(Event[AttachmentAction]):
    """A person submitted a card; `data.inputs` has the values of its fields."""

    __slots__ = ()

    @property
    def resource(self) -> Literal["attachmentActions"]:
        """The public name of what the event is about."""
        return "attachmentActions"

    @property
    def event(self) -> Literal["created"]:
        """What happened: an answer was submitted."""
        return "created"


class RealtimeReactionEvent(Event[Reaction]):
    """A person reacted to a message, or took a reaction back."""

    __slots__ = ()

    @property
    def resource(self) -> Literal["reactions"]:
        """The public name of what the event is about."""
        return "reactions"

    @property
    def event(self) -> Literal["created", "deleted"]:
        """What happened to the reaction."""
        return self._event  # type: ignore[return-value]  # one of these by `webex.realtime.events`


class RealtimeTypingEvent(Event[Typing]):
    """A person began or stopped typing; only where a subscription names `typing`."""

    __slots__ = ()

    @property
    def resource(self) -> Literal["typing"]:
        """The name under which a subscription asks for it."""
        return "typing"

    @property
    def event(self) -> Literal["started", "stopped"]:
        """Whether the person began or stopped."""
        return self._event  # type: ignore[return-value]  # one of these by `webex.realtime.dispatcher`


class RealtimePresenceEvent(Event[Presence]):
    """The presence of a person has changed; only where a subscription names `presence`."""

    __slots__ = ()

    @property
    def resource(self) -> Literal["presence"]:
        """The name under which a subscription asks for it."""
        return "presence"

    @property
    def event(self) -> Literal["updated"]:
        """What happened: the presence is another one."""
        return "updated"


class RealtimeOtherEvent(Event[dict[str, Any]]):
    """What no other kind tells: a frame of another service, or an activity without a public name, decrypted.

    Only where a subscription names `*`. `event` is the event type of the frame, such as `featureToggle_update`, or
    `conversation.activity`; `data` is the frame's data, or the activity, in the names of the wire.
    """

    __slots__ = ()

    @property
    def resource(self) -> Literal["*"]:
        """The name under which a subscription asks for it."""
        return "*"


class RealtimeGapEvent(Event[Gap]):
    """Events may be missing, and can't be listed any more; every subscription receives it."""

    __slots__ = ()

    @property
    def resource(self) -> Literal["gap"]:
        """The name of the kind; a gap is about no resource."""
        return "gap"

    @property
    def event(self) -> Literal["gap"]:
        """The name for `subscription.on("gap", …)`."""
        return "gap"


RealtimeEvent: TypeAlias = (
    RealtimeMessageEvent
    | RealtimeRoomEvent
    | RealtimeMembershipEvent
    | RealtimeAttachmentActionEvent
    | RealtimeReactionEvent
    | RealtimeTypingEvent
    | RealtimePresenceEvent
    | RealtimeOtherEvent
    | RealtimeGapEvent
)

_KINDS: Final[dict[str, type[Event[Any]]]] = {
    "messages": RealtimeMessageEvent,
    "rooms": RealtimeRoomEvent,
    "memberships": RealtimeMembershipEvent,
    "attachmentActions": RealtimeAttachmentActionEvent,
    "reactions": RealtimeReactionEvent,
    "typing": RealtimeTypingEvent,
    "presence": RealtimePresenceEvent,
    "*": RealtimeOtherEvent,
    "gap": RealtimeGapEvent,
}


def make_event(
    occurrence: Occurrence,
    audience: Audience,
    activity: Mapping[str, Any],
    *,
    redelivered: bool = False,
    decryption_error: DecryptionError | None = None,
) -> Event[Any]:
    """Return the event of the kind that belongs to its resource."""
    kind = _KINDS[occurrence.resource]
    return kind(occurrence, audience, activity, redelivered=redelivered, decryption_error=decryption_error)

"""Receive events in real time: device registration, the Mercury socket, dispatch, catch-up; and send encrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webex.realtime.background import BlockingSubscription
    from webex.realtime.conversations import Conversations, OutgoingFile
    from webex.realtime.event import Actor, Event, Gap, Reaction, Typing
    from webex.realtime.health import Health
    from webex.realtime.history import AsyncHistory, History, Thread
    from webex.realtime.hub import RealtimeHub
    from webex.realtime.kinds import (
        RealtimeAttachmentActionEvent,
        RealtimeEvent,
        RealtimeGapEvent,
        RealtimeMembershipEvent,
        RealtimeMessageEvent,
        RealtimeOtherEvent,
        RealtimePresenceEvent,
        RealtimeReactionEvent,
        RealtimeRoomEvent,
        RealtimeTypingEvent,
    )
    from webex.realtime.options import ListenOptions
    from webex.realtime.presence import PresenceClient, PresenceSubscription
    from webex.realtime.presence_data import Presence
    from webex.realtime.read_status import RoomReadStatus
    from webex.realtime.subscription import Subscription

__all__ = [
    "Actor",
    "AsyncHistory",
    "BlockingSubscription",
    "Conversations",
    "Event",
    "Gap",
    "Health",
    "History",
    "ListenOptions",
    "OutgoingFile",
    "Presence",
    "PresenceClient",
    "PresenceSubscription",
    "Reaction",
    "RealtimeAttachmentActionEvent",
    "RealtimeEvent",
    "RealtimeGapEvent",
    "RealtimeHub",
    "RealtimeMembershipEvent",
    "RealtimeMessageEvent",
    "RealtimeOtherEvent",
    "RealtimePresenceEvent",
    "RealtimeReactionEvent",
    "RealtimeRoomEvent",
    "RealtimeTypingEvent",
    "RoomReadStatus",
    "Subscription",
    "Thread",
    "Typing",
]

_LAZY_EXPORTS = {
    "Actor": "event",
    "AsyncHistory": "history",
    "BlockingSubscription": "background",
    "Conversations": "conversations",
    "Event": "event",
    "Gap": "event",
    "Health": "health",
    "History": "history",
    "ListenOptions": "options",
    "OutgoingFile": "conversations",
    "Presence": "presence_data",
    "PresenceClient": "presence",
    "PresenceSubscription": "presence",
    "Reaction": "event",
    "RealtimeAttachmentActionEvent": "kinds",
    "RealtimeEvent": "kinds",
    "RealtimeGapEvent": "kinds",
    "RealtimeHub": "hub",
    "RealtimeMembershipEvent": "kinds",
    "RealtimeMessageEvent": "kinds",
    "RealtimeOtherEvent": "kinds",
    "RealtimePresenceEvent": "kinds",
    "RealtimeReactionEvent": "kinds",
    "RealtimeRoomEvent": "kinds",
    "RealtimeTypingEvent": "kinds",
    "RoomReadStatus": "read_status",
    "Subscription": "subscription",
    "Thread": "history",
    "Typing": "event",
}

_FORMER = {"Listening": "Subscription", "BlockingListening": "BlockingSubscription"}


def __getattr__(name: str) -> Any:
    if name in _FORMER:
        import warnings

        warnings.warn(
            f"{__name__}.{name} is now {_FORMER[name]}; the old name goes with 0.3.", DeprecationWarning, stacklevel=2
        )
        name = _FORMER[name]
    home = _LAZY_EXPORTS.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value

"""Take the frames of a socket: activities, answers of the key service, and events that are no activities.

Typing, presence and frames of other services are delivered as they come: they are neither stored nor repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from webex.ids import to_hydra_id
from webex.realtime.event import Occurrence
from webex.realtime.kinds import make_event
from webex.realtime.mercury.frames import override
from webex.realtime.presence_data import presence_data
from webex.realtime.wire import is_activity

if TYPE_CHECKING:
    from webex.realtime.dispatcher import Dispatcher
    from webex.realtime.mercury.socket import MercurySocket
    from webex.realtime.user_connection import UserConnection
    from webex.realtime.wire import EventFrame, FrameData


def take_frame(connection: UserConnection, socket: MercurySocket, envelope: EventFrame) -> None:
    """Take one frame, which is acknowledged here unless it is an activity."""
    data = envelope["data"]
    kind = data.get("eventType")
    message_id = envelope.get("id")
    known = message_id if isinstance(message_id, str) else None
    if kind == "conversation.activity":
        if "headers" in envelope or "headers" in data:
            override(envelope)
        activity = data.get("activity")
        if is_activity(activity):
            connection.dispatcher.take(activity, known)
        elif known is not None:
            socket.ack(known)
        return
    if known is not None:
        socket.ack(known)
    if kind == "encryption.kms_message":
        encryption = data.get("encryption")
        messages = encryption.get("kmsMessages") if isinstance(encryption, dict) else None
        connection.channel.receive(messages or data.get("kmsMessages") or data.get("encryption.kmsMessages"))
    elif isinstance(kind, str):
        _announce(connection.dispatcher, kind, data)


def _announce(dispatcher: Dispatcher, kind: str, data: FrameData) -> None:
    """Deliver an event that is no activity to the subscriptions that asked for it: to `*` what no other name tells."""
    made = None
    if kind in ("status.start_typing", "status.stop_typing"):
        made = _typing(data, "started" if kind == "status.start_typing" else "stopped")
    elif kind == "apheleia.subscription_update":
        made = _presence(data)
    if made is None:
        made, actor = Occurrence("*", kind, "", dict(data)), None
    else:
        actor = data.get("actor")
    dispatcher.announce(make_event(made, dispatcher.audience, {"actor": actor}))


def _typing(data: FrameData, verb: str) -> Occurrence | None:
    """Return that a person types, or has stopped."""
    actor = data.get("actor")
    if not isinstance(actor, dict):
        return None
    person, room = actor.get("entryUUID") or actor.get("id"), data.get("conversationId")
    if not isinstance(person, str) or not isinstance(room, str) or not person or not room:
        return None
    raw = {
        "personId": to_hydra_id("PEOPLE", person),
        "personEmail": actor.get("entryEmail") or actor.get("emailAddress"),
        "roomId": to_hydra_id("ROOM", room),
    }
    return Occurrence("typing", verb, person, raw)


def _presence(data: FrameData) -> Occurrence | None:
    """Return that the presence of a person has changed."""
    raw = presence_data(data)
    return None if raw is None else Occurrence("presence", "updated", str(data.get("subject")), raw)

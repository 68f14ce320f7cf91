"""Reactions to messages in a test of a bot: in process they are put into the cloud, by a socket they are encrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webex.emulator.wire import Change
from webex.ids import public_id, to_uuid

if TYPE_CHECKING:
    from webex.client import AsyncWebex
    from webex.emulator import Cloud
    from webex.models import Message


async def by_client(client: AsyncWebex, actor_id: str, message: Message, name: str, event: str) -> Change:
    """React, or take it back, as a person's client does."""
    if event == "created":
        reaction = await client.messages.react(message, name)
    else:
        own = [
            each
            for each in await client.messages.reactions(message)
            if each.name == name and to_uuid(each.person_id) == actor_id
        ]
        if not own:
            raise LookupError(f"There is no reaction {name!r} to take back.")
        reaction = own[0]
        await client.messages.unreact(message, reaction)
    return Change("reactions", event, reaction.to_dict(), actor_id, room_id=to_uuid(reaction.room_id))


async def in_process(cloud: Cloud, actor_id: str, message: Message, name: str, event: str) -> Change:
    """Put a reaction into the cloud, or take it out; there is no socket to send it by."""
    with cloud.lock:
        state = cloud.state
        parent = state.messages[to_uuid(message.id)]
        room, person = state.rooms[parent.room_id], state.people[actor_id]
        if event == "created":
            content: dict[str, Any] = {"objectType": "reaction2", "displayName": name}
            about: dict[str, Any] = {"id": parent.id, "type": "reaction"}
            uuid = cloud.conversations.record("add", room, actor_id, content, parent=about, encrypted=True).id
        else:
            uuid = _own(cloud, actor_id, parent.id, name)
            cloud.conversations.take_back(uuid, person, room)
        moment = cloud.iso(cloud.now())
    data = {
        "id": public_id("REACTION", uuid),
        "messageId": message.id,
        "roomId": public_id("ROOM", room.id),
        "roomType": room.type,
        "personId": public_id("PEOPLE", actor_id),
        "personEmail": person.email,
    }
    if event == "created":
        data |= {"name": name, "created": moment}
    return Change("reactions", event, data, actor_id, person.org_id, room.id)


def _own(cloud: Cloud, actor_id: str, message_id: str, name: str) -> str:
    for each in cloud.state.activities.values():
        content, parent = each.content, each.parent or {}
        is_own = each.actor_id == actor_id and parent.get("id") == message_id
        if is_own and content.get("objectType") == "reaction2" and content.get("displayName") == name:
            return each.id
    raise LookupError(f"There is no reaction {name!r} to take back.")

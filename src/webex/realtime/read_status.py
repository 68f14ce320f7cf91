"""Read status: what is unread, who has read how far, and telling the others how far the user has read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from webex.encryption.content import decrypt_activity, is_encrypted
from webex.errors import ConfigurationError, DecodeError
from webex.ids import public_id
from webex.models.base import ABSENT, Model, Timestamp, from_data
from webex.models.generated.messaging import Membership
from webex.realtime.event import person_id
from webex.realtime.events import email_of, room_type
from webex.realtime.events import uuid_of as person_uuid_of
from webex.realtime.given_ids import id_of, uuid_of
from webex.realtime.lookup import (
    activity_of,
    cluster_of,
    conversation_of,
    items_of,
    list_conversations,
    room_uuid,
)
from webex.realtime.opening import keys_for

if TYPE_CHECKING:
    from webex.realtime.conversations.service import ConversationService
    from webex.realtime.user_connection import UserConnection
    from webex.services import Catalog

_MOST: Final = 1000  # rooms in one answer
_MOST_RECENT: Final = 100
_RECENT: Final = 14 * 86_400  # seconds


class RoomReadStatus(Model):
    """How far the user has read in a room.

    `last_seen` is None where nothing was ever read. A direct room has the name of the other person as its title; a
    title that can't be decrypted is None.
    """

    id: str = ABSENT
    type: Literal["direct", "group"] | str | None = None
    title: str | None = None
    last_activity: Timestamp | None = None
    last_seen: Timestamp | None = None
    is_unread: bool = False
    is_hidden: bool = False


async def list_rooms(service: ConversationService, max_recent: int | None) -> list[RoomReadStatus]:
    """Return the read status of the user's rooms, the latest activity first; of the `max_recent` latest of 14 days."""
    params: dict[str, Any] = {
        "activitiesLimit": 0,
        "participantsLimit": 0,
        "computeTitleIfEmpty": "true",
        "conversationsLimit": _MOST,
        "isActive": "true",
        "personRefresh": "true",
        "uuidEntryFormat": "true",
    }
    if max_recent is not None:
        if isinstance(max_recent, bool) or not isinstance(max_recent, int) or not 1 <= max_recent <= _MOST_RECENT:
            raise ConfigurationError(f"max_recent is {max_recent!r}; it is a whole number from 1 to {_MOST_RECENT}.")
        params |= {"conversationsLimit": max_recent, "sinceDate": int((service.manager.now() - _RECENT) * 1000)}
    connection = await service.connected()
    listed = [each async for some in list_conversations(connection.services, params) for each in some]
    found = list({str(each.get("id")): each for each in listed}.values())
    found.sort(key=lambda each: str(_last_activity(each) or ""), reverse=True)
    return await _rooms_of(connection, found[:max_recent])


async def get_room(service: ConversationService, room_id: str) -> RoomReadStatus:
    """Return the read status of one room; `NotFoundError` when the user is not in it."""
    room = uuid_of(room_id)
    params = {"activitiesLimit": 0, "computeTitleIfEmpty": "true", "personRefresh": "true", "uuidEntryFormat": "true"}
    connection = await service.connected()
    return (await _rooms_of(connection, [await conversation_of(connection, room, params)]))[0]


async def list_members(service: ConversationService, room_id: str) -> list[Membership]:
    """Return the members of a room with what each has read last; who has read nothing has no `last_seen_id`."""
    room = uuid_of(room_id)
    params = {"participantAckFilter": "all", "activitiesLimit": 0, "personRefresh": "true", "uuidEntryFormat": "true"}
    connection = await service.connected()
    conversation = await conversation_of(connection, room, params)
    members = items_of(conversation.get("participants"))
    return list(_members(conversation, members, connection.user_id, await connection.services.catalog()))


async def mark_read(service: ConversationService, message: Any) -> Membership:
    """Tell the others that the user has read up to a message; return the membership with it."""
    activity_id, room = uuid_of(id_of(message)), getattr(message, "room_id", None)
    connection = await service.connected()
    if not isinstance(room, str) or not room:
        room = room_uuid(await activity_of(connection, activity_id))
    content = {"objectType": "activity", "id": activity_id}
    made = await service.submit(room, {"verb": "acknowledge", "object": content}, encrypt=False)
    for occurrence in connection.dispatcher.reader.read(made):
        return from_data(Membership, occurrence.data)
    raise DecodeError("The conversation service's answer is no read receipt.")


async def _rooms_of(connection: UserConnection, conversations: list[dict[str, Any]]) -> list[RoomReadStatus]:
    conversations = [each for each in conversations if isinstance(each.get("id"), str)]
    catalog = await connection.services.catalog()
    ciphers = await keys_for(connection, (url for each in conversations if (url := _title_key(each)) is not None))
    statuses = []
    for each in conversations:
        key, title = _title_key(each), each.get("displayName")
        if key is not None:
            holder = {"objectType": "conversation", "displayName": title}
            decrypt_activity({"encryptionKeyUrl": key, "object": holder}, ciphers)
            title = holder.get("displayName")
        data = {
            "id": public_id("ROOM", each["id"], cluster_of(each, catalog.cluster_of)),
            "type": room_type(each.get("tags")),
            "title": title or each.get("computedTitle"),
            "lastActivity": _last_activity(each),
            "lastSeen": each.get("lastSeenActivityDate"),
            "isHidden": "HIDDEN" in (each.get("tags") or ()),
        }
        data["isUnread"] = _is_later(data["lastActivity"], data["lastSeen"])
        statuses.append(from_data(RoomReadStatus, {name: value for name, value in data.items() if value is not None}))
    return statuses


def _members(
    conversation: Mapping[str, Any], people: list[dict[str, Any]], own: str, catalog: Catalog
) -> Iterator[Membership]:
    cluster, room = cluster_of(conversation, catalog.cluster_of), str(conversation["id"])
    tags = conversation.get("tags") or ()
    for person in people:
        uuid, properties = person_uuid_of(person), person.get("roomProperties") or {}
        seen, organization = properties.get("lastSeenActivityUUID"), person.get("orgId")
        data = {
            "id": public_id("MEMBERSHIP", f"{uuid}:{room}", cluster),
            "roomId": public_id("ROOM", room, cluster),
            "roomType": room_type(tags),
            "personId": person_id(uuid),
            "personEmail": person.get("entryEmailAddress") or email_of(person),
            "personDisplayName": person.get("displayName"),
            "personOrgId": public_id("ORGANIZATION", organization) if organization else None,
            "isModerator": properties.get("isModerator"),
            "isRoomHidden": True if uuid == own and "HIDDEN" in tags else None,
            "lastSeenId": public_id("MESSAGE", seen, cluster) if seen else None,
            "lastSeenDate": properties.get("lastSeenActivityDate"),
        }
        yield from_data(Membership, {name: value for name, value in data.items() if value is not None})


def _last_activity(conversation: Mapping[str, Any]) -> Any:
    return conversation.get("lastReadableActivityDate") or conversation.get("lastRelevantActivityDate")


def _title_key(conversation: Mapping[str, Any]) -> str | None:
    """Return the URL of the key that the title is encrypted with; None for one that is not."""
    if not is_encrypted(conversation.get("displayName")):
        return None
    for name in ("encryptionKeyUrl", "defaultActivityEncryptionKeyUrl"):
        url = conversation.get(name)
        if isinstance(url, str) and url:
            return url
    return None


def _is_later(activity: Any, seen: Any) -> bool:
    """Return whether something happened after what was seen last."""
    if not isinstance(activity, str):
        return False
    try:
        return not isinstance(seen, str) or datetime.fromisoformat(activity) > datetime.fromisoformat(seen)
    except (ValueError, TypeError):
        return activity > str(seen)

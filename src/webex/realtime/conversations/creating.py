"""Create conversations, under a new key (conversations §4)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from webex.encryption.content import encrypt_activity
from webex.errors import ApiError, DecodeError, NotFoundError
from webex.ids import public_id
from webex.realtime.conversations.comments import checked_text, comment, person
from webex.realtime.conversations.room_keys import new_key
from webex.realtime.conversations.updating import tag_names, update_conversation
from webex.realtime.given_ids import uuids_of_people
from webex.realtime.lookup import cluster_of

if TYPE_CHECKING:
    from webex.realtime.conversations.service import ConversationService
    from webex.realtime.user_connection import UserConnection


async def create_conversation(
    service: ConversationService,
    person_ids: Sequence[str],
    title: str | None,
    *,
    text: str | None,
    html: str | None,
    tags: Sequence[str],
    favorite: bool,
) -> str:
    """Create a conversation, or find the direct one, which gets the tags and the message too; return the room's id."""
    checked_text("title", title)
    first = comment(text, html, None) if text or html else None
    others, tags = uuids_of_people(person_ids), tag_names("tags", tags)
    connection = await service.connected()
    people = list(dict.fromkeys([connection.user_id, *others]))
    direct = len(people) == 2 and title is None
    found = await _direct(connection, people[1]) if direct else None
    if found is None:
        try:
            return await _create(connection, people, title, direct=direct, first=first, tags=tags, favorite=favorite)
        except ApiError as error:
            # Another client may have created it in the meantime.
            found = await _direct(connection, people[1]) if direct and error.status == 409 else None
            if found is None:
                raise
    if tags or favorite:
        await update_conversation(service, found, flags={"favorite": favorite or None}, add_tags=tags)
    if first is not None:
        await service.submit(found, {"verb": "post", "object": first})
    return found


async def _create(
    connection: UserConnection,
    people: Sequence[str],
    title: str | None,
    *,
    direct: bool,
    first: dict[str, Any] | None,
    tags: Sequence[str],
    favorite: bool,
) -> str:
    key_url, cipher = await new_key(connection)
    kms = {"method": "create", "uri": "/resources", "userIds": people, "keyUris": [key_url]}
    activity = {"objectType": "activity", "actor": person(people[0])}
    activities: list[dict[str, Any]] = [
        {**activity, "verb": "create"},
        *({**activity, "verb": "add", "object": person(each)} for each in people),
    ]
    if first is not None:
        activities.append(encrypt_activity({**activity, "verb": "post", "object": first}, cipher, key_url))
    if favorite:
        activities.append({**activity, "verb": "favorite", "object": {"objectType": "conversation"}})
    body: dict[str, Any] = {
        "objectType": "conversation",
        "kmsMessage": await connection.channel.encrypt(kms),
        "encryptionKeyUrl": key_url,
        "defaultActivityEncryptionKeyUrl": key_url,
        "activities": {"items": activities},
    }
    if title is not None:
        body["displayName"] = cipher.encrypt(title.encode())
    if direct or tags:
        body["tags"] = [*(["ONE_ON_ONE"] if direct else []), *tags]
    base = await connection.services.url_of("conversation")
    return await _room_id(
        connection, (await connection.services.send("POST", f"{base}/conversations", json=body)).json()
    )


async def _direct(connection: UserConnection, uuid: str) -> str | None:
    """Return the id of the direct room with a person; None where there is none."""
    base = await connection.services.url_of("conversation")
    with suppress(NotFoundError):
        return await _room_id(
            connection, (await connection.services.send("GET", f"{base}/conversations/user/{uuid}")).json()
        )
    return None


async def _room_id(connection: UserConnection, conversation: Any) -> str:
    uuid = conversation.get("id") if isinstance(conversation, dict) else None
    if not isinstance(uuid, str):
        raise DecodeError("The conversation service's answer is no conversation.")
    return public_id("ROOM", uuid, cluster_of(conversation, (await connection.services.catalog()).cluster_of))

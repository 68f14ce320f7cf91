"""The keys of conversations: which one to encrypt with, and how a new one is made (conversations §3, §4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from webex.encryption.jose import Cipher
from webex.errors import EncryptionError, KMSError
from webex.realtime.conversations.comments import person
from webex.realtime.lookup import conversation_of, room_url

if TYPE_CHECKING:
    from webex.realtime.user_connection import UserConnection

_WITH_MEMBERS: Final = {"includeParticipants": "true"}


async def key_of(connection: UserConnection, room: str) -> tuple[str, Cipher, str]:
    """Return the conversation's key URL, key and key resource; create a key where there is none."""
    known = connection.room_keys.get(room)
    if known is None:
        conversation = await conversation_of(connection, room, _WITH_MEMBERS)
        key_url, resource = (
            conversation.get(name) for name in ("defaultActivityEncryptionKeyUrl", "kmsResourceObjectUrl")
        )
        if not isinstance(key_url, str) or not key_url:
            await rotate(connection, room, conversation)
            known = connection.room_keys[room]
        else:
            known = (key_url, str(resource or ""))
            connection.keep_room_key(room, known)
    try:
        return known[0], await connection.keys.get(known[0]), known[1]
    except KMSError as error:
        connection.room_keys.pop(room, None)
        raise EncryptionError(f"Nothing was sent: the conversation's key could not be had. {error}") from error


async def new_key(connection: UserConnection) -> tuple[str, Cipher]:
    """Return a key that is bound to no conversation yet, with its URL."""
    try:
        return await connection.keys.create()
    except KMSError as error:
        raise EncryptionError(f"Nothing was sent: no key could be made. {error}") from error


async def rotate(connection: UserConnection, room: str, known: Mapping[str, Any] | None = None) -> str:
    """Give the conversation a new key, for its present members; return the key's URL."""
    if known is None:
        known = await conversation_of(connection, room, _WITH_MEMBERS)
    url = await room_url(connection, room)
    key_url, _cipher = await new_key(connection)
    resource = known.get("kmsResourceObjectUrl")
    if resource:
        kms: dict[str, Any] = {"method": "update", "uri": key_url, "resourceUri": resource}
    else:
        people = (known.get("participants") or {}).get("items") or ()
        ids = [str(each.get("entryUUID") or each["id"]) for each in people]
        kms = {"method": "create", "uri": "/resources", "userIds": ids, "keyUris": [key_url]}
    target = {"objectType": "conversation", "id": room, "url": url}
    for name in ("defaultActivityEncryptionKeyUrl", "kmsResourceObjectUrl"):  # by these the service sees a race
        if isinstance(known.get(name), str):
            target[name] = known[name]
    body = {
        "objectType": "activity",
        "verb": "updateKey",
        "clientTempId": str(uuid4()),
        "actor": person(connection.user_id),
        "target": target,
        "object": {"objectType": "conversation", "defaultActivityEncryptionKeyUrl": key_url},
        "kmsMessage": await connection.channel.encrypt(kms),
    }
    answer = (await connection.services.send("POST", f"{url}/activities", json=body)).json()
    if not resource and isinstance(answer, dict) and answer.get("kmsMessage"):
        resource = connection.channel.decrypt_relayed(answer["kmsMessage"]).get("resource", {}).get("uri")
    connection.keep_room_key(room, (key_url, str(resource or "")))
    return key_url

"""Activities, conversations and people as the conversation service writes them (conversations §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from webex.emulator.clock import iso

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.state import Activity, Membership, Person, Room
    from webex.encryption.jose import Cipher

_SCANS = {"clean": "safe", "scanning": "evaluating", "infected": "infected", "unscannable": "unchecked"}
_KINDS = {"person": "PERSON", "bot": "BOT"}


def conversation_url(base: str, room_id: str) -> str:
    """Return the address of a conversation."""
    return f"{base}/conversation/api/v1/conversations/{room_id}"


def tags_of(room: Room) -> list[str]:
    """Return the tags of a conversation."""
    tags = [*room.tags, *(["ONE_ON_ONE"] if room.type == "direct" else [])]
    if room.is_locked:
        tags.append("LOCKED")
    if room.is_announcement_only:
        tags.append("ANNOUNCEMENT")
    if room.team_id is not None:
        tags.append("TEAM")
    return tags


def person_json(cloud: Cloud, person: Person, room_id: str | None = None) -> dict[str, Any]:
    """Return a person; with a room, also the role in it."""
    data: dict[str, Any] = {
        "objectType": "person",
        "id": person.id,
        "entryUUID": person.id,
        "entryEmail": person.email,
        "emailAddress": person.email,
        "displayName": person.display_name,
        "orgId": person.org_id,
        "type": _KINDS.get(person.kind, "PERSON"),
    }
    membership = cloud.state.memberships.get(f"{person.id}:{room_id}") if room_id is not None else None
    if membership is not None:
        properties: dict[str, Any] = {"isModerator": membership.is_moderator}
        data["roomProperties"] = properties
        if membership.last_seen_id is not None:
            properties["lastSeenActivityUUID"] = membership.last_seen_id
        if membership.last_seen is not None:
            data["lastSeenActivityDate"] = properties["lastSeenActivityDate"] = iso(membership.last_seen)
    return data


def conversation_json(
    cloud: Cloud,
    room: Room,
    base: str,
    viewer: Person | None = None,
    *,
    participants: bool = False,
    activities: list[Any] | None = None,
    computed_title: bool = False,
) -> dict[str, Any]:
    """Return a conversation with the caller's tags and read status; its title is encrypted, a computed one is not."""
    state = cloud.state
    own = state.memberships.get(f"{viewer.id}:{room.id}") if viewer is not None else None
    key = cloud.kms.room_key(room)
    people = [m.person_id for m in state.memberships.values() if m.room_id == room.id] if participants else []
    data: dict[str, Any] = {
        "objectType": "conversation",
        "id": room.id,
        "url": conversation_url(base, room.id),
        "published": iso(room.created),
        "lastRelevantActivityDate": iso(room.last_activity),
        "lastReadableActivityDate": iso(room.last_activity),
        "creatorUUID": room.creator_id,
        "tags": [*(personal_tags(own) if own is not None else ()), *tags_of(room)],
        "defaultActivityEncryptionKeyUrl": key.uri,
        "encryptionKeyUrl": key.uri,
        "kmsResourceObjectUrl": key.resource_uri,
        "activities": {"items": activities or []},
        "participants": {"items": [person_json(cloud, state.people[each], room.id) for each in people]},
    }
    if room.type == "group":
        data["displayName"] = cloud.kms.cipher(key.uri).encrypt(room.title.encode())
    elif computed_title:
        others = [m.person_id for m in state.memberships.values() if m.room_id == room.id and m is not own]
        data["computedTitle"] = ", ".join(state.people[each].display_name for each in others)
    if own is not None and own.last_seen is not None:
        data["lastSeenActivityDate"] = iso(own.last_seen)
        data["lastSeenActivityUUID"] = own.last_seen_id
    if room.avatar is not None:
        item = _file(cloud, room.avatar, cloud.kms.cipher(key.uri), base)
        data["avatar"] = {"objectType": "content", "files": {"items": [item]}}
        data["avatarEncryptionKeyUrl"] = key.uri
    return data


def personal_tags(membership: Membership) -> list[str]:
    """Return the tags that a conversation has for one member alone."""
    return [*membership.tags, *(["HIDDEN"] if membership.is_room_hidden else [])]


def activity_json(cloud: Cloud, activity: Activity, base: str) -> dict[str, Any]:
    """Return an activity, encrypted under its key."""
    state = cloud.state
    cipher = cloud.kms.cipher(activity.key_uri) if activity.key_uri is not None else None
    actor = state.people[activity.actor_id]
    data: dict[str, Any] = {
        "id": activity.id,
        "objectType": "activity",
        "url": f"{base}/conversation/api/v1/activities/{activity.id}",
        "published": iso(activity.published),
        "verb": activity.verb,
        "actor": person_json(cloud, actor, activity.room_id),
        "object": _encrypted(cloud, activity.content, cipher, base),
    }
    if activity.verb not in ("create", "hide"):
        room = state.rooms.get(activity.room_id)
        data["target"] = {
            "objectType": "conversation",
            "id": activity.room_id,
            "url": conversation_url(base, activity.room_id),
            "tags": activity.tags,
            "activities": {"items": []},
            "participants": {"items": []},
        }
        if room is not None and room.key_uri is not None:
            data["target"]["defaultActivityEncryptionKeyUrl"] = room.key_uri
            data["target"]["kmsResourceObjectUrl"] = room.resource_uri
    if activity.key_uri is not None:
        data["encryptionKeyUrl"] = activity.key_uri
    if activity.parent is not None:
        data["parent"] = activity.parent
    if activity.client_temp_id is not None:
        data["clientTempId"] = activity.client_temp_id
    return data


def _encrypted(cloud: Cloud, content: dict[str, Any], cipher: Cipher | None, base: str) -> dict[str, Any]:
    data = dict(content)
    kind = data.get("objectType")
    if kind == "conversation":
        data["url"] = conversation_url(base, str(data["id"]))
        data.setdefault("activities", {"items": []})
        people = [cloud.state.people[each] for each in data.pop("people", ())]
        data["participants"] = {"items": [person_json(cloud, person, str(data["id"])) for person in people]}
    elif kind == "person":
        return {**person_json(cloud, cloud.state.people[str(data["id"])]), **data}
    if cipher is None:
        return data
    for name in ("displayName", "content"):
        if data.get(name) and kind != "person":
            data[name] = cipher.encrypt(str(data[name]).encode())
    if data.get("cards"):
        data["cards"] = [cipher.encrypt(msgspec.json.encode(card)) for card in data["cards"]]
    if kind == "submit":
        data["inputs"] = cipher.encrypt(msgspec.json.encode(data.get("inputs") or {}))
    if data.get("files"):
        data["files"] = {"items": [_file(cloud, str(each), cipher, base) for each in data["files"]]}
    return data


def _file(cloud: Cloud, file_id: str, cipher: Cipher, base: str) -> dict[str, Any]:
    from webex.emulator.conversation.file_encryption import encryption_of

    file = cloud.state.files.get(file_id)
    if file is None:
        return {"objectType": "file", "displayName": cipher.encrypt(b"deleted")}
    scanned = file.scan == "scanning" and (file.scan_until or 0.0) <= cloud.now()
    loc = f"{base}/files/api/v1/contents/{file.id}"
    preview = {}
    if file.preview is not None:
        at = f"{loc}/image"
        preview["image"] = {
            "objectType": "image",
            "url": at,
            "width": file.preview.width,
            "height": file.preview.height,
            "mimeType": "image/png",
            "scr": cipher.encrypt(msgspec.json.encode({**file.preview.scr, "loc": at})),
        }
    scr = {"enc": "A256GCM", "loc": loc, **encryption_of(file)}
    return {
        **preview,
        "objectType": "file",
        "displayName": cipher.encrypt(file.name.encode()),
        "fileSize": file.size,
        "mimeType": file.content_type,
        "url": loc,
        "malwareQuarantineState": "safe" if scanned else _SCANS[file.scan],
        "scr": cipher.encrypt(msgspec.json.encode(scr)),
    }

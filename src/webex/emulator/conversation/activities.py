"""What clients do, encrypted, through the conversation service's door."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from webex.emulator.conversation.access import BASE, activity_of, may_write, refuse, refuse_encrypted, room_of
from webex.emulator.conversation.faults import ROTATE, ROTATED, STALE, refusal
from webex.emulator.conversation.feed import see
from webex.emulator.conversation.render import activity_json
from webex.emulator.oauth.clients import find_person
from webex.emulator.rest.attachment_actions import check_card
from webex.emulator.rest.messages import MOST_BYTES
from webex.emulator.rest.moderation import set_moderator, unlock_without_moderator
from webex.emulator.rest.render import action_json, membership_json, message_json, room_json
from webex.emulator.rest.rooms import join, set_lock
from webex.emulator.rest.rules import is_moderator, membership_of, require_moderator, tell
from webex.emulator.state import AttachmentAction, Message
from webex.emulator.wire import Problem, Reply
from webex.encryption.jose import BadTokenError, Cipher

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable
    from webex.emulator.state import Membership, Person, Room
    from webex.emulator.wire import Call

_CARD = "application/vnd.microsoft.card.adaptive"


def routes(table: RouteTable) -> None:
    """Add this service."""
    table.add("POST", f"{BASE}/conversations/{{id}}/activities", submit)
    table.add("POST", f"{BASE}/activities", submit)


def submit(call: Call) -> Reply:
    """Something that a client does in a conversation."""
    person = call.person()
    body = activity_of(call)
    room_id = call.path.get("id") or str((body.get("target") or {}).get("id") or "")
    room = room_of(call, person, room_id)
    verb = body.get("verb")
    handler = _VERBS.get(str(verb))
    if handler is None:
        raise Problem(400, f"The verb {verb!r} is not known.")
    answer = None
    if verb in _CHECKS:
        _CHECKS[str(verb)](call, person, room, body)  # the key service acts only for what will be accepted
    if isinstance(body.get("kmsMessage"), str):
        answer, plain = call.cloud.kms.relay(person.id, body["kmsMessage"])
        if plain.get("status", 500) >= 400:
            refuse_encrypted(call, person, body["kmsMessage"], plain)
    activity = call.cloud.conversations.on_behalf(body, lambda: handler(call, person, room, body))
    made = {} if activity is None else activity_json(call.cloud, activity, call.base)
    if answer is not None:
        made["kmsMessage"] = answer
    return Reply(200, made)


def opener(call: Call, room: Room, body: dict[str, Any], person: Person) -> Cipher:
    """Return the function that decrypts a request's content; refuse a key that is no longer the room's."""
    url = body.get("encryptionKeyUrl")
    if not isinstance(url, str):
        raise Problem(400, "encryptionKeyUrl is required: plain text is not taken.")
    spoilt = refusal(call.cloud.conversations.faults, room)
    if spoilt is not None:
        refuse(*spoilt)
    if room.rotate:
        refuse(400, ROTATE, "The conversation's key has to be rotated.")
    current = call.cloud.kms.room_key(room).uri
    if url != current:
        refuse(400, STALE, "The key is not the conversation's.")
    if not call.cloud.kms.may_read(person.id, url):
        raise Problem(403, "This person may not use the key.")
    if person.id not in room.key_known:
        room.key_known = [*room.key_known, person.id]
    return call.cloud.kms.cipher(url)


def opened(cipher: Cipher, value: Any) -> str | None:
    """Decrypt an encrypted text; None for none."""
    if not value:
        return None
    try:
        return cipher.decrypt(value).decode()
    except (BadTokenError, UnicodeDecodeError):
        raise Problem(400, "A part of the content can't be opened with the key that is named.") from None


def _post(call: Call, person: Person, room: Room, body: dict[str, Any]) -> None:
    content = body.get("object") or {}
    cipher = opener(call, room, body, person)
    text, html = opened(cipher, content.get("displayName")), opened(cipher, content.get("content"))
    if html and not text:
        raise Problem(400, "content needs displayName.")
    cards = [msgspec.json.decode(opened(cipher, card) or "null") for card in content.get("cards") or ()]
    if not text and not cards:
        raise Problem(400, "A post has a displayName.")
    if text is not None and len(text.encode()) > MOST_BYTES * 2:
        raise Problem(400, "The message is too long.")
    parent = body.get("parent") or {}
    if parent.get("type") == "edit":
        _edit(call, person, room, str(parent.get("id")), text, html, content)
        return
    may_write(call, person, room)
    message = new_message(call, person, room, parent)
    message.text, message.html = text, html
    message.attachments = [{"contentType": _CARD, "content": card} for card in cards]
    note_mentions(call, message, content)
    save(call, person, room, message)


def new_message(call: Call, person: Person, room: Room, parent: dict[str, Any]) -> Message:
    """Return an empty message of this person."""
    parent_id = str(parent["id"]) if parent.get("type") == "reply" else None
    if parent_id is not None and parent_id not in call.state.messages:
        raise Problem(404, "The message that is replied to was not found.")
    return Message(
        id=call.cloud.new_time_uuid(),
        room_id=room.id,
        person_id=person.id,
        created=call.cloud.now(),
        sequence=call.cloud.next_sequence(),
        parent_id=parent_id,
    )


def save(call: Call, person: Person, room: Room, message: Message) -> None:
    """Keep a message and tell of it."""
    call.state.messages[message.id] = message
    room.last_activity = message.created
    tell(call, "messages", "created", message_json(message, call.state, call.base), person, room)


def _edit(
    call: Call, person: Person, room: Room, message_id: str, text: str | None, html: str | None, content: dict[str, Any]
) -> None:
    message = call.state.messages.get(message_id)
    if message is None or message.room_id != room.id:
        raise Problem(404, "The message was not found.")
    if message.person_id != person.id:
        raise Problem(403, "Only the author may edit a message.")
    message.text, message.html, message.markdown = text, html, None
    note_mentions(call, message, content)
    message.edits += 1
    message.updated = call.cloud.now()
    tell(call, "messages", "updated", message_json(message, call.state, call.base), person, room)


def note_mentions(call: Call, message: Message, content: dict[str, Any]) -> None:
    """Store the mentions of a message, which its sender gives in clear."""
    people = [str(each.get("id")).lower() for each in items_of(content.get("mentions"))]
    message.mentioned_people = [each for each in dict.fromkeys(people) if each in call.state.people]
    message.mentioned_groups = [str(each.get("groupType")) for each in items_of(content.get("groupMentions"))]


def items_of(listed: Any) -> list[dict[str, Any]]:
    """Return the objects of a `{"items": […]}`; leave out what is none."""
    items = listed.get("items") if isinstance(listed, dict) else None
    return [each for each in items if isinstance(each, dict)] if isinstance(items, list) else []


def _delete(call: Call, person: Person, room: Room, body: dict[str, Any]) -> None:
    activity_id = str((body.get("object") or {}).get("id")).lower()
    message = call.state.messages.get(activity_id)
    if message is None and call.cloud.conversations.take_back(activity_id, person, room):
        return
    if message is None or message.room_id != room.id:
        raise Problem(404, "The message was not found.")
    if message.person_id != person.id and not is_moderator(call.state, person, room):
        raise Problem(403, "Only the author or a moderator may delete a message.")
    tell(call, "messages", "deleted", message_json(message, call.state, call.base), person, room)
    for file_id in message.files:
        call.state.files.pop(file_id, None)
    del call.state.messages[message.id]


def _member(call: Call, body: dict[str, Any]) -> Person:
    content = body.get("object") or {}
    found = find_person(call.state, str(content.get("id") or content.get("emailAddress") or ""))
    if found is None:
        raise Problem(404, "The person was not found.")
    return found


def _add(call: Call, person: Person, room: Room, body: dict[str, Any]) -> None:
    if (body.get("object") or {}).get("objectType") == "reaction2":
        _react(call, person, room, body)
        return
    other = _member(call, body)
    membership = join(call.cloud, room, other)
    tell(call, "memberships", "created", membership_json(membership, call.state), person, room)


def _react(call: Call, person: Person, room: Room, body: dict[str, Any]) -> None:
    """Keep a reaction to a message of this conversation, with the proof that only members can check."""
    parent, given = body.get("parent"), body["object"]
    message = call.state.messages.get(str(parent.get("id"))) if isinstance(parent, dict) else None
    if message is None or message.room_id != room.id:
        raise Problem(404, "The message that is reacted to was not found.")
    name = opened(opener(call, room, body, person), given.get("displayName"))
    if not name:
        raise Problem(400, "A reaction has a displayName.")
    content = {"objectType": "reaction2", "displayName": name}
    if isinstance(given.get("hmac"), str):
        content["hmac"] = given["hmac"]
    call.cloud.conversations.record(
        "add", room, person.id, content, parent={"id": message.id, "type": "reaction"}, encrypted=True
    )


def _may_add(call: Call, person: Person, room: Room, body: dict[str, Any]) -> None:
    if (body.get("object") or {}).get("objectType") == "reaction2":
        return
    if room.type == "direct":
        raise Problem(403, "Members can not be added to a direct conversation.")
    require_moderator(call, person, room)
    if membership_of(call.state, _member(call, body), room.id) is not None:
        raise Problem(409, "That person is in the conversation already.")


def _leaving(call: Call, person: Person, body: dict[str, Any]) -> Person:
    return _member(call, body) if (body.get("object") or {}).get("id") else person


def _may_leave(call: Call, person: Person, room: Room, body: dict[str, Any]) -> None:
    other = _leaving(call, person, body)
    if membership_of(call.state, other, room.id) is None:
        raise Problem(404, "That person is not in the conversation.")
    if other.id != person.id:
        require_moderator(call, person, room)


def _leave(call: Call, person: Person, room: Room, body: dict[str, Any]) -> None:
    other = _leaving(call, person, body)
    membership = call.state.memberships[f"{other.id}:{room.id}"]
    tell(call, "memberships", "deleted", membership_json(membership, call.state), person, room)
    del call.state.memberships[f"{other.id}:{room.id}"]
    unlock_without_moderator(call, person, room)


def _update(call: Call, person: Person, room: Room, body: dict[str, Any]) -> None:
    require_moderator(call, person, room)
    title = opened(opener(call, room, body, person), (body.get("object") or {}).get("displayName"))
    if title:
        room.title = title
    tell(call, "rooms", "updated", room_json(room, call.state, person), person, room)


def _may_update_key(call: Call, person: Person, room: Room, body: dict[str, Any]) -> None:
    """Refuse a new key from a client that does not know that another has changed it already."""
    old = (body.get("target") or {}).get("defaultActivityEncryptionKeyUrl")
    url = (body.get("object") or {}).get("defaultActivityEncryptionKeyUrl")
    if room.rotate or room.key_uri is None or url == room.key_uri:
        return
    unaware = room.key_by not in (None, person.id) and person.id not in room.key_known
    if old != room.key_uri if isinstance(old, str) else unaware:
        refuse(409, ROTATED, "The key was rotated already.")


def _update_key(call: Call, person: Person, room: Room, body: dict[str, Any]) -> None:
    url = (body.get("object") or {}).get("defaultActivityEncryptionKeyUrl")
    resource = call.cloud.kms.resource_of(url) if isinstance(url, str) else None
    if not isinstance(url, str) or resource is None or not call.cloud.kms.may_read(person.id, url):
        raise Problem(400, "The new key is not one that this person may use, or it is not bound.")
    room.key_uri, room.resource_uri, room.rotate = url, resource, False
    room.key_by, room.key_known = person.id, [person.id]
    call.cloud.conversations.record(
        "updateKey",
        room,
        person.id,
        {"objectType": "conversation", "id": room.id, "defaultActivityEncryptionKeyUrl": url},
    )


def _acknowledge(call: Call, person: Person, room: Room, body: dict[str, Any]) -> None:
    seen_id = str((body.get("object") or {}).get("id")).lower()
    activity = call.state.activities.get(seen_id)
    if activity is None or activity.room_id != room.id:
        raise Problem(404, "The activity was not found.")
    see(call.state, activity, person.id)
    url = f"{call.base}{BASE}/activities/{seen_id}"
    content = {"objectType": "activity", "id": seen_id, "url": url}
    call.cloud.conversations.record("acknowledge", room, person.id, content)


def _lock(locked: bool) -> Callable[[Call, Person, Room, dict[str, Any]], None]:
    def handle(call: Call, person: Person, room: Room, body: dict[str, Any]) -> None:
        require_moderator(call, person, room)
        set_lock(call.state, person, room, locked)
        tell(call, "rooms", "updated", room_json(room, call.state, person), person, room)

    return handle


def _moderate(moderator: bool) -> Callable[[Call, Person, Room, dict[str, Any]], None]:
    def handle(call: Call, person: Person, room: Room, body: dict[str, Any]) -> None:
        require_moderator(call, person, room)
        membership = membership_of(call.state, _member(call, body), room.id)
        if membership is None:
            raise Problem(404, "That person is not in the conversation.")
        set_moderator(call, person, room, membership, moderator)

    return handle


def _own(call: Call, person: Person, room: Room, body: dict[str, Any]) -> None:
    """Tags and the like: for oneself alone."""
    verb, membership = str(body["verb"]), call.state.memberships[f"{person.id}:{room.id}"]
    given = (body.get("object") or {}).get("tags")
    tags = [each for each in given if isinstance(each, str)] if isinstance(given, list) else []
    if verb in ("tag", "untag", "favorite", "unfavorite", "mute", "unmute"):
        change_tags(
            membership, [_TAG_OF.get(verb.removeprefix("un"), "")] if verb not in ("tag", "untag") else tags, verb
        )
    if verb in ("hide", "unhide"):
        membership.is_room_hidden = body["verb"] == "hide"
        if room.type == "direct":
            tell(call, "memberships", "updated", membership_json(membership, call.state), person, room)
            return
    content = {"objectType": "conversation", "id": room.id, "tags": tags}
    call.cloud.conversations.record(verb, room, person.id, content, only=[person.id])


def change_tags(membership: Membership, tags: list[str], verb: str) -> None:
    """Give a member's conversation tags, or take them away; of ON and OFF it has one."""
    kept = [each for each in membership.tags if each not in tags]
    if not verb.startswith("un"):
        against = {each[:-3] + "_OFF" if each.endswith("_ON") else each[:-4] + "_ON" for each in tags if "_O" in each}
        kept = [*[each for each in kept if each not in against], *dict.fromkeys(tags)]
    membership.tags = kept


def _announcements(only: bool) -> Callable[[Call, Person, Room, dict[str, Any]], None]:
    """`set` and `unset` of a space's property: only `ANNOUNCEMENT`, by its moderators."""

    def handle(call: Call, person: Person, room: Room, body: dict[str, Any]) -> None:
        content = body.get("object") or {}
        if content.get("objectType") != "spaceProperty" or content.get("tags") != ["ANNOUNCEMENT"]:
            raise Problem(400, "A spaceProperty with the tag ANNOUNCEMENT is expected.")
        if not is_moderator(call.state, person, room):
            raise Problem(403, "Only a moderator may do that.")
        room.is_announcement_only = only
        call.cloud.conversations.record(
            str(body["verb"]), room, person.id, {"objectType": "spaceProperty", "tags": ["ANNOUNCEMENT"]}
        )

    return handle


def _card_action(call: Call, person: Person, room: Room, body: dict[str, Any]) -> None:
    message = call.state.messages.get(str((body.get("parent") or {}).get("id")))
    if message is None or message.room_id != room.id:
        raise Problem(404, "The card was not found.")
    text = opened(opener(call, room, body, person), (body.get("object") or {}).get("inputs"))
    try:
        inputs = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        raise Problem(400, "The inputs are no JSON.") from None
    if not isinstance(inputs, dict):
        raise Problem(400, "The inputs are no JSON object.")
    check_card(call, person, message)
    action = AttachmentAction(
        call.cloud.new_time_uuid(), "submit", message.id, room.id, person.id, inputs, call.cloud.now()
    )
    call.state.attachment_actions[action.id] = action
    tell(call, "attachmentActions", "created", action_json(action, call.state), person, room)


def _assign(call: Call, person: Person, room: Room, body: dict[str, Any]) -> None:
    from webex.emulator.conversation.sharing import assign_picture

    content = body.get("object")
    items = items_of(content.get("files")) if isinstance(content, dict) else []
    if not items:
        raise Problem(400, "A picture is a content with a file.")
    assign_picture(call, person, room, items[0], opener(call, room, body, person))


def _unassign(call: Call, person: Person, room: Room, body: dict[str, Any]) -> None:
    """Take the picture of the room away."""
    require_moderator(call, person, room)
    room.avatar = None
    call.cloud.conversations.record("unassign", room, person.id, {"objectType": "content"})


_TAG_OF = {"favorite": "FAVORITE", "mute": "MUTED"}
_CHECKS: dict[str, Callable[[Call, Person, Room, dict[str, Any]], None]] = {
    "add": _may_add,
    "leave": _may_leave,
    "updateKey": _may_update_key,
}
_VERBS: dict[str, Callable[[Call, Person, Room, dict[str, Any]], None]] = {
    "post": _post,
    "delete": _delete,
    "add": _add,
    "leave": _leave,
    "update": _update,
    "updateKey": _update_key,
    "acknowledge": _acknowledge,
    "lock": _lock(True),
    "unlock": _lock(False),
    "assignModerator": _moderate(True),
    "unassignModerator": _moderate(False),
    "cardAction": _card_action,
    "assign": _assign,
    "unassign": _unassign,
    "set": _announcements(True),
    "unset": _announcements(False),
    **dict.fromkeys(("tag", "untag", "hide", "unhide", "favorite", "unfavorite", "mute", "unmute"), _own),
}
